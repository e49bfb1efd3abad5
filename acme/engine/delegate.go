package engine

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/storage"
)

// Delegate acts for a member without an ACME account: somebody who has a token
// of the member, or whom an identity provider knows as one of its people. It
// sees and may what belongs to the member, and nothing else: what is foreign
// and what is not there have one answer (SP-1).
type Delegate struct {
	e      *Engine
	member acme.MemberID
	who    string
	scopes []acme.TokenScope
	token  string // its id; empty for one who was known in another way
}

// ErrNobody says that a credential for the member API was not accepted. It does
// not say why, because whoever shows one might be trying.
var ErrNobody = errors.New("engine: the credential was not accepted")

// DelegateByToken returns whom a token lets act.
func (e *Engine) DelegateByToken(ctx context.Context, text string) (Delegate, error) {
	id, ok := acme.MemberOfToken(text)
	if !ok {
		return Delegate{}, ErrNobody
	}
	var m *acme.Member
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		m, err = loadMember(tx, id)
		return err
	})
	if err != nil {
		return Delegate{}, err
	}
	if m == nil || m.Status == acme.MemberRemoved {
		return Delegate{}, ErrNobody
	}
	t, ok := m.TokenBearer(text, e.now())
	if !ok {
		return Delegate{}, ErrNobody
	}
	return Delegate{e: e, member: id, who: "token " + t.Name, scopes: t.Scopes, token: t.ID}, nil
}

// DelegateOf returns one who was known in another way, with all rights. who is
// for the records.
func (e *Engine) DelegateOf(ctx context.Context, member acme.MemberID, who string) (Delegate, error) {
	var m *acme.Member
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		m, err = loadMember(tx, member)
		return err
	})
	if err == nil && (m == nil || m.Status == acme.MemberRemoved || who == "") {
		err = ErrNobody
	}
	return Delegate{e: e, member: member, who: who, scopes: acme.Scopes()}, err
}

// Member is for whom it acts, and Who it is.
func (d Delegate) Member() acme.MemberID { return d.member }

// Who is the name of the delegate in records.
func (d Delegate) Who() string { return d.who }

// Scopes are what it may do.
func (d Delegate) Scopes() []acme.TokenScope { return slices.Clone(d.scopes) }

func (d Delegate) may(s acme.TokenScope) error {
	if slices.Contains(d.scopes, s) {
		return nil
	}
	return acme.Problemf(acme.Unauthorized, "your token may not do this: it lacks the scope %s; ask the operator for another one", s)
}

// Record reads the record of the member.
func (d Delegate) Record(ctx context.Context) (m acme.Member, err error) {
	if err := d.may(acme.ScopeRead); err != nil {
		return m, err
	}
	err = d.e.view(ctx, func(tx storage.Tx) error {
		m, err = tx.Members().Get(d.member)
		return err
	})
	return m, err
}

// Applications are those of the member in a framework, for whoever may sign for
// them.
func (d Delegate) Applications(ctx context.Context) ([]acme.Application, error) {
	if err := d.may(acme.ScopeSign); err != nil {
		return nil, err
	}
	read := d
	read.scopes = acme.Scopes()
	m, err := read.Record(ctx)
	return m.Applications, err
}

// SubmitCSR orders with a CSR, under a profile for which the registry's word is
// enough.
func (d Delegate) SubmitCSR(ctx context.Context, r CSRRequest) (CSRAnswer, error) {
	if err := d.may(acme.ScopeSign); err != nil {
		return CSRAnswer{}, err
	}
	r.Member, r.Submitted = d.member, acme.Submitter{By: d.who, Via: acme.ByMemberAPI, Token: d.token}
	return d.e.submitCSR(ctx, r)
}

// Order reads an order of the member, and when to look again. A token that may
// only sign reads those that were placed with it.
func (d Delegate) Order(ctx context.Context, id acme.OrderID) (o acme.Order, retryAfter time.Duration, err error) {
	err = d.e.view(ctx, func(tx storage.Tx) error {
		o, err = d.fetch(tx, id)
		return err
	})
	if err != nil {
		return acme.Order{}, 0, err
	}
	return d.e.Order(ctx, o.Account, id)
}

// Sees reports whether it may read an order.
func (d Delegate) Sees(o acme.Order) bool {
	return o.Member == d.member && (d.may(acme.ScopeRead) == nil || d.may(acme.ScopeSign) == nil && o.OrderedWith(d.token))
}

// fetch reads an order that the delegate sees. One that only signs gets the same
// answer for all others, be they there or not.
func (d Delegate) fetch(tx storage.Tx, id acme.OrderID) (acme.Order, error) {
	reads := d.may(acme.ScopeRead)
	if reads != nil && d.may(acme.ScopeSign) != nil {
		return acme.Order{}, reads
	}
	o, err := tx.Orders().Get(id)
	switch {
	case err == nil && d.Sees(o):
		return o, nil
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return o, err
	case reads != nil:
		return acme.Order{}, reads
	}
	return acme.Order{}, acme.NotFound()
}

func (d Delegate) own(holder acme.MemberID, err error) error {
	if errors.Is(err, storage.ErrNotFound) || err == nil && holder != d.member {
		return acme.NotFound()
	}
	return err
}

