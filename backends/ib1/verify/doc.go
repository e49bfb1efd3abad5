// Package verify tells whether a certificate or a signed record of an IB1 trust
// framework may be believed, and in whose name it speaks.
//
//	TLS connection, or header of a proxy --> Client     --> Identity, or a Failure
//	provenance record                    --> Provenance --> Record, or a Failure
//
// A data source that serves members has a Client and asks it for each request,
// mostly through its Middleware. Whoever receives signed records has a
// Provenance. Both take the roots of one tree of one framework and environment
// and look up revocations in a CRLs, which is fed or fetches.
//
// Every check has a name, a Failure, which is what an error is asked for with
// errors.Is and what logs and answers say. What cannot be checked fails: a list
// that is missing, stale or of somebody else refuses the certificate, because a
// revocation that nobody reads protects nobody.
//
// The package needs nothing but the standard library and the two extensions in
// backends/ib1/extension; it knows nothing of the server that issues.
package verify
