// Package standin is what imitations of certificate authorities have in common:
// a real HTTP server with a virtual clock, faults, a journal, a control port, and
// a small hierarchy that really issues. It knows nothing of any CA, and nothing
// of the clients that are tested against one, so that a mistake there is not made
// here too.
//
//	type CA struct {
//		*standin.Server
//		...
//	}
//	ca.Server = standin.New(standin.Config{Base: "/v2/", Endpoints: endpoints, Settle: ca.settle, Admit: ca.admit})
//
// Everything that an endpoint does happens with [Server].Lock held, so that an
// imitation needs no other lock. Time is that of [Config].Clock and of
// [Server.Advance]; nothing moves by itself but by being looked at.
//
// # The journal
//
// Whatever happens is written to [Config].Journal as one line of JSON. A test
// counts purchases there. Credentials are never in it: of headers it has the
// names, and an endpoint can keep its body out.
package standin
