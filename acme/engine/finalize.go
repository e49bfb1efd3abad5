package engine

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Finalize closes an order with a CSR. The answer waits for the certificate,
// at most for the profile's hold window.
//
// A CSR that is refused leaves the order ready (R8555-7.4F-6: certbot would
// otherwise have to start over), and the same CSR again gets the order as it
// is (SP-11: the client did not see our answer).
func (e *Engine) Finalize(ctx context.Context, owner acme.Account, id acme.OrderID, csrDER []byte) (acme.Order, time.Duration, error) {
	return e.FinalizeProduct(ctx, owner, id, csrDER, "")
}

// FinalizeProduct is Finalize for a client that may name a product by the profile
// id of its X-Road instance, which has no place in ACME; "" is none. In
// directories without X-Road it means nothing.
func (e *Engine) FinalizeProduct(ctx context.Context, owner acme.Account, id acme.OrderID, csrDER []byte, product string) (acme.Order, time.Duration, error) {
	begun := e.now()
	done, cancel := e.watchers.watch(string(orderJob(id)))
	defer cancel()
	f, err := e.decide(ctx, owner, id, csrDER, product)
	for n := 0; n < 3 && errors.Is(err, errRegistryMoved); n++ {
		f, err = e.decide(ctx, owner, id, csrDER, product)
	}
	var gone rightGone
	if errors.As(err, &gone) {
		o, err := e.endWithdrawn(ctx, owner, id, sha256.Sum256(csrDER), gone.problem)
		return o, 0, err
	}
	if err != nil {
		e.noteRefusal(ctx, owner, id, err)
		return f.order, 0, err
	}
	if !f.repeated && f.order.Status == acme.OrderValid {
		return f.order, 0, nil
	}
	if f.order.AttachedTo != "" {
		shared, cancelShared := e.watchers.watch(string(jobOf(f.order)))
		defer cancelShared()
		done = shared
	}
	o, retry, err := e.Order(ctx, owner.ID, id)
	if err == nil && o.Status == acme.OrderProcessing {
		e.watchers.wait(ctx, done, f.profile.Hold-e.now().Sub(begun))
		o, retry, err = e.Order(ctx, owner.ID, id)
	}
	return o, retry, err
}

// decide looks at a finalize request and closes the order, unless it is closed.
func (e *Engine) decide(ctx context.Context, owner acme.Account, id acme.OrderID, csrDER []byte, product string) (finalization, error) {
	f, err := e.prepare(ctx, owner, id, csrDER, product)
	if err != nil || f.repeated {
		return f, err
	}
	if err := failpoint.Hit(failpoint.FinalizeParsed); err != nil {
		return f, err
	}
	if err := e.renewCAA(ctx, owner, f.order, f.profile); err != nil {
		return f, err
	}
	f.order, err = e.close(ctx, owner, f)
	return f, err
}

// finalization is a finalize request that may go through.
type finalization struct {
	order     acme.Order
	profile   acme.Profile
	authority *authority
	csrHash   acme.KeyHash
	csr       acme.CSR
	contract  acme.Contract
	repeated  bool
	// opening is an order that is not stored yet: the commit that closes it
	// places it as well. Nil for those of ACME.
	opening *opening
	// product is what an X-Road client asked for, and notes what the order's
	// history is to say of it.
	product string
	notes   []string
}

// prepare reads and decides; nothing is written.
func (e *Engine) prepare(ctx context.Context, owner acme.Account, id acme.OrderID, csrDER []byte, product string) (finalization, error) {
	f := finalization{csrHash: sha256.Sum256(csrDER)}
	err := e.view(ctx, func(tx storage.Tx) error {
		var err error
		f.order, f.repeated, err = e.finalizable(tx, owner.ID, id, f.csrHash)
		return err
	})
	if err != nil {
		return f, err
	}
	if f.repeated {
		f.profile = e.cfg.Profiles[f.order.Profile]
		return f, nil
	}
	profile, p := e.profileFor(f.order.Directory, f.order.Profile)
	if p != nil {
		return f, p // RPROF-5: the profile is not offered any more
	}
	if f.csr, p = acme.ParseCSR(csrDER); p != nil {
		return f, p
	}
	f.profile = profile
	if err := e.chooseProduct(ctx, owner, &f, product); err != nil {
		return f, err
	}
	f.authority = e.backends[f.profile.Backend]
	if f.contract, err = e.contract(ctx, owner.ID, f); err != nil {
		return f, err
	}
	return f, e.view(ctx, func(tx storage.Tx) error {
		return e.keyFree(tx, f.order, f.profile, f.csr.KeyHash, f.application())
	})
}

// application is the one that the certificate will be for, if any.
func (f finalization) application() string {
	if f.contract.Holder == nil {
		return ""
	}
	return f.contract.Holder.Application
}

// finalizable loads the order of a finalize request and says whether it may be
// closed.
func (e *Engine) finalizable(tx storage.Tx, owner acme.AccountID, id acme.OrderID, csrHash acme.KeyHash) (acme.Order, bool, error) {
	o, err := loadOrder(tx, owner, id)
	if err != nil {
		return o, false, err
	}
	authzs, err := loadAuthorizations(tx, o.Authorizations)
	if err != nil {
		return o, false, err
	}
	repeated, p := acme.Finalize(o, authzs, csrHash, e.now())
	if p == nil && !repeated && e.cfg.Profiles[o.Profile].Authorization.AsksProof() && !o.Vouched() {
		p = proved(authzs)
	}
	return o, repeated, orProblem(p, nil)
}

