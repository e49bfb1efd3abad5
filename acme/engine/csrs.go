package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
)

// A CSR that does not come over ACME is an order all the same: the same
// profile, limits, approval, CA, gate and records. What differs is its ground.
// Nobody has signed for it with the key of an account, so somebody who was
// known in another way answers for it; and nobody has proved anything, so the
// registry entitles to it, or an operator gives his word, with a reason that
// stays with the order.
//
// Placing and closing such an order are one commit: there is nobody who would
// come back to an order that was placed and not closed. The same CSR again is
// the same order, for as long as its certificate is on its way and for a while
// after that, because whoever did not see the answer asks again.

// csrStays is for how long after its issue a certificate is the answer to the
// same CSR.
const csrStays = time.Hour

// CSRRequest is a CSR that comes without ACME.
type CSRRequest struct {
	// Directory is the first that offers the profile when it is empty.
	Directory acme.DirectoryName
	// Profile is the one that there is a choice of when it is empty.
	Profile acme.ProfileName
	// Member is whom the certificate is for, empty for nobody in the registry,
	// and Application is one of its applications in a framework.
	Member      acme.MemberID
	Application string
	// Replaces is the certificate that is renewed, one that a CSR was for as
	// well; empty for none. It takes no place of its own among those that the
	// member may have (SL-40).
	Replaces  acme.CertificateID
	CSR       []byte // DER
	Submitted acme.Submitter
}

// CSRAnswer is what became of a CSR.
type CSRAnswer struct {
	Order acme.Order
	// Known says that this CSR was submitted before, and the order is that one.
	Known bool
	// RetryAfter is when to look again; zero when the order is over.
	RetryAfter time.Duration
}

// opening is an order that is placed by the commit that closes it, and so is
// the account for it, where it is the first: what is refused leaves nothing.
type opening struct {
	order  acme.Order
	authzs []acme.Authorization
	owner  csrOwner
	claim  ratelimit.Claim // among the new orders; none for a renewal
}

// csrOwner is the account that stands for the CSRs of a member; unstored when
// this is its first CSR.
type csrOwner struct {
	acme.Account
	unstored bool
}

// errOpened says that another CSR, meanwhile, was the first.
var errOpened = errors.New("engine: an account for the CSRs of this member was made meanwhile; submit again")

// SubmitCSR orders with a CSR, for the operator.
func (o Operator) SubmitCSR(ctx context.Context, r CSRRequest) (CSRAnswer, error) {
	r.Submitted.Via = acme.ByOperator
	r.Submitted.Vouch = strings.TrimSpace(r.Submitted.Vouch)
	if r.Submitted.By == "" {
		return CSRAnswer{}, errors.New("engine: a CSR without somebody who submits it")
	}
	if len(r.Submitted.Vouch) > maxReason {
		return CSRAnswer{}, fmt.Errorf("the reason has more than %d bytes", maxReason)
	}
	return o.e.submitCSR(ctx, r)
}

// submitCSR decides about a CSR, closes the order and waits for its
// certificate, at most for the profile's hold window.
func (e *Engine) submitCSR(ctx context.Context, r CSRRequest) (CSRAnswer, error) {
	begun := e.now()
	profile, err := e.chooseProfile(ctx, &r)
	if err != nil {
		return CSRAnswer{}, err
	}
	switch asks := profile.Authorization.AsksProof(); {
	case !asks:
		r.Submitted.Vouch = "" // nobody's word is needed
	case r.Submitted.Via != acme.ByOperator:
		return CSRAnswer{}, acme.Problemf(acme.Unauthorized, "profile %s wants control of every name proved, which a CSR does not: order it over ACME", profile.Name)
	case r.Submitted.Vouch == "":
		return CSRAnswer{}, acme.Problemf(acme.Unauthorized, "profile %s wants control of every name proved, which a CSR does not: say why you answer for it (csr submit --vouch), or have it ordered over ACME", profile.Name)
	}
	csr, p := acme.ParseCSR(r.CSR)
	if p != nil {
		return CSRAnswer{}, p
	}
	var answer CSRAnswer
	var owner csrOwner
	for n := 0; ; n++ {
		if owner, err = e.csrAccount(ctx, r); err != nil {
			return CSRAnswer{}, err
		}
		answer.Order, answer.Known, err = e.orderWithCSR(ctx, owner, profile, csr, r)
		if n == 2 || !errors.Is(err, errRegistryMoved) && !errors.Is(err, errOpened) {
			break
		}
	}
	if err != nil {
		return CSRAnswer{}, err
	}
	done, cancel := e.watchers.watch(string(jobOf(answer.Order)))
	defer cancel()
	id := answer.Order.ID
	answer.Order, answer.RetryAfter, err = e.Order(ctx, owner.ID, id)
	if err == nil && answer.Order.Status == acme.OrderProcessing {
		e.watchers.wait(ctx, done, profile.Hold-e.now().Sub(begun))
		answer.Order, answer.RetryAfter, err = e.Order(ctx, owner.ID, id)
	}
	return answer, err
}

