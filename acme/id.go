package acme

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Ids are distinct types, so that the compiler refuses an order where an
// account is meant: swapping two ids is the classic ownership bug.
type (
	// DirectoryName names one ACME endpoint with its own account space.
	DirectoryName string
	// AccountID identifies an account within the whole server.
	AccountID string
	// OrderID identifies an order.
	OrderID string
	// AuthorizationID identifies an authorization. A challenge has no id of
	// its own: it is named by its authorization and its type.
	AuthorizationID string
	// CertificateID identifies an issued certificate.
	CertificateID string
	// SubmissionID identifies our record of asking a CA.
	SubmissionID string
	// MemberID names a member of the ecosystem, as its registry does.
	MemberID string
	// KeyID is the identifier of an external account key (RFC 8555, 7.3.4).
	KeyID string
)

// idEncoding keeps the order of the bytes it encodes, needs no escaping in a
// URL, a shell or a file name, and survives a person reading it aloud.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const (
	idBytes  = 6 + 16
	idLength = 36
)

// MintID returns an identifier that sorts by time (48 bits of milliseconds),
// so that neighbours in time are neighbours in the store, followed by 128 bits
// read from random, so that nobody can guess a URL (R8555-10.5-2).
func MintID[ID ~string](now time.Time, random io.Reader) (ID, error) {
	var b [8 + 16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	if _, err := io.ReadFull(random, b[6:idBytes]); err != nil {
		return "", fmt.Errorf("acme: mint an id: %w", err)
	}
	return ID(idEncoding.EncodeToString(b[:idBytes])), nil
}

// ValidID reports whether s has the shape of an identifier minted here. A
// front uses it to answer an impossible id without asking the store.
func ValidID(s string) bool {
	if len(s) != idLength {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'v') {
			return false
		}
	}
	return true
}
