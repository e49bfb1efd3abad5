package engine

import (
	"errors"

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

// standing returns the account as stored, if it may still order: it and the
// external account key it hangs on must be in force at this very moment (SP-9).
func (e *Engine) standing(tx storage.Tx, id acme.AccountID) (acme.Account, acme.ExternalAccountKey, error) {
	a, err := tx.Accounts().Get(id)
	if err != nil {
		return a, acme.ExternalAccountKey{}, err
	}
	if p := AccountStanding(a); p != nil {
		return a, acme.ExternalAccountKey{}, p
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
func publishJob(backend string) storage.JobID        { return storage.JobID("publish/" + backend) }