// chooseProfile completes a request with what it leaves to us.
func (e *Engine) chooseProfile(ctx context.Context, r *CSRRequest) (acme.Profile, error) {
	if r.Directory == "" {
		for _, d := range e.cfg.Directories {
			if _, p := e.profileFor(d.Name, r.Profile); p == nil {
				r.Directory = d.Name
				break
			}
		}
	}
	if _, ok := e.directories[r.Directory]; !ok {
		return acme.Profile{}, acme.Problemf(acme.InvalidProfile, "no directory has a profile %.100q", r.Profile)
	}
	err := e.view(ctx, func(tx storage.Tx) error {
		m, err := loadMember(tx, r.Member)
		switch {
		case err != nil:
			return err
		case m == nil && r.Member != "":
			return acme.Problemf(acme.Unauthorized, "member %.100q is not in the registry; 'member list' shows those that are, 'member create' adds one", r.Member)
		case m == nil && r.Application != "":
			return acme.Problemf(acme.Malformed, "an application is one of a member; name the member too")
		case r.Profile == "" && r.Application != "":
			r.Profile, err = e.onlyProfile(tx, acme.ExternalAccountKey{Directory: r.Directory, Member: r.Member, Application: r.Application})
			if err != nil {
				return err
			}
		}
		profile, p := e.profileFor(r.Directory, r.Profile)
		if p != nil {
			return p
		}
		if m == nil && profile.Authorization.AsksRegistry() {
			return acme.Problemf(acme.Unauthorized, "profile %s is for members of the registry; name the member that the certificate is for", profile.Name)
		}
		if tree := profile.IB1.Tree; tree.Member() && r.Application == "" && m != nil {
			r.Application, err = onlyApplication(*m, tree)
		} else if tree == "" && r.Application != "" {
			err = acme.Problemf(acme.Malformed, "profile %s has nothing to do with applications; leave it out", profile.Name)
		}
		r.Profile = profile.Name
		return err
	})
	return e.cfg.Profiles[r.Profile], err
}

// onlyApplication is the one that a certificate is for when nobody says which.
func onlyApplication(m acme.Member, tree acme.IB1Tree) (string, error) {
	var open []string
	for _, a := range m.Applications {
		if _, refused := acme.HolderFor(&m, a.URL, tree); refused == nil {
			open = append(open, a.URL)
		}
	}
	if len(open) != 1 {
		return "", acme.Problemf(acme.Malformed, "name the application that the certificate is for; member %s may have %s certificates for %d: %s", m.ID, tree, len(open), strings.Join(open, ", "))
	}
	return open[0], nil
}

// csrAccount returns the account that stands for the CSRs of a member, or one
// that the commit of the first order stores.
func (e *Engine) csrAccount(ctx context.Context, r CSRRequest) (csrOwner, error) {
	known, found, err := e.AccountByKey(ctx, r.Directory, acme.CSRAccountKey(r.Directory, r.Member, r.Application))
	if err != nil || found {
		return csrOwner{Account: known}, err
	}
	made, err := acme.CSRAccount(r.Directory, r.Member, r.Application, e.now(), e.cfg.Random)
	return csrOwner{made, true}, err
}

