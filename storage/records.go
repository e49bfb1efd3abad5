package storage

import (
	"time"

	"acmebridge/acme"
)

// JobID names the job of a subject: an order, an authorization, a certificate,
// a member or a publication. Having one job per subject makes it impossible to
// step the same thing twice.
type JobID string

// JobKind says which step a job is for.
type JobKind string

// The kinds. Each is carried out by the step of the same name.
const (
	// JobValidate tries the challenge that a client responded to.
	JobValidate JobKind = "validate"
	// JobSubmit asks the CA. A submission found with an attempt but without a
	// ticket was interrupted, and is looked up before anything is sent.
	JobSubmit JobKind = "submit"
	// JobApprove waits for an operator's approval; its step ends an order that
	// nobody approved in time.
	JobApprove JobKind = "approve"
	// JobPoll asks the CA whether it is done.
	JobPoll JobKind = "poll"
	// JobExpire ends an order that nobody finalized in time.
	JobExpire JobKind = "expire"
	// JobRevoke tells the CA of a revocation that was already accepted.
	JobRevoke JobKind = "revoke"
	// JobPublish makes a new CRL.
	JobPublish JobKind = "publish"
	// JobCancel ends the open orders of an account that is gone.
	JobCancel JobKind = "cancel"
	// JobMember carries out what follows from a member being frozen or removed.
	JobMember JobKind = "member"
)

// Job is due work. It is stored in the same commit as the change that makes it
// necessary and removed or replaced in the commit of its result.
type Job struct {
	ID   JobID   `cbor:"1,keyasint,omitempty"`
	Kind JobKind `cbor:"2,keyasint,omitempty"`
	// Due is when the job may be taken. While it is leased, Due is the end of
	// the lease, so that a lease left by a crash is due by itself.
	Due time.Time `cbor:"3,keyasint,omitzero"`
	// Attempt counts the times the job was taken.
	Attempt int   `cbor:"4,keyasint,omitempty"`
	Lease   Lease `cbor:"5,keyasint,omitzero"`
	// Account is whom the work is for: the engine is fair between accounts.
	Account acme.AccountID `cbor:"6,keyasint,omitempty"`
	// Subject is the id of what the job is about, and Challenge the type of
	// the challenge to validate.
	Subject   string             `cbor:"7,keyasint,omitempty"`
	Challenge acme.ChallengeType `cbor:"8,keyasint,omitempty"`
	// Parked says why the job waits for a person; it is not due then.
	Parked string `cbor:"9,keyasint,omitempty"`
	// LastError is the last failure, for the operator.
	LastError string `cbor:"10,keyasint,omitempty"`
	// Backend is whom the step talks to, if anybody: a slow CA holds up its
	// own work only.
	Backend string `cbor:"11,keyasint,omitempty"`
	// Failures counts the attempts that failed since one got somewhere. It is
	// what a job is parked for; being asked for long is no failure.
	Failures int `cbor:"12,keyasint,omitempty"`
	// Waits says on whose approval the order waits: that of an operator here, or
	// of somebody at the CA. It is empty when it waits for neither.
	Waits Approver `cbor:"13,keyasint,omitempty"`
	// Credentials says of LastError that the CA did not accept ours: trying
	// again does not help until somebody corrects them.
	Credentials bool `cbor:"14,keyasint,omitempty"`
	// Stopped says that a request could not be sent because of what an operator
	// has to put right: the balance, the credentials or the profile at the CA.
	// It stays until something was sent.
	Stopped bool `cbor:"15,keyasint,omitempty"`
}

// Approver says who has to approve an order.
type Approver string

// The approvers.
const (
	ApproverHere Approver = "here"
	ApproverAtCA Approver = "ca"
)

// Lease says which run of the program works on a job, and until when.
type Lease struct {
	Holder string    `cbor:"1,keyasint,omitempty"`
	Until  time.Time `cbor:"2,keyasint,omitzero"`
	// Batch is set while the request goes to the CA with others: the step of one
	// job does it for all, and the steps of the others leave it alone.
	Batch string `cbor:"3,keyasint,omitempty"`
}

