package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// What is different about certificates of an IB1 trust framework: the external
// account key says for which application of which member an account orders, and
// the record of the member says everything that the certificate does.

// rightGone says that the registry gives no right to what was ordered. Before
// there is an order it refuses it, and afterwards it ends it: no CSR could mend
// that.
type rightGone struct{ problem *acme.Problem }

func (r rightGone) Error() string { return r.problem.Error() }
func (r rightGone) Unwrap() error { return r.problem }

// errRegistryMoved says that the registry was changed between two looks at it.
var errRegistryMoved = errors.New("engine: the registry was changed meanwhile")

// framework says for whom a certificate under a profile of a framework is, and
// what else an order may call the application.
func (h holder) framework(p acme.Profile) (to acme.IB1Holder, handle string, err error) {
	to, problem := acme.HolderFor(h.member, h.application(), p.IB1.Tree)
	if problem != nil {
		return to, "", rightGone{problem}
	}
	if p.IB1.Tree.Member() {
		// They were looked at when they were entered, perhaps under another
		// configuration.
		if problem := p.IB1.CheckHosts(append([]string{to.Member, to.Application}, to.Roles...)...); problem != nil {
			problem.Type = acme.Unauthorized
			return to, "", rightGone{problem}
		}
	}
	a, _ := h.member.Application(h.application())
	return to, a.Handle, nil
}

// checkHosts refuses a record with URLs at hosts that are of no framework here.
func (e *Engine) checkHosts(m acme.Member) error {
	var all acme.IB1Rule
	for _, name := range sortedKeys(e.cfg.Profiles) {
		rule := e.cfg.Profiles[name].IB1
		if rule.Tree == "" {
			continue
		}
		if len(rule.Hosts) == 0 {
			return nil
		}
		all.Hosts = append(all.Hosts, rule.Hosts...)
	}
	slices.Sort(all.Hosts)
	all.Hosts = slices.Compact(all.Hosts)
	if p := all.CheckHosts(m.FrameworkURLs()...); p != nil {
		return fmt.Errorf("member %s: %w", m.ID, p)
	}
	return nil
}

// rehearse refuses a record that is to take the place of another one, or of none,
// when no certificate could be made of what is new in it. What is not new is left
// alone: nobody should have to mend an old name to take a role away. A frozen
// member is looked at as it will be once it is thawed. What done knows is not
// rehearsed again; it may be nil.
func (e *Engine) rehearse(done rehearsals, before *acme.Member, after acme.Member) error {
	after = thawed(after)
	if before != nil {
		was := thawed(*before)
		before = &was
	}
	type way struct {
		backend string
		tree    acme.IB1Tree
	}
	passed := map[way]bool{}
	for _, name := range sortedKeys(e.cfg.Profiles) {
		p := e.cfg.Profiles[name]
		w := way{p.Backend, p.IB1.Tree}
		a := e.backends[p.Backend]
		if !p.IB1.Tree.Member() || passed[w] || a == nil || a.rehearser == nil {
			continue
		}
		passed[w] = true
		for _, application := range after.Applications {
			to, none := acme.HolderFor(&after, application.URL, p.IB1.Tree)
			if none != nil {
				continue // it gets none of this kind, whatever it is called
			}
			if before != nil {
				if had, none := acme.HolderFor(before, application.URL, p.IB1.Tree); none == nil && had.Country == to.Country && had.Organization == to.Organization {
					continue
				}
			}
			if err := done.of(p.Backend, a.rehearser, to); err != nil {
				return fmt.Errorf("member %s: application %s could get no %s certificate: %w", after.ID, application.URL, p.IB1.Tree, err)
			}
		}
	}
	return nil
}

func thawed(m acme.Member) acme.Member {
	if m.Status == acme.MemberFrozen {
		m.Status = acme.MemberActive
	}
	return m
}

// rehearsals are what came of those that were made before a commit: each takes a
// while, and a list may have thousands, for which no other commit should wait.
type rehearsals map[string]error

func (r rehearsals) of(backend string, by backends.Rehearser, h acme.IB1Holder) error {
	key := fmt.Sprintf("%q %q", backend, []string{string(h.Tree), h.Country, h.Organization, h.Member, h.Application, fmt.Sprintf("%q", h.Roles)})
	if err, known := r[key]; known {
		return err
	}
	err := by.Rehearse(h)
	if r != nil {
		r[key] = err
	}
	return err
}