// closer is the holder of the account that an order is closed for. x is nil for
// one over ACME.
func (e *Engine) closer(tx storage.Tx, owner acme.AccountID, x *opening) (holder, error) {
	if x == nil || !x.owner.unstored {
		return e.holder(tx, owner)
	}
	switch _, err := tx.Accounts().ByKey(x.owner.Directory, x.owner.KeyHash); {
	case err == nil:
		return holder{}, errOpened
	case !errors.Is(err, storage.ErrNotFound):
		return holder{}, err
	}
	return e.holderOf(tx, x.owner.Account)
}

// orderWithCSR places and closes an order, unless the CSR has one.
func (e *Engine) orderWithCSR(ctx context.Context, owner csrOwner, p acme.Profile, csr acme.CSR, r CSRRequest) (o acme.Order, known bool, err error) {
	submitted, now := r.Submitted, e.now()
	x := opening{owner: owner}
	f := finalization{profile: p, authority: e.backends[p.Backend], csrHash: sha256.Sum256(csr.Raw), csr: csr, opening: &x}
	err = e.view(ctx, func(tx storage.Tx) error {
		h, err := e.closer(tx, owner.ID, &x)
		if err != nil {
			return err
		}
		identifiers, err := h.namesOfCSR(p, csr)
		if err != nil {
			return err
		}
		replaces, err := certIDOf(tx, r)
		if err != nil {
			return err
		}
		if x.order, x.authzs, err = acme.NewOrder(acme.OrderRequest{
			Account: owner.Account, Profile: p, Identifiers: identifiers, Replaces: replaces, Submitted: &submitted,
		}, now, e.cfg.Random); err != nil {
			return err
		}
		if x.order.MemberVersion, err = h.entitled(p, identifiers); err != nil {
			return err
		}
		f.order = x.order
		if o, known, err = e.submittedBefore(tx, f, x.order); err != nil || known {
			return err
		}
		f.contract, err = h.contract(f)
		return err
	})
	if err != nil || known {
		return o, known, err
	}
	if problem := e.mayBegin(ctx, p.Backend); problem != nil {
		return o, false, problem
	}
	if err := e.view(ctx, func(tx storage.Tx) error { return e.keyFree(tx, f.order, p, csr.KeyHash, f.application()) }); err != nil {
		return o, false, err
	}
	if err := e.lookAtCAA(ctx, owner.Account, f); err != nil {
		return o, false, err
	}
	if x.claim, err = e.claimUnlessRenewal(ctx, f.order); err != nil {
		return o, false, err
	}
	if err := failpoint.Hit(failpoint.FinalizeParsed); err != nil {
		x.claim.Return()
		return o, false, err
	}
	o, err = e.close(ctx, owner.Account, f)
	if known = err == nil && o.ID != f.order.ID; known || err != nil {
		x.claim.Return() // nothing came of it
		return o, known, err
	}
	if !o.Renews && x.claim.Limit() == nil {
		ratelimit.For(e.rates.newOrders, o.Account).Take() // there was one when it was looked for
	}
	e.Counters.OrdersCreated.Add(1)
	e.log.Info("order created with a CSR", "event", "order.submitted", "order", o.ID, "account", o.Account, "member", o.Member, "profile", o.Profile,
		"identifiers", len(o.Identifiers), "by", submitted.By, "via", submitted.Via, "vouched", o.Vouched())
	return o, false, nil
}

// certIDOf is what an order over ACME would call the certificate that a CSR is to
// renew (RFC 9773, 4.1). What is another member's is not there (SP-1).
func certIDOf(tx storage.Tx, r CSRRequest) (string, error) {
	if r.Replaces == "" {
		return "", nil
	}
	c, err := tx.Certificates().Get(r.Replaces)
	if errors.Is(err, storage.ErrNotFound) || err == nil && c.Member != r.Member {
		return "", acme.Problemf(acme.Malformed, "there is no certificate %.100q that could be replaced", string(r.Replaces)).WithStatus(404)
	}
	if err != nil {
		return "", err
	}
	id := acme.CertID(c.AuthorityKeyID, c.Serial)
	if id == "" {
		return "", acme.Problemf(acme.Malformed, "the certificate that is to be replaced does not name the key of its issuer; leave replaces out")
	}
	return id, nil
}

