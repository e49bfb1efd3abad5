// Package challenges proves, or fails to prove, that an account controls an
// identifier. A [Validator] turns an identifier and a key authorization into
// an [acme.Outcome]; it writes nothing and decides nothing about orders. The
// methods are http-01 ([HTTP01]), tls-alpn-01 ([TLSALPN01]), dns-01 ([DNS01]),
// dns-account-01 ([DNSAccount01]) and dns-persist-01 ([DNSPersist01]). [CAA]
// asks whether the holder of a domain wants this CA at all.
//
// Each attempt has one time-out and one allowance of DNS questions, notes its
// steps, and ends in words of our own: URL, address, counts and names, but
// never a byte that somebody answered with.
package challenges

import (
	"context"

	"acmebridge/acme"
)

// Validator tries one type of challenge.
//
// Validate makes one attempt and returns soon after ctx ends. Whatever goes
// wrong is an Outcome with a Problem that a person can act on; it never echoes
// a byte that was fetched (SV-8). It may be called from many goroutines.
type Validator interface {
	Type() acme.ChallengeType
	Validate(ctx context.Context, t Target) acme.Outcome
}

// Target is what has to be proved.
type Target struct {
	Identifier acme.Identifier
	Wildcard   bool
	Token      string
	// KeyAuthorization is what the client must present (RFC 8555, 8.1).
	KeyAuthorization string
	// AccountURL is for the methods that name the account.
	AccountURL string
	// Thumbprints are those of further keys of the account, such as earlier
	// ones, for the method whose records outlive a key.
	Thumbprints []string
	// IssuerDomainNames are those that a dns-persist-01 challenge offered.
	IssuerDomainNames []string
}
