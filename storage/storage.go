package storage

import (
	"context"
	"errors"
	"time"

	"acmebridge/acme"
)

// The errors that callers branch on.
var (
	// ErrNotFound is returned by Get for a record that is not there.
	ErrNotFound = errors.New("storage: not found")
	// ErrConflict is returned by Put for a record whose unique value belongs to
	// another record: the key of an account within its directory, and the key
	// of a submission (SC-2). A store that writes only when it commits returns
	// it from Update.
	ErrConflict = errors.New("storage: the value belongs to another record")
	// ErrReadOnly is returned by what writes within a View.
	ErrReadOnly = errors.New("storage: written to within a View")
	// ErrUnknown says that a commit failed in a way that leaves open whether
	// it happened. The store refuses everything from then on, with ErrClosed,
	// because what it would read may not survive the next start.
	ErrUnknown = errors.New("storage: outcome of the commit is unknown")
	// ErrDamaged says that a stored record failed its checksum or is of a
	// version this program does not know.
	ErrDamaged = errors.New("storage: record is damaged")
	// ErrNewer says that the data was written by a newer program (SS-18).
	ErrNewer = errors.New("storage: data is newer than this program")
	// ErrLocked says that another process has the data open.
	ErrLocked = errors.New("storage: in use by another process")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("storage: closed")
)

// Store keeps the records.
type Store interface {
	// View runs fn over a consistent state that it cannot change.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn and commits what it wrote, whole or not at all. fn may
	// run again. A ctx that is done before fn first runs leaves no trace; once
	// the commit has begun, ctx no longer matters. A panic of fn reaches the
	// caller like one of its own, after what fn wrote was undone.
	Update(ctx context.Context, fn func(Tx) error) error
	Close() error
}

// Tx is one transaction, over when its function returns: used afterwards it
// answers ErrClosed. Records without a key are refused. Prefetch tells a store over a network which records
// the function is about to Get, so that it may read them in one round trip;
// the others do nothing. It never changes a result.
type Tx interface {
	Prefetch(keys ...Key)

	Accounts() Accounts
	Orders() Orders
	Authorizations() Authorizations
	Jobs() Jobs
	Submissions() Submissions
	Certificates() Certificates
	ExternalKeys() ExternalKeys
	Members() Members
	BlockedKeys() BlockedKeys
	Publications() Publications
	Meta() Meta
}

// Key names a record for Prefetch: a table ("accounts", "orders", ...) and the
// record's key in it.
type Key struct {
	Table string
	ID    string
}

// Page asks for up to Limit records after the key After, which is the empty
// string for the first page. Lists return the key to go on with, or "" when
// there is nothing more. Where a list goes by id the key is an id, which need
// not exist; elsewhere it is opaque, printable, and only good for that list. A
// Limit that is not positive means 100.
type Page struct {
	After string
	Limit int
}

// Size returns how many records the page asks for.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return 100
	}
	return p.Limit
}

// Accounts keeps accounts, with an index by directory and key.
type Accounts interface {
	Get(acme.AccountID) (acme.Account, error)
	// Put inserts or replaces. When the account's key changed, the old key no
	// longer finds it. A key that another account of that directory has is
	// ErrConflict.
	Put(acme.Account) error
	// ByKey returns the account of that key in that directory, or ErrNotFound.
	ByKey(acme.DirectoryName, acme.KeyHash) (acme.Account, error)
	// KeyInUse reports whether any account of any directory has that key.
	KeyInUse(acme.KeyHash) (bool, error)
	// ByMember and List go by id, that is by age.
	ByMember(acme.MemberID, Page) ([]acme.Account, string, error)
	List(Page) ([]acme.Account, string, error)
}