// proved refuses authorizations that rest on the registry alone: the profile
// wanted no proof when the order was placed, and does now.
func proved(authzs []acme.Authorization) *acme.Problem {
	for _, a := range authzs {
		if !a.Proved() {
			return acme.Problemf(acme.OrderNotReady, "control of %s has to be proved by now; place a new order", a.Identifier.Value)
		}
	}
	return nil
}

// certificateKeyFree refuses a key that is an account's or blocked
// (R8555-7.4F-7, -8; EK-9).
func certificateKeyFree(tx storage.Tx, key acme.KeyHash) error {
	used, err := tx.Accounts().KeyInUse(key)
	if err != nil {
		return err
	}
	if used {
		return acme.Problemf(acme.BadCSR, "the CSR has the key of an account; a certificate needs a key of its own")
	}
	if _, err := tx.BlockedKeys().Get(key); err == nil {
		return acme.Problemf(acme.BadCSR, "the key of the CSR was reported as compromised; generate another one")
	} else if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return nil
}

// newSubmission freezes what is asked of the CA, under a key of ours.
func (e *Engine) newSubmission(f finalization) (storage.Submission, error) {
	now := e.now().Truncate(time.Second).UTC()
	id, err := acme.MintID[acme.SubmissionID](now, e.cfg.Random)
	if err != nil {
		return storage.Submission{}, err
	}
	var key [16]byte
	if _, err := io.ReadFull(e.cfg.Random, key[:]); err != nil {
		return storage.Submission{}, fmt.Errorf("engine: mint a submission key: %w", err)
	}
	c := f.contract
	c.NotBefore = f.order.NotBefore.UTC()
	if f.authority.traits.HonoursNotAfter {
		c.NotAfter = endOf(f.order, f.profile, now)
	}
	sub := storage.Submission{
		ID: id, Key: hex.EncodeToString(key[:]), Order: f.order.ID, Account: f.order.Account, Backend: f.authority.name,
		CSR: f.csr.Raw, Contract: c, CreatedAt: now, Deadline: now.Add(f.profile.IssuanceDeadline),
	}
	if f.opening != nil {
		sub.Need = acme.NeedOf(f.order) // whatever issues it: the same CSR again is found by it
	}
	return sub, nil
}

// endOf is when the certificate of an order ends: as requested, and otherwise
// after the profile's validity.
func endOf(o acme.Order, p acme.Profile, now time.Time) time.Time {
	usual := now.Add(p.Validity)
	switch {
	case o.NotAfter.IsZero(), p.Dates == acme.DatesWish, p.Dates == acme.DatesUpperBound && o.NotAfter.After(usual):
		return usual
	default:
		return o.NotAfter.UTC()
	}
}

func request(o acme.Order, sub storage.Submission, spki []byte) backends.Request {
	return backends.Request{
		Key: sub.Key, Batch: sub.Batch, Order: o.ID, Account: o.Account, Member: o.Member, CSR: sub.CSR, PublicKey: spki,
		Contract: sub.Contract, At: sub.CreatedAt, TakesOver: backends.Ticket(sub.TakesOver),
	}
}

func (e *Engine) newCertificate(o acme.Order, sub storage.Submission, leaf *x509.Certificate) (acme.Certificate, error) {
	id, err := acme.MintID[acme.CertificateID](e.now(), e.cfg.Random)
	if err != nil {
		return acme.Certificate{}, err
	}
	return acme.Certificate{
		ID: id, Order: o.ID, Account: o.Account, Directory: o.Directory, Member: o.Member, Backend: sub.Backend,
		Profile: o.Profile, Leaf: leaf.Raw, Serial: acme.SerialOctets(leaf.SerialNumber), AuthorityKeyID: leaf.AuthorityKeyId,
		KeyHash: sub.Contract.KeyHash, Identifiers: o.Identifiers, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		IssuedAt: e.now(), CountsNames: e.cfg.Limits.NameSet.Bounded() || sub.Contract.Holder != nil, Holder: sub.Contract.Holder,
	}, nil
}

func (e *Engine) issued(o acme.Order, c acme.Certificate) {
	e.Counters.OrdersValid.Add(1)
	e.log.Info("certificate issued", "event", "order.valid", "order", o.ID, "account", o.Account, "member", o.Member,
		"backend", c.Backend, "certificate", c.ID, "serial", hex.EncodeToString(c.Serial), "not_after", c.NotAfter)
}

// refusedByCA is the problem of an order that its CA will not fulfil. detail
// is in the backend's own words (SC-18).
func refusedByCA(detail string, cause error) *acme.Problem {
	return acme.Problemf(backends.RefusalType(cause), "the certificate authority refused the request: %s", detail)
}

func (e *Engine) refused(o acme.Order, backend string, cause error) {
	e.Counters.OrdersInvalid.Add(1)
	e.log.Warn("the CA refused an order", "event", "order.refused", "order", o.ID, "account", o.Account, "member", o.Member,
		"backend", backend, "cause", cause)
}

// mismatch reports a certificate that is not what was ordered. It is kept from
// everybody; the client learns no more than where to ask.
func (e *Engine) mismatch(o acme.Order, sub storage.Submission, cause error) *acme.Problem {
	e.Counters.Quarantined.Add(1)
	e.log.Error("the CA issued something else than was ordered; it is quarantined", "event", "order.quarantined",
		"order", o.ID, "account", o.Account, "member", o.Member, "backend", sub.Backend, "submission", sub.ID, "cause", cause)
	return notAsOrdered(o)
}

func notAsOrdered(o acme.Order) *acme.Problem {
	return acme.Problemf(acme.ServerInternal,
		"the certificate that was issued is not what was ordered, so it was not delivered; ask the operator about order %s", o.ID)
}
