package engine

import (
	"context"
	"errors"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// AccountRequest is a newAccount request whose signature was verified with the
// key it names.
type AccountRequest struct {
	Directory  acme.DirectoryName
	Key        []byte // SubjectPublicKeyInfo
	KeyHash    acme.KeyHash
	Thumbprint string
	// CheckKey applies the key policy; it is a function because an account
	// that exists already is answered without looking at its key.
	CheckKey   func() *acme.Problem
	Contact    []string
	Terms      bool
	OnlyReturn bool
	Binding    *Binding
}

// Binding is an external account binding that has the right form. Verify
// checks it with the MAC key, which never leaves the engine otherwise.
type Binding struct {
	KeyID  acme.KeyID
	Raw    []byte
	Verify func(macKey []byte) *acme.Problem
}

// NewAccount returns the account of that key, and whether it was created now.
//
// A key that is registered already gets its account, whatever else the request
// says (R8555-7.3.1-1): X-Road asks with the same external account binding and
// without terms on every renewal.
func (e *Engine) NewAccount(ctx context.Context, r AccountRequest) (acme.Account, bool, error) {
	d, ok := e.directories[r.Directory]
	if !ok {
		return acme.Account{}, false, acme.NotFound()
	}
	existing, found, err := e.AccountByKey(ctx, r.Directory, r.KeyHash)
	if err != nil || found {
		return existing, false, err
	}
	if p := checkNewAccount(d, r); p != nil {
		return acme.Account{}, false, p
	}
	if p := e.busy(2); p != nil { // after new orders, and never one that exists
		return acme.Account{}, false, p
	}
	if r.Binding != nil {
		if err := e.verifyBinding(ctx, d, *r.Binding); err != nil {
			return acme.Account{}, false, err
		}
	}
	var account acme.Account
	created := false
	id, err := acme.MintID[acme.AccountID](e.now(), e.cfg.Random)
	if err != nil {
		return account, false, err
	}
	err = e.commit(ctx, func(tx storage.Tx) error {
		now := e.now()
		created = false
		// R8555-7.3-9: of two requests at once, one creates and both get it.
		existing, err := tx.Accounts().ByKey(r.Directory, r.KeyHash)
		if err == nil {
			account = existing
			return nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if p, err := keyTaken(tx, r.KeyHash); err != nil || p != nil {
			return orProblem(p, err)
		}
		account = acme.Account{
			ID: id, Directory: r.Directory, Status: acme.AccountValid, Key: r.Key, KeyHash: r.KeyHash,
			Thumbprint: r.Thumbprint, Contact: r.Contact, CreatedAt: now,
		}
		if r.Terms {
			account.TermsAgreedAt = now
		}
		if r.Binding != nil {
			if err := bind(tx, d, r.Binding, &account, e); err != nil {
				return err
			}
		}
		created = true
		return tx.Accounts().Put(account)
	}, failpoint.NewAccount)
	if err != nil {
		return acme.Account{}, false, err
	}
	if p := AccountStanding(account); p != nil {
		return acme.Account{}, false, p
	}
	if created {
		e.log.Info("account created", "event", "account.created", "account", account.ID, "directory", d.Name,
			"member", account.Member, "external_key", account.ExternalKey)
	}
	return account, created, nil
}

// checkNewAccount holds the rules that need no record.
func checkNewAccount(d acme.Directory, r AccountRequest) *acme.Problem {
	if r.OnlyReturn {
		return acme.Problemf(acme.AccountDoesNotExist, "no account of this directory has that key")
	}
	if p := r.CheckKey(); p != nil {
		return p
	}
	if d.TermsOfService != "" && !r.Terms {
		p := acme.Problemf(acme.UserActionRequired, "agree to the terms of service at %s", d.TermsOfService)
		p.Instance = d.TermsOfService
		return p
	}
	if p := d.CheckContacts(r.Contact); p != nil {
		return p
	}
	switch {
	case r.Binding == nil && d.ExternalAccount == acme.ExternalAccountMandatory:
		return acme.Problemf(acme.ExternalAccountRequired, "accounts of this directory are bound to a member: ask the operator for a key id and HMAC key, and configure your client with them")
	case r.Binding != nil && d.ExternalAccount == acme.ExternalAccountOff:
		return acme.Problemf(acme.Malformed, "this directory takes no external account binding; register without one")
	}
	return nil
}

// keyTaken says whether a key may not become an account key: it is blocked, or
// a certificate has it (EK-9, EK-13).
func keyTaken(tx storage.Tx, key acme.KeyHash) (*acme.Problem, error) {
	if _, err := tx.BlockedKeys().Get(key); err == nil {
		return acme.Problemf(acme.BadPublicKey, "this key was reported as compromised; use another one"), nil
	} else if !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	used, err := tx.Certificates().KeyInUse(key)
	if err != nil || !used {
		return nil, err
	}
	return acme.Problemf(acme.BadPublicKey, "a certificate has this key; an account needs a key of its own"), nil
}

// orProblem gives a rule's answer precedence and never returns a nil *Problem
// as an error.
func orProblem(p *acme.Problem, err error) error {
	if p != nil {
		return p
	}
	return err
}

// AccountByKey finds the account of a key. One that is not valid any more is an
// error (R8555-7.3.1-3).
func (e *Engine) AccountByKey(ctx context.Context, d acme.DirectoryName, key acme.KeyHash) (a acme.Account, found bool, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		a, err = tx.Accounts().ByKey(d, key)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return acme.Account{}, false, nil
	}
	if err == nil {
		err = orProblem(AccountStanding(a), nil)
	}
	return a, err == nil, err
}

// Account returns the account a request claims to come from, to verify its
// signature with. The error says nothing that an unauthenticated asker should
// not learn.
func (e *Engine) Account(ctx context.Context, d acme.DirectoryName, id acme.AccountID) (a acme.Account, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		a, err = tx.Accounts().Get(id)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) || err == nil && a.Directory != d {
		return acme.Account{}, acme.Problemf(acme.AccountDoesNotExist, "no account of this directory has that URL; register again")
	}
	return a, err
}