// Orders keeps orders, with indexes by account, by member and by the order that
// they are attached to.
type Orders interface {
	Get(acme.OrderID) (acme.Order, error)
	Put(acme.Order) error
	// ByAccount lists the orders of an account, oldest first.
	ByAccount(acme.AccountID, Page) ([]acme.Order, string, error)
	ByMember(acme.MemberID, Page) ([]acme.Order, string, error)
	List(Page) ([]acme.Order, string, error)
	// OpenByAccount and OpenByMember count orders that are not over at a time.
	// No count goes beyond limit, and nothing but an index is read for it. Time
	// goes by whole seconds here: what ends within the second asked about is
	// over.
	OpenByAccount(id acme.AccountID, at time.Time, limit int) (OpenOrders, error)
	OpenByMember(id acme.MemberID, at time.Time, limit int) (OpenOrders, error)
	// ProcessingFor counts the orders of an account that are processing for
	// exactly those identifiers, up to limit.
	ProcessingFor(id acme.AccountID, set acme.NameSet, limit int) (int, error)
	// Attached lists the orders that are processing and wait for what was asked
	// of a CA for that other order, oldest first.
	Attached(to acme.OrderID, p Page) ([]acme.Order, string, error)
}

// OpenOrders counts orders that are not over.
type OpenOrders struct {
	// Waiting orders are pending or ready, and have not expired.
	Waiting int
	// Processing orders are with a CA.
	Processing int
	// Expires is when the first of the waiting ones will be over by itself;
	// zero without any.
	Expires time.Time
}

// Authorizations keeps authorizations and the challenges in them, with an
// index of the valid ones by account and identifier.
type Authorizations interface {
	Get(acme.AuthorizationID) (acme.Authorization, error)
	Put(acme.Authorization) error
	// Valid lists the stored authorizations of an account for that identifier
	// (without wildcard prefix) and wildcard flag whose status is valid, those
	// first that expire last. Expired ones are among them: the caller compares.
	Valid(owner acme.AccountID, id acme.Identifier, wildcard bool, p Page) ([]acme.Authorization, string, error)
	// List goes by id, that is by age.
	List(Page) ([]acme.Authorization, string, error)
}

// Jobs keeps due work. There is at most one job for a subject.
//
// A damaged job must not hold up the others: its lists leave it out and return
// the rest together with an error for which errors.Is(err, ErrDamaged) holds.
type Jobs interface {
	Get(JobID) (Job, error)
	Put(Job) error
	// Delete removes the job; removing what is not there is no error.
	Delete(JobID) error
	// Due lists up to limit jobs whose Due is not after now, earliest first,
	// whether leased or not: a leased job is due when its lease ends. Parked
	// jobs are never due.
	Due(now time.Time, limit int) ([]Job, error)
	// Next returns the earliest Due of all jobs that are not parked; ok is
	// false when there is none.
	Next() (due time.Time, ok bool, err error)
	// LeasedByOthers lists jobs with a lease whose holder is not holder, for
	// the rescuer at start.
	LeasedByOthers(holder string, p Page) ([]Job, string, error)
	// Parked lists jobs that wait for a person.
	Parked(Page) ([]Job, string, error)
	// Count returns how many jobs there are, and how many of them are parked,
	// without walking them.
	Count() (all, parked int, err error)
	// Queued counts the jobs for a backend that are not parked, up to limit.
	Queued(backend string, limit int) (int, error)
	// Waiting lists the jobs of orders that wait for somebody to approve them.
	Waiting(Page) ([]Job, string, error)
}

// Submissions keeps what was asked of the CAs, with indexes by key and by need.
type Submissions interface {
	Get(acme.SubmissionID) (Submission, error)
	// Put inserts or replaces. A key that another submission has is
	// ErrConflict: one reference never stands for two purchases (SC-2).
	Put(Submission) error
	ByKey(key string) (Submission, error)
	// ByNeed lists what was asked for a need, the latest first. What serves no
	// need that anybody could share is not among it.
	ByNeed(need acme.Need, p Page) ([]Submission, string, error)
}

