// Package engine moves orders. It is the one place where the store, the
// backends and the validators meet, and the only one that writes.
//
// It has three halves, and everything flows one way through them:
//
//	request half   a front calls a verb (NewOrder, Respond, Finalize, ...): decide, commit, answer
//	work half      Run takes due jobs from the store; each step does one thing and commits
//	answer half    a front calls a read (Order, Authorization, ...): nothing is written
//
// Steps never call each other: what one leaves for the next passes through the
// store, so that a crash anywhere resumes at the last commit. One event is one
// commit, and every commit goes through [Engine.commit], where the failpoints
// are.
//
// An order's certificate is asked for like this:
//
//	finalize --> Submission (ours, with a key) + job submit        nothing was sent
//	submit   --> intent: SentAt                                    from here on the CA may know
//	             Ticket + job poll | refused: order invalid | unknown: look, then park
//	poll     --> Quarantine                                        what the CA sent, not yet believed
//	             the gate: acme.Trust.CheckChain                      issued equals ordered, or nothing
//	             Certificate + order valid, job gone
//
// A backend that is a pure function of the request ([backends.Issuer]) goes
// through all of it in the one commit of finalize: until that commit there is
// nothing that anybody could know of.
//
// Two answers may wait for the work half (D13): a challenge response and a
// finalize are held for the profile's hold window, so that a fast CA needs no
// polling. A challenge response goes further: while it is held, nothing needs
// to be stored, because a client whose request was cut off asks again; so a
// validation that is over within a moment costs one commit instead of two.
package engine
