package engine

import (
	"context"
	"fmt"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// close commits the order to a CSR: at once with its certificate where the
// backend is a pure function, and otherwise with a submission and a job.
func (e *Engine) close(ctx context.Context, owner acme.Account, f finalization) (acme.Order, error) {
	sub, err := e.newSubmission(f)
	if err != nil {
		return acme.Order{}, err
	}
	if f.authority.issuer == nil || f.profile.Approval.Required {
		return e.closeQueued(ctx, owner, f, sub)
	}
	chain, err := f.authority.issuer.Issue(request(f.order, sub, f.csr.SPKI))
	if err != nil {
		if detail, refused := backends.RefusalDetail(err); refused {
			return e.closeRefused(ctx, owner, f, detail, err)
		}
		return acme.Order{}, fmt.Errorf("engine: issue order %s at %s: %w", f.order.ID, sub.Backend, err)
	}
	leaf, err := f.authority.trust.CheckChain(sub.Contract, chain, e.now())
	if err != nil {
		return e.closeMismatch(ctx, owner, f, sub, chain, err)
	}
	cert, err := e.newCertificate(f.order, sub, leaf)
	if err != nil {
		return acme.Order{}, err
	}
	alternates := e.alternates(f.authority, f.order, sub, leaf)
	var o acme.Order
	var repeated bool
	err = e.commit(ctx, func(tx storage.Tx) error {
		if o, repeated, err = e.recheck(tx, owner.ID, f); err != nil || repeated {
			return err
		}
		now := e.now()
		o.CSRHash, o.Submission, o.Status = f.csrHash, sub.ID, acme.OrderProcessing
		o.Note(now, "finalized")
		o, err = deliver(tx, o, sub, cert, append([][][]byte{chain[1:]}, alternates...), now)
		return err
	}, failpoint.Finalize, failpoint.Intent, failpoint.Deliver)
	if err == nil && !repeated && o.Status == acme.OrderValid {
		e.issued(o, cert)
	}
	return o, err
}

// closeQueued hands an order to the work half, unless an earlier one for the
// same need serves it, or stands in its way (D9).
func (e *Engine) closeQueued(ctx context.Context, owner acme.Account, f finalization, sub storage.Submission) (acme.Order, error) {
	var o acme.Order
	j := storage.Job{
		ID: orderJob(f.order.ID), Kind: storage.JobSubmit, Attempt: 1, Account: owner.ID,
		Subject: string(f.order.ID), Backend: sub.Backend,
	}
	sub.Need = acme.NeedOf(f.order)
	if f.profile.Approval.Required {
		awaitApproval(&sub, &j, f.profile, e.now())
	}
	// Born leased to this run: it goes straight into its lane, if that has room.
	// Where requests go together it waits for others.
	mine := j.Waits == "" && f.authority.batcher == nil && e.lanes.room(laneOf(j), j.Account) && e.inflight.take(string(j.ID))
	launched := false
	defer func() { // whatever comes, a panic too, nobody holds what nobody steps
		if mine && !launched {
			e.inflight.release(string(j.ID))
		}
	}()
	var (
		repeated bool
		became   acme.Reattachment
		earlier  storage.Submission
	)
	err := e.commit(ctx, func(tx storage.Tx) error {
		var err error
		c, err := e.stillFinalizable(tx, owner.ID, f)
		if o, repeated = c.order, c.repeated; err != nil || repeated {
			return err
		}
		if became, earlier, err = e.reattach(tx, o, f); err != nil {
			return err
		}
		switch became {
		case acme.AttachOpen:
			o, err = e.attach(tx, o, f.csrHash, earlier)
			return err
		case acme.AttachIssued:
			o, err = e.attachIssued(tx, o, f.csrHash, earlier)
			return err
		case acme.Wait:
			return e.stillAtWork(tx, earlier.Order, "its certificate will be for another key")
		case acme.Supersede:
			if err := e.supersede(tx, o.ID, earlier); err != nil {
				return err
			}
		case acme.TakeOver:
			if err := e.takeOver(tx, o.ID, earlier, &sub); err != nil {
				return err
			}
		case acme.AskAnew, acme.Resume:
		}
		if err := e.mayFinish(tx, c.member, o, c.placed); err != nil {
			return err
		}
		if err := e.mayProcess(tx, o); err != nil {
			return err
		}
		if became != acme.Resume { // which has been bought already
			// A login that was refused ends nothing: the order waits with us.
			if err := e.mayBuy(tx, f.authority, o, backends.FindingLogin); err != nil {
				return err
			}
		}
		if became == acme.Resume {
			o, err = e.resume(tx, o, f.csrHash, earlier, f.profile)
			return err
		}
		now := e.now()
		o.CSRHash, o.Submission, o.Status = f.csrHash, sub.ID, acme.OrderProcessing
		o.Note(now, "finalized")
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		job := j
		switch {
		case mine:
			e.lease(&job, now)
		case job.Waits == "":
			job.Due = now.Add(f.authority.company.wait)
		}
		if err := tx.Jobs().Put(job); err != nil {
			return err
		}
		return putOrder(tx, o)
	}, failpoint.Finalize)
	if err == nil && !repeated && (became == acme.Supersede || became == acme.TakeOver) {
		e.watchers.tell(string(orderJob(earlier.Order)))
	}
	switch {
	case err != nil || repeated:
	case o.AttachedTo != "":
		e.attached(o)
	case mine && became != acme.Resume:
		launched = true
		e.launch(j)
	default:
		if became != acme.Resume {
			e.meet(j, f.order.Profile)
		}
		e.nudge()
	}
	return o, err
}

func (e *Engine) closeRefused(ctx context.Context, owner acme.Account, f finalization, detail string, cause error) (acme.Order, error) {
	var o acme.Order
	err := e.commit(ctx, func(tx storage.Tx) error {
		var repeated bool
		var err error
		if o, repeated, err = e.recheck(tx, owner.ID, f); err != nil || repeated {
			return err
		}
		o.CSRHash = f.csrHash
		if says := refusalNote(cause); says != "" {
			o.Note(e.now(), says)
		}
		o = acme.Fail(o, refusedByCA(detail, cause), e.now())
		if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
			return err
		}
		return putOrder(tx, o)
	}, failpoint.Finalize, failpoint.Fail)
	if err == nil {
		e.refused(o, f.authority.name, cause)
	}
	return o, err
}