// Submission is our record of asking a CA for a certificate. It is committed
// before the CA hears of it.
type Submission struct {
	ID acme.SubmissionID `cbor:"1,keyasint,omitempty"`
	// Key is ours, random, and travels to the CA where the CA has a place for
	// it; by it a lost reply is found again.
	Key     string         `cbor:"2,keyasint,omitempty"`
	Order   acme.OrderID   `cbor:"3,keyasint,omitempty"`
	Account acme.AccountID `cbor:"4,keyasint,omitempty"`
	Backend string         `cbor:"5,keyasint,omitempty"`
	// CSR is dropped when the order is over; its hash stays in the order.
	CSR      []byte        `cbor:"6,keyasint,omitempty"`
	Contract acme.Contract `cbor:"7,keyasint,omitzero"`
	// SentAt is when the request was last about to be sent; with no Ticket
	// beside it, the outcome is unknown.
	SentAt   time.Time `cbor:"8,keyasint,omitzero"`
	Attempts int       `cbor:"9,keyasint,omitempty"`
	// Ticket is the CA's answer, opaque to the engine.
	Ticket    string    `cbor:"10,keyasint,omitempty"`
	CreatedAt time.Time `cbor:"11,keyasint,omitzero"`
	// Deadline is when the order fails if the CA has not answered.
	Deadline time.Time `cbor:"12,keyasint,omitzero"`
	// Quarantine holds a chain that the CA delivered and that is not, or not
	// yet, known to be what was ordered (SC-8). It is never served.
	Quarantine [][]byte `cbor:"13,keyasint,omitempty"`
	// Evidence says what is known of an unknown outcome, for the operator.
	Evidence string `cbor:"14,keyasint,omitempty"`
	// Misses counts the looks at the CA that did not find the request, and
	// FirstMiss is when the first of them was: one look proves nothing (SC-4).
	Misses    int       `cbor:"15,keyasint,omitempty"`
	FirstMiss time.Time `cbor:"16,keyasint,omitzero"`
	// Need is what the certificate is for, where a later order may share it: an
	// order for the same finds this one. It is zero for what costs nothing.
	Need acme.Need `cbor:"17,keyasint,omitzero"`
	// ApproveBy is until when a person has to approve before anything is sent;
	// zero when nobody has to. Approval is who did.
	ApproveBy time.Time      `cbor:"18,keyasint,omitzero"`
	Approval  *acme.Approval `cbor:"19,keyasint,omitempty"`
	// GivenUp is when the order was ended because the CA, which has accepted the
	// request, was not done by the deadline, or before the CA had brought to it
	// what it was to take over. The CA may still be at it.
	GivenUp time.Time `cbor:"20,keyasint,omitzero"`
	// Resent says that the request was sent once more on the profile's permission,
	// with nobody knowing what became of the first time. It is good for once
	// (SC-4).
	Resent bool `cbor:"21,keyasint,omitempty"`
	// TakesOver is the ticket of the earlier request whose place this one takes
	// at the CA, with another key.
	TakesOver string `cbor:"22,keyasint,omitempty"`
	// Batch is the key under which the request went to the CA together with
	// others, empty when it went alone. It is stored before it is sent.
	Batch string `cbor:"23,keyasint,omitempty"`
	// Alone says that the request is not sent together with others any more,
	// because one of those it was sent with spoiled it for all.
	Alone bool `cbor:"24,keyasint,omitempty"`
	// Refused says that the CA would not let the request take over what TakesOver
	// names.
	Refused bool `cbor:"25,keyasint,omitempty"`
	// Reissue is set when the CA issued something else than was ordered, and is
	// asked to issue it again. That is tried once.
	Reissue *Reissue `cbor:"26,keyasint,omitempty"`
}

// Reissue is a second certificate for a request whose first one was wrong.
type Reissue struct {
	// Wrong is the chain that is not what was ordered, as evidence. It is never
	// served.
	Wrong [][]byte `cbor:"1,keyasint,omitempty"`
	// SentAt is when the CA was last about to be asked; unless Done, nobody knows
	// what became of that.
	SentAt time.Time `cbor:"2,keyasint,omitzero"`
	// Resent says that the CA is asked once more, because it does not show that it
	// was asked before. It is good for once (SC-4).
	Resent bool `cbor:"3,keyasint,omitempty"`
	// Done says that the CA has accepted: the Ticket is that of the reissue.
	Done bool `cbor:"4,keyasint,omitempty"`
}

// BlockedKey is a key that may never be used again, and why.
type BlockedKey struct {
	Hash   acme.KeyHash `cbor:"1,keyasint,omitempty"`
	Reason string       `cbor:"2,keyasint,omitempty"`
	At     time.Time    `cbor:"3,keyasint,omitzero"`
}

// Publication is a signed object that the public may fetch.
type Publication struct {
	// Name is the path below the root of the PKI listener, "crl/local.crl".
	Name        string    `cbor:"1,keyasint,omitempty"`
	Backend     string    `cbor:"2,keyasint,omitempty"`
	ContentType string    `cbor:"3,keyasint,omitempty"`
	Body        []byte    `cbor:"4,keyasint,omitempty"`
	Number      int64     `cbor:"5,keyasint,omitempty"`
	At          time.Time `cbor:"6,keyasint,omitzero"`
	Next        time.Time `cbor:"7,keyasint,omitzero"`
}
