package backendtest

import (
	"context"
	"errors"
	"fmt"

	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// together is how many requests the backend takes with one call.
func (s Subject) together() (size int) {
	if b, ok := s.Backend.(backends.Batcher); ok && has[backends.Finder](s) {
		size, _ = b.Batching()
	}
	return size
}

// checkTogether has as many orders as go with one call, each of an account of its
// own: when nothing is wrong, when the reply gets lost, and when the engine dies
// at any commit before and after that. Each gets its own certificate.
func checkTogether(ctx context.Context, s Subject) error {
	if err := s.crowd(ctx, 0, false); err != nil {
		return err
	}
	if s.LoseReply != nil {
		s.LoseReply()
		if err := s.crowd(ctx, 0, false); err != nil {
			return fmt.Errorf("after a lost reply: %w", err)
		}
	}
	const commits = 12 // around the call; what comes later is as for one order
	for at := 1; at <= commits; at++ {
		for _, applied := range []bool{false, true} {
			if err := s.crowd(ctx, at, applied); err != nil {
				return fmt.Errorf("crashed at commit %d, applied %t: %w", at, applied, err)
			}
		}
	}
	return nil
}

// crowd takes orders to their end together. Once they are ready the engine dies
// at its commit number at, unless that is zero.
func (s Subject) crowd(ctx context.Context, at int, applied bool) error {
	f, n, err := s.order()
	if err != nil {
		return err
	}
	all := []*need{n}
	for len(all) < min(s.together(), 4) {
		n, err := newNeed(s.Request())
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	goOn := func(e *engine.Engine) {
		for _, n := range all {
			n.goOn(ctx, e)
		}
	}
	for _, n := range all {
		n.waits = true
	}
	for range 2 { // the orders are placed, and control is proved
		if err := f.turn(ctx, goOn); err != nil {
			return err
		}
	}
	for _, n := range all {
		n.waits = false
	}
	if at > 0 {
		f.willCrash(applied, at, 2)
	}
	for range turns {
		err := f.turn(ctx, goOn)
		if died := f.revive(); err != nil && !died {
			return err
		}
		over := 0
		for _, n := range all {
			if n.problem != nil {
				return n.problem
			}
			if o, err := f.read(ctx, n); err != nil || o.Status.Final() {
				over++
			}
		}
		if over == len(all) {
			break
		}
		if err := f.pass(ctx); err != nil {
			return err
		}
	}
	for i, n := range all {
		o, err := f.read(ctx, n)
		if err == nil {
			err = f.granted(ctx, n, o)
		}
		if err != nil {
			return fmt.Errorf("order %d of %d: %w", i+1, len(all), err)
		}
	}
	if at == 0 && f.calls.Load() == 0 {
		return errors.New("no two of them went together")
	}
	return f.paid(len(all), len(all))
}
