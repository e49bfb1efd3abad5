// Package crash breaks running servers and looks whether they keep their word.
// It has tests only: real processes, built with the tag "failpoints", live
// through everything that an account can do, and are killed, made to fail or
// robbed of their disk on the way.
//
//	TestKill             SIGKILL at every point of internal/failpoint in turn, also within a recovery
//	TestError            every commit fails, without effect and with, and its caller cannot tell which
//	TestPanic            the program panics at every point
//	TestRandom           SIGKILL and SIGTERM at random moments while eight clients are at work
//	TestKillAfterAnswer  SIGKILL in the moment in which a client has an answer
//	TestFailingDisk      strace makes the system calls on the database fail
//	TestRemote...        the same with a CA that is another process, costs money and is not idempotent
//	TestBatch...         the same with orders of several accounts that go to that CA in one upload
//	TestSilent           points that are said not to be passed are not
//	TestRelease          an ordinary build has nothing of all this in it (SU-8)
//	TestControl...       servers that are wrong on purpose, and have to be found out
//
// What a disk loses when the power goes is tested beside the store, in
// storage/bolt, and so is the control for it, a store that does not sync.
//
// # What is looked for
//
// A supervisor starts a new process whenever one ends. Clients do what real
// ones do: they ask again when an answer is lost, with the same key, the same
// binding and the same CSR. After every start each of them reads everything
// that it was ever told of, before it goes on. In the end
//
//   - every acknowledged account, order, authorization and certificate is there, as it was;
//   - every order that was taken so far has come to its end: none is stuck, no job is parked;
//   - no order has two certificates or two submissions, no account key two accounts;
//   - an external account key was used as often as accounts hang on it;
//   - no two revocation lists have one number;
//   - where each certificate costs money, the CA was paid once for each need, as its journal has it;
//   - the database passes its own check.
//
// # How to read a failure
//
// The first line says what a client was doing and what it found ("an
// acknowledged thing is not there: ..." is a broken promise, "context deadline
// exceeded" is something stuck). Below are the jobs that were left, and then
// every process in order, with its failpoints, how it ended, and its log.
//
// One point alone, as often as it takes:
//
//	go test ./conformance/crash -run 'TestKill/^FP-06$' -count 20
//	go test ./conformance/crash -run 'TestError/^FP-05$/queued/error-after'
//
// The moments of TestRandom are those of a seed, which a failure prints:
//
//	CRASH_SEED=1795213444038671824 go test ./conformance/crash -run TestRandom/queued/kill
//
// # A new point
//
// is met by itself when it is in failpoint.Writes or failpoint.Points. When the
// life of life_test.go does not pass it, TestKill says that it never fired:
// give the life what passes it, or roads in points_test.go a way to it, or,
// with a reason, silent a row.
//
// The tests need Linux and strace, and may be run while others use the machine:
// every server has a loopback address of its own.
package crash
