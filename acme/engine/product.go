package engine

import (
	"context"
	"fmt"
	"slices"

	"acmebridge/acme"
	"acmebridge/storage"
)

// chooseProduct settles the profile of an order by a Security Server that named
// none: what its external account key, its CSR and the profile id of its
// User-Agent say together. The order was placed under another one at most for
// what it did not say then.
func (e *Engine) chooseProduct(ctx context.Context, owner acme.Account, f *finalization, product string) error {
	if f.profile.XRoad.Usage == "" || f.order.NamesProfile {
		return nil
	}
	var h holder
	if err := e.view(ctx, func(tx storage.Tx) (err error) {
		h, err = e.holder(tx, owner.ID)
		return err
	}); err != nil {
		return err
	}
	wish := acme.XRoadWish{ID: product, Remembered: h.account.Products, Allowed: func(n acme.ProfileName) bool {
		return e.cfg.Profiles[n].XRoad.Admits(f.order.Member) && (h.key.ID == "" || acme.ExternalKeyAllows(h.key, n, nil) == nil)
	}}
	for _, name := range e.directories[f.order.Directory].Profiles {
		wish.Offered = append(wish.Offered, e.cfg.Profiles[name])
	}
	chosen, known, p := acme.ChooseXRoad(f.profile, wish, f.csr)
	switch {
	case p != nil:
		return p
	case !known:
		f.notes = append(f.notes, fmt.Sprintf("the User-Agent asked for the profile id %q, which no profile of directory %s has; it was ignored", product, f.order.Directory))
	case product != "":
		f.product = product
	}
	if chosen.Name == f.profile.Name {
		return nil
	}
	if p := e.suits(f.order, chosen); p != nil {
		return p
	}
	why := "the key usage of its CSR"
	if f.product != "" {
		why = fmt.Sprintf("the profile id %q", product)
	}
	f.notes = append(f.notes, fmt.Sprintf("profile %s instead of %s, by %s", chosen.Name, f.profile.Name, why))
	f.profile, f.order.Profile, f.order.XRoad = chosen, chosen.Name, chosen.XRoad.Usage
	return nil
}

// suits refuses a profile that would not have taken the order as it was placed.
func (e *Engine) suits(o acme.Order, p acme.Profile) *acme.Problem {
	sent := slices.Clone(o.Identifiers)
	if _, problem := acme.ParseIdentifiers(sent, p.Identifiers); problem != nil {
		return problem
	}
	if problem := offered(p, o.Identifiers); problem != nil {
		return problem
	}
	return e.checkDates(p, o.NotBefore, o.NotAfter, o.CreatedAt)
}

// applyProduct writes down what chooseProduct has settled, with the order that is
// closed: its profile, and for the renewals to come the account's.
func (e *Engine) applyProduct(tx storage.Tx, account acme.Account, o *acme.Order, f finalization) error {
	for _, note := range f.notes {
		o.Note(e.now(), note)
	}
	if o.Profile != f.profile.Name {
		o.Profile, o.XRoad = f.profile.Name, f.profile.XRoad.Usage
		if f.profile.Authorization.AsksProof() {
			authzs, err := loadAuthorizations(tx, o.Authorizations)
			if err == nil {
				err = orProblem(proved(authzs), nil)
			}
			if err != nil {
				return err
			}
		}
	}
	if f.product == "" || !account.Remember(f.profile, e.cfg.Profiles) {
		return nil
	}
	return tx.Accounts().Put(account)
}

// rememberedProduct is what the account was given before, as far as its directory still
// has it. With several, the CSR will tell which is meant.
func (e *Engine) rememberedProduct(owner acme.Account) acme.ProfileName {
	for _, name := range owner.Products {
		if slices.Contains(e.directories[owner.Directory].Profiles, name) {
			return name
		}
	}
	return ""
}
