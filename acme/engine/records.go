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

// standing returns the account as stored, if it may still order: it, the
// external account key it hangs on and the member it acts for must be in force
// at this very moment (SP-9).
func (e *Engine) standing(tx storage.Tx, id acme.AccountID) (acme.Account, acme.ExternalAccountKey, error) {
	a, err := tx.Accounts().Get(id)
	if err != nil {
		return a, acme.ExternalAccountKey{}, err
	}
	if p := AccountStanding(a); p != nil {
		return a, acme.ExternalAccountKey{}, p
	}
	if m, err := loadMember(tx, a.Member); err != nil {
		return a, acme.ExternalAccountKey{}, err
	} else if m != nil {
		if p := acme.MemberStanding(*m); p != nil {
			return a, acme.ExternalAccountKey{}, p
		}
	}
	if a.ExternalKey == "" {
		return a, acme.ExternalAccountKey{}, nil
	}
	k, err := tx.ExternalKeys().Get(a.ExternalKey)
	if err != nil {
		return a, k, err
	}
	if p := acme.ExternalKeyStanding(k, e.now()); p != nil {
		return a, k, p
	}
	return a, k, nil
}

// entitled decides whether an account in good standing may order: its external
// account key and the registry may each refuse it. version is that of the
// member's record, 0 without one.
func entitled(tx storage.Tx, a acme.Account, k acme.ExternalAccountKey, p acme.Profile, identifiers []acme.Identifier) (version int, err error) {
	if k.ID != "" {
		if p := acme.ExternalKeyAllows(k, p.Name, identifiers); p != nil {
			return 0, p
		}
	}
	m, err := loadMember(tx, a.Member)
	if err != nil {
		return 0, err
	}
	if p := acme.EntitledBy(m, p, identifiers); p != nil || m == nil {
		return 0, orProblem(p, nil)
	}
	return m.Version, nil
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