// Certificates keeps issued certificates, with indexes by serial, by RFC 9773
// id, by key, by account, by member, by expiry and of the revoked ones.
type Certificates interface {
	Get(acme.CertificateID) (acme.Certificate, error)
	Put(acme.Certificate) error
	// BySerial returns the certificates of that serial, oldest first; issuers
	// may repeat each other's serials. None is no error.
	BySerial(serial []byte) ([]acme.Certificate, error)
	// ByCertID finds by authority key identifier and serial (RFC 9773, 4.1),
	// the oldest when a CA repeated itself.
	ByCertID(authorityKeyID, serial []byte) (acme.Certificate, error)
	// KeyInUse reports whether a certificate has that key.
	KeyInUse(acme.KeyHash) (bool, error)
	// ByKey lists the certificates of that key, whoever has them.
	ByKey(acme.KeyHash, Page) ([]acme.Certificate, string, error)
	ByAccount(acme.AccountID, Page) ([]acme.Certificate, string, error)
	ByMember(acme.MemberID, Page) ([]acme.Certificate, string, error)
	List(Page) ([]acme.Certificate, string, error)
	// Expiring lists what ends in [from, to), soonest first.
	Expiring(from, to time.Time, p Page) ([]acme.Certificate, string, error)
	// Revoked lists the revoked certificates of a backend.
	Revoked(backend string, p Page) ([]acme.Certificate, string, error)
	// Live counts the certificates of a member that at a time are neither
	// expired nor revoked nor renewed, up to limit, and says when the first of
	// them ends; by whole seconds, as certificates have them.
	Live(id acme.MemberID, at time.Time, limit int) (n int, ends time.Time, err error)
	// IssuedFor returns when certificates for exactly those identifiers were
	// issued since a time, whoever ordered them: the latest limit of them,
	// earliest first. Only those with CountsNames are found.
	IssuedFor(set acme.NameSet, since time.Time, limit int) ([]time.Time, error)
	// Chain and PutChain keep the shared upper part of chains, once each.
	Chain(acme.ChainHash) (acme.Chain, error)
	PutChain(acme.Chain) error
}

// RevokedLister is an ability of Certificates: Revoked, without what no revocation
// list needs. With 100,000 of them that is half of the time.
type RevokedLister interface {
	RevokedEntries(backend string, p Page) ([]RevokedEntry, string, error)
}

// RevokedEntry is what revocation lists say of a certificate. Its fields are
// those of the certificate, under the same numbers.
type RevokedEntry struct {
	ID             acme.CertificateID `cbor:"1,keyasint,omitempty"`
	Backend        string             `cbor:"6,keyasint,omitempty"`
	Serial         []byte             `cbor:"10,keyasint,omitempty"`
	AuthorityKeyID []byte             `cbor:"11,keyasint,omitempty"`
	NotAfter       time.Time          `cbor:"15,keyasint,omitzero"`
	Revocation     *acme.Revocation   `cbor:"17,keyasint,omitempty"`
}

// ExternalKeys keeps external account keys, with an index by member.
type ExternalKeys interface {
	Get(acme.KeyID) (acme.ExternalAccountKey, error)
	Put(acme.ExternalAccountKey) error
	ByMember(acme.MemberID, Page) ([]acme.ExternalAccountKey, string, error)
	List(Page) ([]acme.ExternalAccountKey, string, error)
}

// Members keeps the registry of the ecosystem: who may have what. Which version
// may follow which is the caller's to decide.
type Members interface {
	Get(acme.MemberID) (acme.Member, error)
	Put(acme.Member) error
	// List goes by id.
	List(Page) ([]acme.Member, string, error)
}

// BlockedKeys keeps the keys that may never be used again (EK-9).
type BlockedKeys interface {
	Get(acme.KeyHash) (BlockedKey, error)
	Put(BlockedKey) error
}

// Publications keeps what is served to the public: CRLs and the like.
type Publications interface {
	Get(name string) (Publication, error)
	Put(Publication) error
	List(Page) ([]Publication, string, error)
}

// Meta keeps a few named values, such as the instance id.
type Meta interface {
	Get(name string) ([]byte, error)
	Put(name string, value []byte) error
}
