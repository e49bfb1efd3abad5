// Package digicerttest is a stand-in for the Services API of DigiCert
// CertCentral: a real HTTP server with a key, products, organizations, domains
// and orders that take their time, and a CA of its own, shaped like that of
// X9, that really issues. It knows nothing of package digicert, so that a
// mistake there is not made here too.
//
//	ca, err := digicerttest.New(digicerttest.Config{Clock: digicerttest.Stopped(start)})
//	url, stop, err := ca.Start()
//	ca.Plan("*.slow.example.org", digicerttest.Outcome{Kind: digicerttest.Stuck})
//	ca.Break(digicerttest.Fault{Endpoint: "order", Kind: "reset-after", Count: 1})
//	... run what is under test against url, and ca.Advance(time.Minute) ...
//	ca.Count("order"), ca.Purchases()
//
// # The life of an order
//
//	needs_approval --approved--> pending --validated, Processing passes--> issued
//	pending --Canceled or Rejected--> canceled, rejected
//	issued --reissue--> reissue_pending --Processing passes--> issued
//
// Names, usages and validity come from the JSON of the order, and from the CSR
// the key alone, as at the real service. An order is validated when its
// organization is, and each of its names lies in a domain that is. Time is that
// of [Config].Clock and of [CA.Advance]; nothing moves by itself but by being
// looked at.
//
// # The journal
//
// Whatever happens is written to [Config].Journal as one line of JSON: kind is
// request, purchase, reissue, swap, cancel, certificate, download or
// revocation. A test counts purchases there. The API key is never in it.
package digicerttest
