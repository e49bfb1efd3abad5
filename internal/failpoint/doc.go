// Package failpoint lets a test break the program at a named place: before a
// write, after it, between a question to a CA and its answer. In an ordinary
// build every function here is empty; only the build tag "failpoints" puts
// something into it, read from the environment at start:
//
//	ACMEBRIDGE_FAILPOINTS="FP-06=kill:3;FP-08=error-after"
//
// Each point takes one action, optionally for its Nth hit only ("kill:3" and
// "count:3:kill" mean the same; without a number every hit acts):
//
//	kill         the process kills itself with SIGKILL
//	panic        the goroutine panics
//	error        nothing is applied and an error is reported
//	error-after  it is applied, and an error is reported all the same
//	stall:DUR    it takes that much longer ("stall:250ms")
//	off          nothing happens
//
// The pair error and error-after is the point of the exercise: a caller that
// cannot tell them apart must be right in both cases.
package failpoint
