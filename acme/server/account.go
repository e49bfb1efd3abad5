package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/jws"
)

// accountObject is the wire form of an account (RFC 8555, 7.1.2).
type accountObject struct {
	Status  string          `json:"status"`
	Contact []string        `json:"contact,omitempty"`
	Terms   bool            `json:"termsOfServiceAgreed,omitempty"`
	Binding json.RawMessage `json:"externalAccountBinding,omitempty"`
	Orders  string          `json:"orders"`
}

func (st *site) accountWire(a acme.Account) accountObject {
	return accountObject{
		Status: string(a.Status), Contact: a.Contact, Terms: !a.TermsAgreedAt.IsZero(),
		Binding: a.Binding, Orders: st.ordersURL(a.ID),
	}
}

// newAccount creates an account or finds it (RFC 8555, 7.3).
func (st *site) newAccount(rq *request) error {
	var payload struct {
		Contact    []string        `json:"contact"`
		Terms      bool            `json:"termsOfServiceAgreed"`
		OnlyReturn bool            `json:"onlyReturnExisting"`
		Binding    json.RawMessage `json:"externalAccountBinding"`
	}
	if p := rq.decode(&payload); p != nil {
		return p
	}
	key := rq.signed.Key()
	// D1: a known key is answered before anything else is looked at.
	account, found, err := st.cfg.Engine.AccountByKey(rq.r.Context(), st.directory.Name, key.Hash)
	if err != nil {
		return err
	}
	created := false
	if !found {
		request := engine.AccountRequest{
			Directory: st.directory.Name, Key: key.SPKI, KeyHash: key.Hash, Thumbprint: key.Thumbprint,
			CheckKey: func() *acme.Problem { return acme.CheckAccountKey(key.Public) },
			Contact:  payload.Contact, Terms: payload.Terms, OnlyReturn: payload.OnlyReturn,
		}
		if len(payload.Binding) > 0 && string(payload.Binding) != "null" && !payload.OnlyReturn {
			if p := st.limits.mayBind(rq.r); p != nil {
				return p
			}
			binding, p := jws.ParseBinding(payload.Binding, rq.signed)
			if p != nil {
				return p
			}
			request.Binding = &engine.Binding{KeyID: binding.KeyID(), Raw: payload.Binding, Verify: binding.Verify}
		}
		if account, created, err = st.create(rq, request); err != nil {
			return err
		}
	}
	rq.w.Header().Set("Location", st.accountURL(account.ID))
	if st.directory.TermsOfService != "" {
		rq.link(st.directory.TermsOfService, "terms-of-service")
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return rq.json(status, st.accountWire(account))
}

// create makes an account, if its address may have one more.
func (st *site) create(rq *request, r engine.AccountRequest) (account acme.Account, created bool, err error) {
	giveBack := func() {}
	if !r.OnlyReturn {
		var p *acme.Problem
		if giveBack, p = st.limits.newAccount(rq.r); p != nil {
			return account, false, p
		}
	}
	account, created, err = st.cfg.Engine.NewAccount(rq.r.Context(), r)
	if !created {
		giveBack()
	}
	if r.Binding != nil {
		st.limits.bound(rq.r, err)
	}
	return account, created, err
}

// own refuses another account's URL, in the same way whether there is such an
// account or not (R8555-7.3.2-3).
func (rq *request) own() *acme.Problem {
	if rq.variable("account") != string(rq.account.ID) {
		return acme.Problemf(acme.Unauthorized, "the request was signed by another account than the one it is about")
	}
	return nil
}

// account reads, updates or deactivates an account (RFC 8555, 7.3.2, 7.3.6).
func (st *site) account(rq *request) error {
	if p := rq.own(); p != nil {
		return p
	}
	account := rq.account
	if !rq.signed.PostAsGet() {
		// Unknown members and every status but "deactivated" are ignored
		// (R8555-7.3.2-1).
		var update struct {
			Contact *[]string `json:"contact"`
			Status  string    `json:"status"`
		}
		if p := rq.decode(&update); p != nil {
			return p
		}
		var err error
		switch {
		case update.Status == string(acme.AccountDeactivated):
			account, err = st.cfg.Engine.DeactivateAccount(rq.r.Context(), account.ID)
		case update.Contact != nil:
			account, err = st.cfg.Engine.UpdateContact(rq.r.Context(), account.ID, *update.Contact)
		}
		if err != nil {
			return err
		}
	}
	rq.w.Header().Set("Location", st.accountURL(account.ID))
	return rq.json(http.StatusOK, st.accountWire(account))
}

// keyChange gives the account another key (RFC 8555, 7.3.5).
func (st *site) keyChange(rq *request) error {
	if st.directory.FixedKeys {
		return acme.Problemf(acme.Unauthorized, "accounts of this directory keep their key; go on with the one you have, and deactivate the account if it is lost")
	}
	change, p := jws.ParseKeyChange(rq.signed)
	if p != nil {
		return p
	}
	if p := acme.CheckAccountKey(change.NewKey.Public); p != nil {
		return p
	}
	account, err := st.cfg.Engine.ChangeKey(rq.r.Context(), rq.account.ID, engine.KeyChange{
		Key: change.NewKey.SPKI, KeyHash: change.NewKey.Hash, Thumbprint: change.NewKey.Thumbprint, OldKey: change.OldKey.Hash,
	})
	if err != nil {
		var p *acme.Problem
		if errors.As(err, &p) && p.Location != "" {
			rq.w.Header().Set("Location", st.accountURL(acme.AccountID(p.Location))) // R8555-7.3.5-10
		}
		return err
	}
	rq.w.Header().Set("Location", st.accountURL(account.ID))
	return rq.json(http.StatusOK, st.accountWire(account))
}
