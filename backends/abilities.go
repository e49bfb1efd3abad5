package backends

import (
	"context"
	"crypto"
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

// Reissuer is a backend whose CA issues again, for nothing, what it did not issue
// as it was ordered. A request is given to it at most once, but for a lost request
// that cannot be found.
type Reissuer interface {
	// Reissue asks for the same certificate again, under the same order. It gets
	// the request, the ticket that it has, and the leaf that is wrong, in DER. The
	// ticket that it returns takes the place of the other, and Poll never delivers
	// that leaf for it. Errors mean what those of Submit do.
	Reissue(ctx context.Context, r Request, t Ticket, wrong []byte) (Ticket, error)
	// FindReissue looks for that when the reply was lost, as Find does.
	FindReissue(ctx context.Context, r Request, t Ticket, wrong []byte) (again Ticket, found bool, err error)
}

// Canceler is a backend whose CA can be told that nobody wants a request any more.
type Canceler interface {
	// Cancel asks the CA to give up what it has not issued yet, and gives it a
	// person's reason. Nil means that the CA has given it up: no certificate comes
	// of it any more, and Poll says so from then on. An error means that it may
	// still come, and says why: it is issued, say, or the CA does not let go of
	// it. Cancelling again what was cancelled is no error.
	Cancel(ctx context.Context, r Request, t Ticket, reason string) error
}

// Batcher is a backend that can ask for several certificates with one call. It
// is a Finder too. The engine decides which requests go together.
type Batcher interface {
	// Batching says how many requests may go together at most, and for how long
	// the first of them waits for others. A size below two means that each goes
	// alone. It does not change while the backend is open.
	Batching() (size int, wait time.Duration)
	// MayJoin says whether a request may be sent with others, from the request
	// alone. One that is going to be refused should not spoil it for others.
	MayJoin(r Request) bool
	// SubmitBatch asks for a certificate for each of two requests or more, and
	// returns a ticket for each in the same order. All have the same Batch, which
	// goes where the Key of a single request goes: Find, which gets one of the
	// requests, has to find it by that. No two are for one key, or have a name in
	// common; they may be of different accounts, and nothing of one may get into
	// the ticket, the result or the refusal of another.
	//
	// An error is about all of them. One with ErrTogether in it, or a refusal,
	// means that nothing was bought and that each may be sent alone; one that is
	// NotSent that they may be sent again; any other that nobody knows.
	SubmitBatch(ctx context.Context, rs []Request) ([]Ticket, error)
}

// Continuer is a backend whose Submit only reserves a name for the request: it
// buys nothing, and what it leaves at the CA when its ticket gets lost ends by
// itself. The purchase is a step of Continue, so it is only ever made under a
// ticket that is stored. The engine therefore repeats a Submit whose outcome it
// does not know, and calls Continue where it would call Poll.
type Continuer interface {
	// Continue takes a request one step further and says, as Poll does, what has
	// become of it. It gets the request that the ticket was given for. It must
	// not wait for the CA, and may be called any number of times, by any process:
	// one ticket is never more than one certificate.
	Continue(ctx context.Context, r Request, t Ticket) (Result, error)
}

// Revoker revokes certificates at the CA.
type Revoker interface {
	// Revoke may be repeated; revoking what is already revoked is no error.
	Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error
}

// RenewalInformer is a backend whose CA says when a certificate should be
// renewed, as CAs with RFC 9773 do. The engine asks in the background, keeps
// what it hears, and answers its clients from that.
type RenewalInformer interface {
	// RenewalInfo asks the CA. An error leaves what it said before in force.
	RenewalInfo(ctx context.Context, c acme.Certificate) (RenewalInfo, error)
}

// RenewalInfo is what a CA says of the renewal of a certificate.
type RenewalInfo struct {
	// Window has no start when the CA has nothing to say.
	Window acme.Window
	// Explanation is the URL of a page for people, or empty.
	Explanation string
	// After is when the CA would like to be asked again; zero leaves it to the
	// engine.
	After time.Duration
}

// CRLSigner is a backend that signs its own revocation lists, one for each
// key that it has issued with. The engine keeps the numbers and the entries.
type CRLSigner interface {
	// CRLNames are the names under which the lists are published,
	// "crl/local.crl". One is added when the CA gets a new key, so ask before
	// each round of publishing.
	CRLNames() []string
	// SignCRL returns the DER of the list of that name, with that number and
	// valid from thisUpdate, and when the next one is due. revoked holds
	// whatever the backend's certificates were revoked; the entries of other
	// issuers than the list's are left out here.
	SignCRL(name string, number int64, thisUpdate time.Time, revoked []Revoked) (der []byte, next time.Time, err error)
}

// CRLKeeper is a CRLSigner whose lists follow rules beyond that.
type CRLKeeper interface {
	CRLRule(name string) (CRLRule, error)
	// CRLBundles are files that hold several lists.
	CRLBundles() []CRLBundle
}

// CRLRule is what the engine has to know of a list before it has it signed.
type CRLRule struct {
	// After is the last number that the list had when it was signed elsewhere:
	// the next one is above it.
	After int64
	// Forget: an entry is left out once a list has been made that had it and that
	// is younger than the end of its certificate.
	Forget bool
}

// CRLBundle is a PEM file for the PKI listener, made of publications.
type CRLBundle struct {
	// Name is the path of the bundle, Lists are those of what is in it. What is
	// not there yet is left out.
	Name  string
	Lists []string
}

// Revoked is one entry of a revocation list.
type Revoked struct {
	// Serial and AuthorityKeyID name the certificate, as in acme.Certificate.
	Serial         []byte
	AuthorityKeyID []byte
	At             time.Time
	Reason         acme.RevocationReason
	// NotAfter is the end of the certificate.
	NotAfter time.Time
}

// StatusDelegate is a backend that certifies keys to say in its name whether its
// certificates are good (RFC 6960, section 4.2.2.2): one at a time for each key
// that it has issued with. The engine numbers them, publishes their certificates
// and has them followed by others.
type StatusDelegate interface {
	// StatusSigners are those that should be there. One is added when the CA
	// gets a new key, so ask before each round of publishing.
	StatusSigners() []StatusSigner
	// CertifySigner returns the DER of the certificate of the signer of that
	// number, from a time on, and when the next one should follow. The same
	// arguments give the same bytes.
	CertifySigner(name string, number int64, at time.Time) (der []byte, next time.Time, err error)
	// SignerKey returns the key of that certificate.
	SignerKey(name string, number int64) (crypto.Signer, error)
}

// StatusSigner is one place for a key that speaks for a CA.
type StatusSigner struct {
	// Name is where its certificate is published, "ca/local.ocsp.cer".
	Name string
	// Issuer is the certificate of the CA that it speaks for, in DER.
	Issuer []byte
}

// Publisher is a backend that promises, in its certificates, that its own CA
// certificates, and lists that others signed, can be fetched.
type Publisher interface {
	// Publications are what to serve, and may grow while the backend is open.
	Publications() []Publication
}

// Publication is one object for the PKI listener.
type Publication struct {
	// Name is the path below the root of the listener, "ca/local.cer".
	Name string
	// DER is the certificate, or whatever else ContentType says.
	DER []byte
	// ContentType is that of a certificate unless set.
	ContentType string
	// At is when it was made and Next when there will be another one; zero for
	// what does not change.
	At, Next time.Time
}

// Rehearser is a backend that can tell whether it could ever issue for a holder,
// before anybody asks for it. The error is for the operator.
type Rehearser interface {
	// Rehearse signs nothing and does no I/O.
	Rehearse(h acme.IB1Holder) error
}

// Rooted is a backend that knows the roots its chains end in.
type Rooted interface {
	// Roots are self-signed certificates in DER.
	Roots() [][]byte
	// Intermediates are the further certificates worth publishing, in DER.
	Intermediates() [][]byte
}

// CrossSigned is a backend whose certificates can be shown to lead to other
// roots as well (R8555-7.4.2-2).
type CrossSigned interface {
	// AlternateChains are the further chains, each without the leaf and the
	// root, in DER. They need not fit every leaf: the engine serves those that
	// do, each after it has passed the gate that the usual chain passes. Their
	// roots are among those of Rooted.
	AlternateChains() [][][]byte
}

// Checker looks for whatever could go wrong later, without buying anything.
type Checker interface {
	Check(ctx context.Context) error
}
