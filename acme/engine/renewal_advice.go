package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// What CAs say of renewals. A client's question is answered from the record of
// the certificate; when the word in there has got old, the CA is asked
// afterwards, behind the answer. Only certificates that somebody asks about are
// asked for, each no more often than its CA wants. No job is stored for it: what
// a crash loses is asked for again with the next question.

// Bounds of the pause between two questions about one certificate.
const (
	adviceSoonest = time.Hour
	adviceUsual   = 6 * time.Hour
	adviceLatest  = 24 * time.Hour
)

// wantAdvice has the CA of c asked when its last word is not good any more, and
// reports whether that is so.
func (e *Engine) wantAdvice(c acme.Certificate) bool {
	a, now := e.backends[c.Backend], e.now()
	if a == nil || a.informer == nil || c.Revocation != nil || !now.Before(c.NotAfter) ||
		c.RenewalAdvice != nil && now.Before(c.RenewalAdvice.Again) {
		return false
	}
	lane, id := laneAdvice+a.name, "advice/"+string(c.ID)
	if !e.lanes.room(lane, c.Account) || !e.inflight.take(id) {
		return true
	}
	e.lanes.add(lane, c.Account, func(ctx context.Context) {
		defer e.inflight.release(id)
		e.refreshAdvice(ctx, a, c)
	})
	return true
}

// refreshAdvice stores what the CA says. A CA that does not answer is left
// alone for a while, and what it said before stands.
func (e *Engine) refreshAdvice(ctx context.Context, a *authority, c acme.Certificate) {
	info, askErr := e.askCA(ctx, a, c)
	if ctx.Err() != nil {
		return // cut off by a stop
	}
	err := e.commit(ctx, func(tx storage.Tx) error {
		stored, err := tx.Certificates().Get(c.ID)
		if err != nil {
			return err
		}
		now := e.now()
		next := acme.RenewalAdvice{Window: info.Window, Explanation: info.Explanation, At: now, Again: now.Add(advicePause(info.After))}
		if askErr != nil {
			next = acme.RenewalAdvice{}
			if stored.RenewalAdvice != nil {
				next = *stored.RenewalAdvice
			}
			next.Again = now.Add(adviceSoonest)
		}
		next = acme.CheckRenewalAdvice(stored, next)
		stored.RenewalAdvice = &next
		return tx.Certificates().Put(stored)
	}, failpoint.Advice)
	for _, err := range []error{askErr, err} {
		if err != nil {
			e.log.Warn("no word of the CA on a renewal", "event", "renewal.advice_failed", "certificate", c.ID, "backend", a.name, "cause", err)
		}
	}
}

// askCA contains what is wrong with a backend.
func (e *Engine) askCA(ctx context.Context, a *authority, c acme.Certificate) (info backends.RenewalInfo, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if hit := failpoint.Hit(failpoint.AskAdvice); hit != nil {
		return info, hit
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	return a.informer.RenewalInfo(ctx, c)
}

func advicePause(wish time.Duration) time.Duration {
	if wish <= 0 {
		wish = adviceUsual
	}
	return min(max(wish, adviceSoonest), adviceLatest)
}
