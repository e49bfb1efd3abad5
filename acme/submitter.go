package acme

import (
	"crypto/sha256"
	"io"
	"strings"
	"time"
)

// Submitter is who handed in a CSR without ACME, and on what ground.
type Submitter struct {
	// By is a person: a user of the machine, or what a member calls a token.
	By string `cbor:"1,keyasint,omitempty"`
	// Via is the way it came.
	Via SubmissionWay `cbor:"2,keyasint,omitempty"`
	// Vouch is why the operator answers for the control of the names, which
	// takes the place of a proof. Nobody else may.
	Vouch string `cbor:"3,keyasint,omitempty"`
	// Token is the id of the token of a member that it came with, empty for none.
	Token string `cbor:"4,keyasint,omitempty"`
}

// SubmissionWay is a way in which CSRs come without ACME.
type SubmissionWay string

// The ways.
const (
	// ByOperator is the admin socket.
	ByOperator SubmissionWay = "operator"
	// ByMemberAPI is the API that members have beside ACME.
	ByMemberAPI SubmissionWay = "member_api"
)

// note is how the history of an order begins; s is nil for one over ACME.
func (s *Submitter) note() string {
	switch {
	case s == nil:
		return "ordered"
	case s.Via == ByMemberAPI:
		return "ordered with a CSR over the member API, by " + s.By
	default:
		return "ordered with a CSR by the operator " + s.By
	}
}

// Vouched reports whether the word of the operator stands in for proofs of
// control. A word without a reason is none (SP-3).
func (o Order) Vouched() bool {
	return o.Submitted != nil && o.Submitted.Via == ByOperator && strings.TrimSpace(o.Submitted.Vouch) != ""
}

// OrderedWith reports whether the order was placed with that token of a member.
func (o Order) OrderedWith(token string) bool {
	return token != "" && o.Submitted != nil && o.Submitted.Via == ByMemberAPI && o.Submitted.Token == token
}

// CSRAccount returns the account under which the CSRs of a member, or of an
// application of it, are kept in a directory. member is empty for what the
// operator orders for himself. It is found by a hash of these names where
// others are found by that of their key: no key has that hash, so nobody can
// sign for it.
func CSRAccount(d DirectoryName, member MemberID, application string, now time.Time, random io.Reader) (Account, error) {
	id, err := MintID[AccountID](now, random)
	return Account{
		ID: id, Directory: d, Status: AccountValid, KeyHash: CSRAccountKey(d, member, application), Thumbprint: string(id),
		CreatedAt: now, Member: member, Application: application, ForCSRs: true,
	}, err
}

// CSRAccountKey is what such an account is found by.
func CSRAccountKey(d DirectoryName, member MemberID, application string) KeyHash {
	// No SubjectPublicKeyInfo begins with this letter, and no name has a zero byte.
	return sha256.Sum256([]byte("csr account\x00" + string(d) + "\x00" + string(member) + "\x00" + application))
}
