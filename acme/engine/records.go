package engine

import (
	"errors"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The loaders. What belongs to somebody is read only through a function that
// takes the owner, and gives the same answer for what is foreign and for what
// is not there (SP-1).

func loadOrder(tx storage.Tx, owner acme.AccountID, id acme.OrderID) (acme.Order, error) {
	o, err := tx.Orders().Get(id)
	return o, owned(o.Account, owner, err)
}

func loadAuthorization(tx storage.Tx, owner acme.AccountID, id acme.AuthorizationID) (acme.Authorization, error) {
	a, err := tx.Authorizations().Get(id)
	return a, owned(a.Account, owner, err)
}

func loadCertificate(tx storage.Tx, owner acme.AccountID, id acme.CertificateID) (acme.Certificate, error) {
	c, err := tx.Certificates().Get(id)
	return c, owned(c.Account, owner, err)
}

func owned(holder, owner acme.AccountID, err error) error {
	if errors.Is(err, storage.ErrNotFound) || err == nil && holder != owner {
		return acme.NotFound()
	}
	return err
}

func loadAuthorizations(tx storage.Tx, ids []acme.AuthorizationID) ([]acme.Authorization, error) {
	authzs := make([]acme.Authorization, len(ids))
	for i, id := range ids {
		var err error
		if authzs[i], err = tx.Authorizations().Get(id); err != nil {
			return nil, err
		}
	}
	return authzs, nil
}

// proofsLookedAt bounds how many of the authorizations of one account for one
// identifier a request looks at. An account gets one more with each order.
const proofsLookedAt = 16

// proofs returns the authorizations by which an account has proved control of
// an identifier and that are valid at now, those first that last longest.
func proofs(tx storage.Tx, owner acme.AccountID, base acme.Identifier, wildcard bool, now time.Time) ([]acme.Authorization, error) {
	found, _, err := tx.Authorizations().Valid(owner, base, wildcard, storage.Page{Limit: proofsLookedAt})
	return slices.DeleteFunc(found, func(a acme.Authorization) bool {
		return !a.Proved() || a.At(now).Status != acme.AuthorizationValid
	}), err
}

// holder is an account that may act, with what it hangs on: the key that bound
// it, zero without one, and the record of its member, nil without one.
type holder struct {
	account acme.Account
	key     acme.ExternalAccountKey
	member  *acme.Member
}

// application is the one that the account orders for; empty for none.
func (h holder) application() string {
	if h.account.ForCSRs {
		return h.account.Application
	}
	return h.key.Application
}

// holder returns the account as stored, if it may still order: it, the external
// account key it hangs on and the member it acts for must be in force at this
// very moment (SP-9).
func (e *Engine) holder(tx storage.Tx, id acme.AccountID) (holder, error) {
	a, err := tx.Accounts().Get(id)
	if err != nil {
		return holder{}, err
	}
	return e.holderOf(tx, a)
}

// holderOf is holder for an account that may not be stored yet.
func (e *Engine) holderOf(tx storage.Tx, a acme.Account) (h holder, err error) {
	h.account = a
	if p := AccountStanding(a); p != nil {
		return h, p
	}
	if h.member, err = loadMember(tx, h.account.Member); err != nil {
		return h, err
	}
	if h.member != nil {
		if p := acme.MemberStanding(*h.member); p != nil {
			return h, p
		}
	}
	if h.account.ExternalKey == "" {
		return h, nil
	}
	if h.key, err = tx.ExternalKeys().Get(h.account.ExternalKey); err != nil {
		return h, err
	}
	return h, orProblem(acme.ExternalKeyStanding(h.key, e.now()), nil)
}

// standing is holder for who needs no more than the account.
func (e *Engine) standing(tx storage.Tx, id acme.AccountID) (acme.Account, error) {
	h, err := e.holder(tx, id)
	return h.account, err
}

// entitled decides whether an account in good standing may order: its external
// account key and the registry may each refuse it. version is that of the
// member's record, 0 without one.
func (h holder) entitled(p acme.Profile, identifiers []acme.Identifier) (version int, err error) {
	if p.IB1.Tree != "" {
		if _, _, err := h.framework(p); err != nil {
			return 0, err
		}
	}
	if p.IB1.Tree.Member() {
		identifiers = nil // they stand for the application, which the framework has judged
	}
	if h.key.ID != "" {
		if p := acme.ExternalKeyAllows(h.key, p.Name, identifiers); p != nil {
			return 0, p
		}
	}
	if p := acme.EntitledBy(h.account.Member, h.member, p, identifiers); p != nil || h.member == nil {
		return 0, orProblem(p, nil)
	}
	return h.member.Version, nil
}

// loadMember returns the record of a member, nil when there is none: members
// may be names that only external account keys know.
func loadMember(tx storage.Tx, id acme.MemberID) (*acme.Member, error) {
	if id == "" {
		return nil, nil
	}
	m, err := tx.Members().Get(id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return &m, err
}

// AccountStanding returns nil for an account that may act (R8555-7.3.6-2).
func AccountStanding(a acme.Account) *acme.Problem {
	switch a.Status {
	case acme.AccountValid:
		return nil
	case acme.AccountDeactivated:
		return acme.Problemf(acme.Unauthorized, "the account was deactivated; register a new one with another key").WithStatus(401)
	default:
		return acme.Problemf(acme.Unauthorized, "the account was revoked by the operator").WithStatus(401)
	}
}

// The jobs of the subjects.

func orderJob(id acme.OrderID) storage.JobID         { return storage.JobID("order/" + id) }
func authzJob(id acme.AuthorizationID) storage.JobID { return storage.JobID("authz/" + id) }
func certJob(id acme.CertificateID) storage.JobID    { return storage.JobID("cert/" + id) }
func accountJob(id acme.AccountID) storage.JobID     { return storage.JobID("account/" + id) }
func memberJob(id acme.MemberID) storage.JobID       { return storage.JobID("member/" + id) }
func publishJob(backend string) storage.JobID        { return storage.JobID("publish/" + backend) }