// Certificate reads a certificate of the member and what is above it. A token
// that may only sign reads those that were ordered with it.
func (d Delegate) Certificate(ctx context.Context, id acme.CertificateID) (c acme.Certificate, chain acme.Chain, err error) {
	err = d.e.view(ctx, func(tx storage.Tx) error {
		c, err = tx.Certificates().Get(id)
		if d.may(acme.ScopeRead) == nil {
			err = d.own(c.Member, err)
		} else if err == nil || errors.Is(err, storage.ErrNotFound) {
			_, err = d.fetch(tx, c.Order)
		}
		if err != nil {
			return err
		}
		chain, err = tx.Certificates().Chain(c.Chain)
		return err
	})
	if err != nil {
		return acme.Certificate{}, acme.Chain{}, err
	}
	return c, chain, nil
}

// Certificates lists those of the member, oldest first, a page at a time: those
// after the given one.
func (d Delegate) Certificates(ctx context.Context, after string, limit int) ([]acme.Certificate, string, error) {
	if err := d.may(acme.ScopeRead); err != nil {
		return nil, "", err
	}
	return paged(ctx, d.e, func(tx storage.Tx) ([]acme.Certificate, string, error) {
		return tx.Certificates().ByMember(d.member, storage.Page{After: after, Limit: limit})
	})
}

// BySerial finds a certificate of the member by its serial number.
func (d Delegate) BySerial(ctx context.Context, serial []byte) (acme.Certificate, acme.Chain, error) {
	if err := d.may(acme.ScopeRead); err != nil {
		return acme.Certificate{}, acme.Chain{}, err
	}
	return d.e.bySerial(ctx, serial, func(c acme.Certificate) bool { return c.Member == d.member })
}

// Revoke revokes a certificate of the member, for one of the reasons that its
// holder can know.
func (d Delegate) Revoke(ctx context.Context, id acme.CertificateID, reason acme.RevocationReason) (acme.Certificate, error) {
	if err := d.may(acme.ScopeRevoke); err != nil {
		return acme.Certificate{}, err
	}
	read := d
	read.scopes = acme.Scopes()
	c, _, err := read.Certificate(ctx, id)
	if err != nil {
		return c, err
	}
	if p := reasonOfClient(reason, c.Holder != nil); p != nil {
		return c, p
	}
	claim, p := d.e.claimRevocation(acme.AccountID("member/" + d.member))
	if p != nil {
		return c, p
	}
	if err := d.e.revoke(ctx, id, reason, "member API, "+d.who); err != nil {
		var refused *acme.Problem
		if errors.As(err, &refused) {
			claim.Return() // nothing was revoked
		}
		return c, err
	}
	c, _, err = read.Certificate(ctx, id)
	return c, err
}

// reasonOfClient refuses reasons that are not a client's to give.
func reasonOfClient(reason acme.RevocationReason, framework bool) *acme.Problem {
	// Members of a framework know whether they have changed their affiliation.
	if slices.Contains(clientReasons, reason) || framework && reason == acme.AffiliationChanged {
		return nil
	}
	also := ""
	if framework {
		also = "3 (affiliationChanged), "
	}
	return acme.Problemf(acme.BadRevocationReason, "reason %d is not accepted; give one of 0 (unspecified), 1 (keyCompromise), %s4 (superseded), 5 (cessationOfOperation) or none", reason, also)
}

// FrameworkCertificate finds a certificate of a trust framework by its serial
// number. Whoever verifies what a member has signed needs it, long after it has
// ended too, so anybody may have it.
func (e *Engine) FrameworkCertificate(ctx context.Context, serial []byte) (acme.Certificate, acme.Chain, error) {
	return e.bySerial(ctx, serial, func(c acme.Certificate) bool { return c.Holder != nil })
}

func (e *Engine) bySerial(ctx context.Context, serial []byte, theirs func(acme.Certificate) bool) (c acme.Certificate, chain acme.Chain, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		found, err := tx.Certificates().BySerial(serial)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(c acme.Certificate) bool { return !theirs(c) })
		switch len(found) {
		case 0:
			return acme.NotFound()
		case 1:
		default: // another CA gave the same number
			return acme.Problemf(acme.Malformed, "%d certificates have this serial number; fetch the one that is meant by its id", len(found)).WithStatus(409)
		}
		c = found[0]
		chain, err = tx.Certificates().Chain(c.Chain)
		return err
	})
	return c, chain, err
}

// CAOf returns the certificates of the CA behind a profile: its roots, and what
// is between them and those that it issues.
func (e *Engine) CAOf(name acme.ProfileName) (roots, intermediates [][]byte, err error) {
	p, ok := e.cfg.Profiles[name]
	if !ok {
		return nil, nil, acme.NotFound()
	}
	b := e.backends[p.Backend].backend
	if publisher, ok := b.(backends.Publisher); ok && p.IB1.Tree != "" {
		for _, x := range publisher.Publications() {
			if x.Name == fmt.Sprintf("ca/ib1-%s.pem", p.IB1.Tree) {
				roots, intermediates = splitBundle(x.DER)
				return roots, intermediates, nil
			}
		}
	}
	rooted, ok := b.(backends.Rooted)
	if !ok {
		return nil, nil, acme.NotFound()
	}
	return rooted.Roots(), rooted.Intermediates(), nil
}

// splitBundle takes a trust bundle of a tree apart: its root comes first.
func splitBundle(bundle []byte) (roots, intermediates [][]byte) {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if len(roots) == 0 {
			roots = append(roots, block.Bytes)
		} else {
			intermediates = append(intermediates, block.Bytes)
		}
	}
	return roots, intermediates
}
