// Package acme holds the objects of RFC 8555 and the rules they obey: which
// moves are legal, what a CSR must say, what a chain must look like before
// anybody may download it. Everything here is a value or a pure function of
// records and a given time. There is no I/O, no clock and no randomness of
// its own, so every rule can be read and tested alone.
//
// The objects move like this (RFC 8555, section 7.1.6); states.go has one
// table for each:
//
//	Order          pending --every authorization valid--> ready --finalize--> processing --chain stored--> valid
//	               pending, ready, processing --expired or refused--> invalid
//	Authorization  pending --one challenge valid--> valid --> expired, deactivated, revoked
//	               pending --a challenge fails--> invalid
//	Challenge      pending --response--> processing --> valid, invalid
//	Account        valid --> deactivated (by its owner), revoked (by the server)
//
// The functions that make these moves are named after the event that causes
// them: [NewOrder], [Respond], [Settle], [Finalize], [Deliver], [Fail] and
// [Expire]. Each takes records and a time and returns the records as they
// should be stored; the engine stores what one event changed in one commit.
//
// The struct tags are the storage encoding: the numbers are permanent, names
// are free to change.
package acme
