// Package egress decides which addresses this server may connect to, and makes
// the connections. Whoever orders a certificate chooses what the server
// connects to, so without it the server would be a way into every network
// that it can see (SV-1).
//
//	host -> Policy.CheckName -> Resolver -> Policy.Check on each address
//	     -> a slot of the target -> connect -> Policy again on the final address
//
// A [Policy] knows the addresses. A [Resolver] asks the configured DNS servers
// and nobody else; it also looks up TXT and CAA records, and counts what one
// validation asks under [WithLookups]. A [Dialer] puts both together; it never passes a name to
// the operating system, so what was judged is what is connected to. Proxy
// settings of the environment are not read (SV-9).
package egress