// namesOfCSR are the identifiers of the order that a CSR makes: the names in it.
// Those of a framework stand for an application, which is known without them.
func (h holder) namesOfCSR(p acme.Profile, csr acme.CSR) ([]acme.Identifier, error) {
	if p.IB1.Tree.Member() {
		return h.parseIdentifiers(p, []acme.Identifier{{Type: acme.DNSIdentifier, Value: h.application()}})
	}
	if len(csr.Identifiers) == 0 {
		return nil, acme.Problemf(acme.BadCSR, "the CSR names nothing that a certificate could be for; put the names into its subject alternative name extension")
	}
	return h.parseIdentifiers(p, csr.Identifiers)
}

// lookAtCAA asks the holders of the names, where the profile wants that. An
// order over ACME keeps the answers for when it is finalized again; here they
// go with the order.
func (e *Engine) lookAtCAA(ctx context.Context, owner acme.Account, f finalization) error {
	if !f.profile.CAA {
		return nil
	}
	authzs := f.opening.authzs
	outcomes := e.lookAgain(ctx, owner, authzs, f.profile)
	if p := e.caaProblem(f.order, authzs, outcomes); p != nil {
		return p
	}
	for i := range authzs {
		authzs[i].CAA = outcomes[i].CAA
	}
	return nil
}

// place stores the order of a CSR in the transaction that closes it, if it may
// be placed, or finds the order that the CSR has.
func (e *Engine) place(tx storage.Tx, h holder, f finalization) (o acme.Order, known bool, err error) {
	o = f.opening.order
	if o.MemberVersion, err = h.entitled(f.profile, o.Identifiers); err != nil {
		return o, false, err
	}
	if before, known, err := e.submittedBefore(tx, f, o); err != nil || known {
		return before, known, err
	}
	if o.Replaces != "" {
		if err := e.replace(tx, f.profile, o.Replaces, &o); err != nil {
			return o, false, err
		}
		if o.Renews, err = e.renewsInTime(tx, o); err != nil {
			return o, false, err
		}
	}
	if err := e.stillRenewal(o, f.opening.claim); err != nil {
		return o, false, err
	}
	if err := e.mayBuy(tx, f.authority, o); err != nil {
		return o, false, err
	}
	if err := e.mayOpen(tx, h.member, o); err != nil {
		return o, false, err
	}
	if err := e.mayReissue(tx, h, f.profile, o); err != nil {
		return o, false, err
	}
	if f.opening.owner.unstored {
		if err := tx.Accounts().Put(f.opening.owner.Account); err != nil {
			return o, false, err
		}
	}
	for _, a := range f.opening.authzs {
		if err := tx.Authorizations().Put(a); err != nil {
			return o, false, err
		}
	}
	return o, false, tx.Orders().Put(o)
}

// submittedBefore finds the order that the same CSR has, if that is still under
// way, or its certificate is young and says what the registry says now.
func (e *Engine) submittedBefore(tx storage.Tx, f finalization, o acme.Order) (acme.Order, bool, error) {
	subs, _, err := tx.Submissions().ByNeed(acme.NeedOf(o), storage.Page{Limit: requestsLookedAt})
	if err != nil {
		return o, false, err
	}
	now := e.now()
	for _, sub := range subs {
		before, err := tx.Orders().Get(sub.Order)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return o, false, err
		case before.CSRHash != f.csrHash:
			continue
		case before.Status == acme.OrderProcessing:
			return before, true, nil
		case before.Status != acme.OrderValid || before.MemberVersion != o.MemberVersion:
			continue
		}
		c, err := tx.Certificates().Get(before.Certificate)
		if err != nil {
			return o, false, err
		}
		young := now.Before(c.IssuedAt.Add(max(f.profile.ReattachWithin, csrStays))) && now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/2))
		if young && c.Revocation == nil && c.RenewedAt.IsZero() {
			return before, true, nil
		}
	}
	return o, false, nil
}