// closeMismatch ends an order whose certificate is not what was ordered, and
// keeps the certificate as evidence (SC-8).
func (e *Engine) closeMismatch(ctx context.Context, owner acme.Account, f finalization, sub storage.Submission, chain [][]byte, cause error) (acme.Order, error) {
	p := e.mismatch(f.order, sub, cause)
	sub.Quarantine = chain
	var o acme.Order
	err := e.commit(ctx, func(tx storage.Tx) error {
		var repeated bool
		var err error
		if o, repeated, err = e.recheck(tx, owner.ID, f); err != nil || repeated {
			return err
		}
		if err := tx.Submissions().Put(sub); err != nil {
			return err
		}
		if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
			return err
		}
		o.CSRHash, o.Submission = f.csrHash, sub.ID
		o = acme.Fail(o, p, e.now())
		return putOrder(tx, o)
	}, failpoint.Finalize, failpoint.Quarantine)
	return o, err
}

// recheck decides once more inside of the transaction that closes the order
// with a certificate of its own.
func (e *Engine) recheck(tx storage.Tx, owner acme.AccountID, f finalization) (acme.Order, bool, error) {
	c, err := e.stillFinalizable(tx, owner, f)
	if err == nil && !c.repeated {
		err = e.mayFinish(tx, c.member, c.order, c.placed)
	}
	if err == nil && !c.repeated {
		err = e.mayReissue(tx, c.holder, f.profile, c.order)
	}
	return c.order, c.repeated, err
}

// closing is an order that may be closed, as it stands in the transaction that
// does it.
type closing struct {
	order    acme.Order
	repeated bool
	holder   holder
	member   *acme.Member
	placed   int // the version of the member's record that the order was placed by
}

// stillFinalizable says inside of the transaction whether the order may be
// closed: of any number of requests at once, one closes it (SP-11), and only
// while account, external key, member and authorizations are in force (SP-9).
func (e *Engine) stillFinalizable(tx storage.Tx, owner acme.AccountID, f finalization) (c closing, err error) {
	h, err := e.closer(tx, owner, f.opening)
	if err != nil {
		return c, err
	}
	if f.opening != nil {
		if c.order, c.repeated, err = e.place(tx, h, f); err != nil || c.repeated {
			return c, err
		}
	}
	if c.order, c.repeated, err = e.finalizable(tx, owner, f.order.ID, f.csrHash); err != nil || c.repeated {
		return c, err
	}
	if err := e.applyProduct(tx, h.account, &c.order, f); err != nil {
		return c, err
	}
	c.holder, c.member, c.placed = h, h.member, c.order.MemberVersion
	if c.order.MemberVersion, err = h.entitled(f.profile, c.order.Identifiers); err != nil {
		return c, err
	}
	if err := h.stillHolder(f); err != nil {
		return c, err
	}
	if stale, err := e.staleCAA(tx, c.order, f.profile); err != nil || len(stale) > 0 {
		return c, orProblem(caaStale(stale), err)
	}
	return c, e.keyFree(tx, c.order, f.profile, f.csr.KeyHash, f.application())
}
