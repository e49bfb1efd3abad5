// Package sectigotest is a stand-in for Sectigo IoT Manager: a real HTTP server
// with accounts, balances, profiles and batches that take their time, and a CA
// of its own that really issues. It knows nothing of package sectigo, so that a
// mistake there is not made here too.
//
//	ca, err := sectigotest.New(sectigotest.Config{Clock: sectigotest.Stopped(start)})
//	url, stop, err := ca.Start()
//	ca.Plan("*.slow.example", sectigotest.Outcome{Kind: sectigotest.Stuck})
//	ca.Break(sectigotest.Fault{Endpoint: "upload", Kind: "reset-after", Count: 1})
//	... run what is under test against url, and ca.Advance(time.Minute) ...
//	ca.Count("upload"), ca.Purchases()
//
// # The life of a batch
//
//	CREATED --Created passes--> PROCESSING --Processing passes, not held--> its outcome
//	READY_FOR_DOWNLOAD --first download--> COLLECTED --TTL passes--> REMOVED_AFTER_EXPIRATION
//	CREATED, PROCESSING --Reject--> REJECTED
//
// Time is that of [Config].Clock and of [CA.Advance]; nothing moves by itself
// but by being looked at.
//
// # The journal
//
// Whatever happens is written to [Config].Journal as one line of JSON: kind is
// request, login, purchase, certificate, download or revocation. A test counts
// purchases there. No password and no token is ever in it.
package sectigotest
