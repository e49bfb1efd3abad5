package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"acmebridge/acme"
	"acmebridge/backends"
)

// A CA that issues again is judged by how often it did, besides what was bought
// (backends.Reissuer): once for each certificate that was wrong.

// mends says whether the backend can have something issued again, and the subject
// can arrange that something is wrong.
func (s Subject) mends() bool { return has[backends.Reissuer](s) && len(s.Misissue) > 0 }

// reissues is how often the CA has issued again, as it says itself, if it can be
// asked, and otherwise how often it may have been asked to.
func (f *front) reissues() int {
	if f.subject.Reissued != nil {
		return f.subject.Reissued()
	}
	return int(f.again.Load())
}

// checkReissuer looks at the backend alone: what was not asked to be issued again is
// not found, what was is, and its certificate is not the wrong one.
func checkReissuer(ctx context.Context, s Subject) error {
	for _, name := range slices.Sorted(maps.Keys(s.Misissue)) {
		if err := s.mended(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s Subject) mended(ctx context.Context, name string) error {
	if _, _, err := obtain(ctx, s, s.Request()); err != nil { // somebody whose certificate there is to mix up
		return err
	}
	s.Misissue[name]()
	r, reissuer := s.Request(), s.Backend.(backends.Reissuer)
	first, wrong, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	switch t, found, err := reissuer.FindReissue(ctx, r, first, wrong[0]); {
	case err != nil:
		return fmt.Errorf("look for what was not asked for: %w", err)
	case found:
		return fmt.Errorf("what was not asked to be issued again is found, with the ticket %q", t)
	}
	if s.LoseReissue != nil {
		s.LoseReissue()
	}
	second, err := reissuer.Reissue(ctx, r, first, wrong[0])
	switch _, refused := backends.RefusalDetail(err); {
	case s.LoseReissue == nil && err != nil:
		return fmt.Errorf("issue again: %w", err)
	case s.LoseReissue != nil && err == nil:
		return fmt.Errorf("the reply got lost and Reissue returned the ticket %q: arrange it so that it cannot", second)
	case refused || backends.IsNotSent(err):
		return fmt.Errorf("the reply got lost, which proves nothing, and the error claims to know: %w", err)
	case err != nil:
		s.Settle()
		found := false
		switch second, found, err = reissuer.FindReissue(ctx, r, first, wrong[0]); {
		case err != nil:
			return fmt.Errorf("look for what the CA issues again: %w", err)
		case !found:
			return errors.New("what the CA issues again is not found: it would be asked a second time")
		}
	}
	s.requests.Store(second, r)
	instances := []backends.Backend{s.Backend}
	if s.Reopen != nil {
		instances = append(instances, s.Reopen())
	}
	for _, b := range instances {
		chain, err := poll(ctx, s, b, second)
		if err != nil {
			return fmt.Errorf("by the ticket of what is issued again: %w", err)
		}
		if slices.Equal(chain[0], wrong[0]) {
			return errors.New("by the ticket of what is issued again, the wrong one is delivered")
		}
		if err := keeps(chain, r, s); err != nil {
			return fmt.Errorf("by the ticket of what is issued again: %w", err)
		}
	}
	return nil
}

// checkMends: what is wrong is issued again, once, and paid for once. Nobody else
// notices.
func checkMends(ctx context.Context, s Subject) error {
	return s.eachWrong(ctx, s.Misissue, func(f *front, n *need, o acme.Order, before int) error {
		return errors.Join(f.granted(ctx, n, o), f.mended(before, 1))
	})
}

// checkWrongTwice: what is wrong again ends the order, and is not issued a third time.
func checkWrongTwice(ctx context.Context, s Subject) error {
	return s.eachWrong(ctx, s.MisissueTwice, func(f *front, n *need, o acme.Order, before int) error {
		err := f.denied(ctx, n, o)
		if o.Status != acme.OrderInvalid {
			err = errors.Join(err, fmt.Errorf("the order is %s: %s", o.Status, why(o)))
		}
		return errors.Join(err, f.mended(before, 1))
	})
}

// checkLostReissue: whatever becomes of the reply, it is issued again once.
func checkLostReissue(ctx context.Context, s Subject) error {
	lost := map[string]func(){}
	for name, arrange := range s.Misissue {
		lost[name] = func() { arrange(); s.LoseReissue() }
	}
	return s.eachWrong(ctx, lost, func(f *front, n *need, o acme.Order, before int) error {
		return errors.Join(f.granted(ctx, n, o), f.mended(before, 1))
	})
}

// eachWrong takes an order through for each way in which its certificate can be
// wrong, between two others.
func (s Subject) eachWrong(ctx context.Context, ways map[string]func(), judge func(f *front, n *need, o acme.Order, before int) error) error {
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		f, n, err := s.order()
		if err != nil {
			return err
		}
		f.hide = true
		if err := f.well(ctx); err != nil { // somebody whose certificate there is to mix up
			return err
		}
		before := f.reissues()
		ways[name]()
		o, err := f.follow(ctx, n)
		if err == nil {
			err = judge(f, n, o, before)
		}
		if err == nil {
			err = errors.Join(f.well(ctx), f.paid(3, 3))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// mended wants the CA to have issued again so many times since.
func (f *front) mended(before, want int) error {
	if n := f.reissues() - before; n != want {
		return fmt.Errorf("the CA was made to issue again %d times, want %d", n, want)
	}
	return nil
}

// checkReissueCrash kills the engine at each commit on the way of an order whose first
// certificate is wrong, before the commit and after it, and the one that takes over at
// its second. It has the right one in the end, was paid for once, and issued again once.
func checkReissueCrash(ctx context.Context, s Subject) error {
	names := slices.Sorted(maps.Keys(s.Misissue))
	for at := 1; ; at++ {
		crashed := false
		for _, applied := range []bool{false, true} {
			f, n, err := s.order()
			if err != nil {
				return err
			}
			f.hide = true
			if at == 1 && !applied {
				if err := f.well(ctx); err != nil { // somebody whose certificate there is to mix up
					return err
				}
				f.before = f.bought()
			}
			before := f.reissues()
			s.Misissue[names[0]]()
			f.willCrash(applied, at, 2)
			o, err := f.follow(ctx, n)
			crashed = crashed || len(f.crashes) < 2
			if err == nil {
				err = errors.Join(f.granted(ctx, n, o), f.paid(1, 1), f.mended(before, 1))
			}
			if err != nil {
				return fmt.Errorf("after a crash at commit %d, kept: %t: %w", at, applied, err)
			}
		}
		if !crashed {
			// An order has more than five, and what issues again four more.
			if at <= 9 {
				return fmt.Errorf("there were only %d commits", at-1)
			}
			return nil
		}
	}
}