// rehearseAll rehearses what a list would make of the registry as it is. What is
// changed meanwhile is rehearsed by the commit.
func (e *Engine) rehearseAll(ctx context.Context, list []acme.Member, fresh func(acme.Member) acme.Member) (rehearsals, error) {
	const atOnce = 500
	done := rehearsals{}
	for part := range slices.Chunk(list, atOnce) {
		stored := make([]*acme.Member, len(part))
		err := e.view(ctx, func(tx storage.Tx) (err error) {
			for i, m := range part {
				if stored[i], err = loadMember(tx, m.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for i, m := range part {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			switch before := stored[i]; {
			case before == nil:
				m = fresh(m)
			case before.SameContent(m):
				continue
			default:
				m = before.WithContent(m, e.now())
			}
			_ = e.rehearse(done, stored[i], m) // the commit asks again, and refuses it
		}
	}
	return done, nil
}

// parseIdentifiers reads what an order lists. One for an application lists what
// stands for it.
func (e *Engine) parseIdentifiers(ctx context.Context, owner acme.AccountID, p acme.Profile, sent []acme.Identifier) (ids []acme.Identifier, err error) {
	if !p.IB1.Tree.Member() {
		return holder{}.parseIdentifiers(p, sent)
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		h, err := e.holder(tx, owner)
		if err != nil {
			return err
		}
		ids, err = h.parseIdentifiers(p, sent)
		return err
	})
	return ids, err
}

func (h holder) parseIdentifiers(p acme.Profile, sent []acme.Identifier) ([]acme.Identifier, error) {
	if !p.IB1.Tree.Member() {
		ids, problem := acme.ParseIdentifiers(sent, p.Identifiers)
		return ids, orProblem(problem, nil)
	}
	if _, _, err := h.framework(p); err != nil {
		return nil, err
	}
	a, _ := h.member.Application(h.application())
	ids, problem := acme.ParseApplication(sent, a)
	return ids, orProblem(problem, nil)
}

// onlyProfile is the profile of an order that names none and whose account is
// bound to an application: the one that the application and the key allow. With
// more than one, nothing but the client knows.
func (e *Engine) onlyProfile(tx storage.Tx, k acme.ExternalAccountKey) (acme.ProfileName, error) {
	m, err := loadMember(tx, k.Member)
	if err != nil || m == nil {
		return "", err
	}
	var open []acme.ProfileName
	for _, name := range e.directories[k.Directory].Profiles {
		p := e.cfg.Profiles[name]
		_, refused := acme.HolderFor(m, k.Application, p.IB1.Tree)
		if p.IB1.Tree != "" && refused == nil && acme.ExternalKeyAllows(k, name, nil) == nil {
			open = append(open, name)
		}
	}
	switch len(open) {
	case 0:
		return "", nil // the usual one is refused for what it lacks
	case 1:
		return open[0], nil
	}
	return "", acme.Problemf(acme.InvalidProfile, "application %s may have certificates of more than one profile, so the order has to name one of %v", k.Application, open)
}

// contract says what a certificate has to be.
func (e *Engine) contract(ctx context.Context, owner acme.AccountID, f finalization) (c acme.Contract, err error) {
	if f.profile.Subject != acme.SubjectRegistry && f.profile.IB1.Tree == "" {
		return holder{}.contract(f) // it says nothing of whom it is for
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		h, err := e.holder(tx, owner)
		if err == nil {
			c, err = h.contract(f)
		}
		return err
	})
	return c, err
}

func (h holder) contract(f finalization) (c acme.Contract, err error) {
	var to acme.IB1Holder
	var handle string
	var names acme.SubjectNames
	if f.profile.Subject == acme.SubjectRegistry {
		if names, err = h.names(f.profile); err != nil {
			return c, err
		}
		if p := names.CheckRequestedNames(f.csr.Subject); p != nil {
			return c, p
		}
	}
	if f.profile.IB1.Tree != "" {
		if to, handle, err = h.framework(f.profile); err != nil {
			return c, err
		}
	}
	var p *acme.Problem
	if to.Tree.Member() {
		c, p = acme.CheckApplicationCSR(f.order, f.profile, f.csr, to, handle)
		return c, orProblem(p, nil)
	}
	if c, p = acme.CheckCSR(f.order, f.profile, f.csr); p != nil {
		return c, p
	}
	if to.Tree != "" {
		c.Holder = &to
	}
	c.Names = names
	return c, nil
}

// names are what a certificate says of the member.
func (h holder) names(p acme.Profile) (acme.SubjectNames, error) {
	names, problem := acme.SubjectFor(p, h.member)
	return names, orProblem(problem, nil)
}

// stillHolder asks the registry again, in the transaction that closes an order.
func (h holder) stillHolder(f finalization) error {
	if f.profile.Subject == acme.SubjectRegistry {
		names, err := h.names(f.profile)
		if err == nil && names != f.contract.Names {
			err = errRegistryMoved
		}
		if err != nil {
			return err
		}
	}
	if f.profile.IB1.Tree == "" {
		return nil
	}
	to, _, err := h.framework(f.profile)
	if err == nil && (f.contract.Holder == nil || !to.Equal(*f.contract.Holder)) {
		err = errRegistryMoved
	}
	return err
}

// keyFree refuses keys that no certificate may have. In a framework one key has
// certificates of one tree and one application alone: nothing but the tree tells
// a certificate for connections from one for signatures.
func (e *Engine) keyFree(tx storage.Tx, o acme.Order, p acme.Profile, key acme.KeyHash, application string) error {
	err := certificateKeyFree(tx, key)
	if p.IB1.Tree == "" {
		return err
	}
	var refused *acme.Problem
	if errors.As(err, &refused) {
		return acme.Problemf(acme.BadPublicKey, "%s", refused.Detail)
	}
	if err != nil {
		return err
	}
	// By the index of keys: a member may have thousands of certificates, and a key
	// has few.
	for at := (storage.Page{Limit: 100}); ; {
		certs, next, err := tx.Certificates().ByKey(key, at)
		if err != nil {
			return err
		}
		for _, c := range certs {
			if c.Member != o.Member || c.Holder == nil || c.Holder.Tree != p.IB1.Tree || c.Holder.Application != application {
				return acme.Problemf(acme.BadPublicKey, "another certificate has the key of the CSR, of another kind or for somebody else; make a key for each")
			}
		}
		if at.After = next; next == "" {
			return nil
		}
	}
}

// mayReissue bounds what clients get that order again with every run: those that
// look in the certificate for the host name that they have ordered, which is in
// none. A renewal in time passes, as it passes other limits (SL-40).
func (e *Engine) mayReissue(tx storage.Tx, h holder, p acme.Profile, o acme.Order) error {
	rule := p.IB1
	if !rule.Tree.Member() || rule.Reissues == 0 || o.Renews {
		return nil
	}
	now := e.now()
	set := acme.IB1Holder{Tree: rule.Tree, Application: h.application()}.CountsAs()
	issued, err := tx.Certificates().IssuedFor(set, now.Add(-rule.Per+1), rule.Reissues)
	if err != nil || len(issued) < rule.Reissues {
		return err
	}
	e.Counters.OverNameSet.Add(1)
	return acme.OverLimit(issued[0].Add(rule.Per).Sub(now), now,
		"application %s got %d %s certificates in %s, which is the limit; keep the last one, and look why the client orders again", h.application(), rule.Reissues, rule.Tree, rule.Per)
}

// endWithdrawn ends an order that the registry gives no right to any more.
func (e *Engine) endWithdrawn(ctx context.Context, owner acme.Account, id acme.OrderID, csrHash acme.KeyHash, p *acme.Problem) (o acme.Order, err error) {
	err = e.commit(ctx, func(tx storage.Tx) error {
		var repeated bool
		if o, repeated, err = e.finalizable(tx, owner.ID, id, csrHash); err != nil || repeated {
			return err
		}
		o.CSRHash = csrHash
		o = acme.Fail(o, p, e.now())
		if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
			return err
		}
		return putOrder(tx, o)
	}, failpoint.Finalize, failpoint.Fail)
	if err == nil {
		e.Counters.OrdersInvalid.Add(1)
		e.log.Warn("the registry gives no right to an order any more", "event", "order.refused", "order", o.ID, "account", o.Account, "member", o.Member, "cause", p.Detail)
	}
	return o, err
}

// review goes through a page of the certificates of a member whose record gives
// less than before, and revokes those that say too much.
func (e *Engine) review(tx storage.Tx, m acme.Member) (revoked []acme.Certificate, done bool, err error) {
	if m.Review == nil || !m.Review.DoneAt.IsZero() {
		return nil, true, nil
	}
	x := *m.Review
	certs, next, err := tx.Certificates().ByMember(m.ID, storage.Page{After: string(x.Cursor), Limit: claimAtOnce})
	if err != nil {
		return nil, false, err
	}
	now := e.now()
	for _, c := range certs {
		if c.Holder == nil {
			continue
		}
		reason, backed := m.Backs(*c.Holder)
		if backed {
			continue
		}
		switch refused, err := revocable(tx, c, reason, "member", now); {
		case err != nil:
			return nil, false, err
		case refused != nil:
			continue
		}
		if c, err = e.accept(tx, c, acme.Revocation{At: now, Reason: reason, By: "member"}); err != nil {
			return nil, false, err
		}
		revoked = append(revoked, c)
		x.Certificates++
	}
	if x.Cursor = acme.CertificateID(next); next == "" {
		x.DoneAt = now
	}
	m.Review = &x
	return revoked, next == "", tx.Members().Put(m)
}

// reviewIfNarrowed has the certificates of a member gone through when its next
// record gives less than the one before. The caller stores the record.
func (e *Engine) reviewIfNarrowed(tx storage.Tx, before acme.Member, after *acme.Member) error {
	if !after.Narrowed(before) {
		return nil
	}
	now := e.now()
	after.Review = &acme.Review{Since: now}
	return tx.Jobs().Put(storage.Job{ID: memberJob(after.ID), Kind: storage.JobMember, Due: now, Subject: string(after.ID)})
}
