// Package upstream has certificates issued by any CA that speaks ACME (RFC 8555):
// it is a client of that CA, with one account, as acmebridge is a server to ours.
//
//	b, err := upstream.New(upstream.Config{DirectoryURL: ..., Dir: "data/upstream/le", AgreeToTerms: true,
//		Roots: roots, Solvers: []upstream.Solver{dns}})
//
// # The life of a request
//
//	Submit     newOrder                              the ticket is the URL of the order
//	Continue   pending     show proofs, answer challenges
//	           ready       finalize                  the purchase
//	           processing  wait as long as the CA says
//	           valid       download, take the proofs back
//
// Each call of Continue reads the order first and does what its state asks for,
// so a call may be repeated, cut off anywhere, or made by another process.
//
// # Nothing is bought twice
//
// The purchase is finalize, and it is only made under an order whose URL the
// engine has stored (SC-17). An order gives one certificate at most: to
// finalize it again, because the reply got lost or we died, changes nothing at
// the CA, and the next look tells what became of the first time. What can get
// lost is the reply to newOrder. It leaves an order at the CA that nobody
// finalizes; that costs nothing and expires, so another one is made without
// asking anybody.
//
// # Proofs
//
// What the CA has proved for one owner never serves another. A member (or an
// account without one) holds the authorizations of its orders while they are
// under way, and another owner that meets one waits. One that nobody holds and
// that is valid in a new order all the same is deactivated (RFC 8555, 7.5.2), and
// the order made anew. Nor does a proof at the CA count as one of ours: the
// engine does not hear of it (SC-17).
//
// A CA that trusts its customer, because names were vetted in its portal, has
// no challenges. For it there are no solvers, and its authorizations stay as
// they are.
//
// # What clients hear
//
// A refusal in words of ours. No URL, header or sentence of the CA gets to them
// (SC-17, SC-18): those are in the cause of an error, for the operator.
package upstream
