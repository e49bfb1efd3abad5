// Package godaddytest is a stand-in for version 1 of the certificates API of
// GoDaddy: a real HTTP server with credits, orders that take their time, and a CA
// of its own that really issues. It knows nothing of package godaddy, so that a
// mistake there is not made here too.
//
//	ca, err := godaddytest.New(godaddytest.Config{Clock: standin.Stopped(start)})
//	url, stop, err := ca.Start()
//	ca.Plan("*.slow.example.org", godaddytest.Outcome{Kind: godaddytest.Stuck})
//	ca.Break(standin.Fault{Endpoint: "order", Kind: "reset-after", Count: 1})
//	... run what is under test against url, and ca.Advance(time.Minute) ...
//	ca.Count("order"), ca.Purchases()
//
// # The life of an order
//
//	PENDING_ISSUANCE --Processing passes--> ISSUED --revoked--> REVOKED
//
//	ISSUED --reissued--> another one PENDING_REKEY --> ISSUED, and this one REVOKED after delayExistingRevoke
//
// An order takes a credit, and so does a renewal, and is for an RSA key. Nobody can choose usages: they
// are both, or from [Config].ServerOnlyFrom on serverAuth alone. Dates are empty
// where others would leave them out.
//
// # The journal
//
// Its kinds are request, purchase, renewal, reissue, cancel, certificate and revocation. API secrets are
// never in it.
package godaddytest