// UpdateContact replaces the contacts of an account.
func (e *Engine) UpdateContact(ctx context.Context, owner acme.AccountID, contact []string) (acme.Account, error) {
	return e.changeAccount(ctx, owner, func(tx storage.Tx, a *acme.Account) error {
		if p := e.directories[a.Directory].CheckContacts(contact); p != nil {
			return p
		}
		a.Contact = contact
		return nil
	})
}

// DeactivateAccount ends an account at its owner's wish. Its open orders are
// cancelled; its certificates stay (R8555-7.3.6-3).
func (e *Engine) DeactivateAccount(ctx context.Context, owner acme.AccountID) (acme.Account, error) {
	a, err := e.changeAccount(ctx, owner, func(tx storage.Tx, a *acme.Account) error {
		a.Status = acme.AccountDeactivated
		return e.cancelOrders(tx, a.ID)
	})
	if err == nil {
		e.nudge()
		e.log.Info("account deactivated", "event", "account.deactivated", "account", owner)
	}
	return a, err
}

func (e *Engine) changeAccount(ctx context.Context, owner acme.AccountID, change func(storage.Tx, *acme.Account) error) (acme.Account, error) {
	var account acme.Account
	err := e.commit(ctx, func(tx storage.Tx) error {
		a, err := tx.Accounts().Get(owner)
		if err != nil {
			return err
		}
		if p := AccountStanding(a); p != nil {
			return p
		}
		if err := change(tx, &a); err != nil {
			return err
		}
		account = a
		return tx.Accounts().Put(a)
	}, failpoint.UpdateAccount)
	return account, err
}

// KeyChange is a verified request for another account key.
type KeyChange struct {
	Key        []byte
	KeyHash    acme.KeyHash
	Thumbprint string
	// OldKey is the key that the client believes to be replacing.
	OldKey acme.KeyHash
}

// ChangeKey gives an account another key. The old one is dead with the commit,
// and open orders live on (R8555-7.3.5-12).
func (e *Engine) ChangeKey(ctx context.Context, owner acme.AccountID, c KeyChange) (acme.Account, error) {
	var account acme.Account
	err := e.commit(ctx, func(tx storage.Tx) error {
		a, err := tx.Accounts().Get(owner)
		if err != nil {
			return err
		}
		if p := AccountStanding(a); p != nil {
			return p
		}
		switch {
		case a.KeyHash != c.OldKey:
			return acme.Problemf(acme.Malformed, "oldKey is not the account's present key")
		case c.KeyHash == a.KeyHash:
			return acme.Problemf(acme.Malformed, "the new key is the present key; generate another one")
		}
		if other, err := tx.Accounts().ByKey(a.Directory, c.KeyHash); err == nil {
			p := acme.Problemf(acme.Malformed, "another account has the new key; generate another one").WithStatus(409)
			p.Location = string(other.ID)
			return p
		} else if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if p, err := keyTaken(tx, c.KeyHash); err != nil || p != nil {
			return orProblem(p, err)
		}
		a.ChangeKey(c.Key, c.KeyHash, c.Thumbprint)
		account = a
		return tx.Accounts().Put(a)
	}, failpoint.KeyChange)
	if err == nil {
		e.log.Info("account key changed", "event", "account.key_changed", "account", owner)
	}
	return account, err
}
