// Package globalsigntest is a stand-in for the HVCA interface of GlobalSign
// Atlas: a real HTTPS server that demands a client certificate and a token, with
// a validation policy, claimed domains, a quota, and a CA of its own that really
// issues. It knows nothing of package globalsign, so that a mistake there is not
// made here too.
//
//	ca, err := globalsigntest.New(globalsigntest.Config{Clock: standin.Stopped(start)})
//	url, stop, err := ca.Start()
//	ca.Plan("*.slow.example.org", globalsigntest.Outcome{Kind: globalsigntest.Stuck})
//	ca.Break(standin.Fault{Endpoint: "order", Kind: "reset-after", Count: 1})
//	... run what is under test against url, and ca.Advance(time.Minute) ...
//	ca.Count("order"), ca.Purchases()
//
// # The life of an order
//
//	ordered --Processing passes--> ISSUED --revoked--> REVOKED
//
// Until then a certificate answers 202. Names, usages and validity come from the
// JSON, and from the CSR the key alone, as at the real service; what the policy
// does not give is refused with 422. What was issued shows in the statistics
// after Visibility.
//
// # The journal
//
// Its kinds are request, purchase, certificate and revocation. API secrets are
// never in it.
package globalsigntest
