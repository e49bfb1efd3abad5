package backends

import (
	"context"
	"time"

	"acmebridge/acme"
)

// Issuer is a backend whose certificate is a pure function of the request:
// no I/O, no cost, nothing outside of this process that could remember having
// issued. The engine may then issue first and commit the intention and the
// result at once, because a crash in between leaves nothing behind: the same
// request gives the same bytes, and nobody has seen them.
type Issuer interface {
	Issue(r Request) (chain [][]byte, err error)
}

// Finder looks for a request whose reply was lost.
type Finder interface {
	// Find returns the ticket of the request with that key. found is false
	// when the CA is known not to have it as of this moment; when that cannot
	// be told, Find returns an error.
	Find(ctx context.Context, r Request) (t Ticket, found bool, err error)
}

// Revoker revokes certificates at the CA.
type Revoker interface {
	// Revoke may be repeated; revoking what is already revoked is no error.
	Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error
}

// CRLSigner is a backend that signs its own revocation lists. The engine
// keeps the numbers and the entries.
type CRLSigner interface {
	// CRLName is the name under which the list is published, "crl/local.crl".
	CRLName() string
	// SignCRL returns the DER of a list with that number, valid from thisUpdate,
	// and when the next one is due.
	SignCRL(number int64, thisUpdate time.Time, revoked []Revoked) (der []byte, next time.Time, err error)
}

// Revoked is one entry of a revocation list.
type Revoked struct {
	Serial []byte
	At     time.Time
	Reason acme.RevocationReason
}

// Rooted is a backend that knows the roots its chains end in.
type Rooted interface {
	// Roots are self-signed certificates in DER.
	Roots() [][]byte
	// Intermediates are the further certificates worth publishing, in DER.
	Intermediates() [][]byte
}

// Checker looks for whatever could go wrong later, without buying anything.
type Checker interface {
	Check(ctx context.Context) error
}
