package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// checkSlow polls a CA that has had no time yet: that is no error, and costs
// nothing of the request.
func checkSlow(ctx context.Context, s Subject) error {
	r := s.Request()
	t, err := submit(ctx, s, r)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	for range 3 {
		got, err := ask(ctx, s, s.Backend, t)
		switch {
		case err != nil:
			return fmt.Errorf("polling a CA that is not done: %w", err)
		case got.After < 0:
			return fmt.Errorf("poll wants to be asked again after %s", got.After)
		case len(got.Note) > 1024:
			return fmt.Errorf("the note of a poll has %d octets", len(got.Note))
		}
	}
	chain, err := poll(ctx, s, s.Backend, t)
	if err != nil {
		return err
	}
	return keeps(chain, r, s)
}

// checkTwice sends one request twice, as a person may decide when nobody can
// tell what became of the first. Whatever the CA makes of the second, it is no
// reason to end the order, whose certificate exists.
func checkTwice(ctx context.Context, s Subject) error {
	r := s.Request()
	first, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	second, err := submit(ctx, s, r)
	switch _, refused := backends.RefusalDetail(err); {
	case refused:
		return fmt.Errorf("the second time it is refused, which would end an order that has its certificate: %w", err)
	case err == nil:
		again, err := poll(ctx, s, s.Backend, second)
		if err != nil {
			return fmt.Errorf("by the second ticket: %w", err)
		}
		if err := keeps(again, r, s); err != nil {
			return fmt.Errorf("by the second ticket: %w", err)
		}
	}
	after, err := poll(ctx, s, s.Backend, first)
	if err != nil {
		return fmt.Errorf("by the first ticket, after the second: %w", err)
	}
	if err := sameChain(chain, after); err != nil {
		return fmt.Errorf("by the first ticket, after the second: %w", err)
	}
	finder, ok := s.Backend.(backends.Finder)
	if !ok {
		return nil
	}
	t, found, err := finder.Find(ctx, r)
	if err != nil || !found {
		return fmt.Errorf("of two, none is found: %w", err)
	}
	found2, err := poll(ctx, s, s.Backend, t)
	if err != nil {
		return fmt.Errorf("by the ticket that was found: %w", err)
	}
	return keeps(found2, r, s)
}

// checkDamage: damage is neither a certificate nor a refusal, and when it is
// over the certificate is there.
func checkDamage(ctx context.Context, s Subject) error {
	for _, name := range slices.Sorted(maps.Keys(s.Damage)) {
		r := s.Request()
		t, err := submit(ctx, s, r)
		if err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		s.Settle()
		s.Damage[name]()
		for range 2 {
			got, err := ask(ctx, s, s.Backend, t)
			if _, refused := backends.RefusalDetail(err); refused {
				return fmt.Errorf("%s: is called a refusal, and what was bought would be lost: %w", name, err)
			}
			if err == nil && got.Chain != nil {
				if err := keeps(got.Chain, r, s); err != nil {
					return fmt.Errorf("%s: is handed on as if it were a certificate: %w", name, err)
				}
			}
		}
		s.Mend()
		chain, err := poll(ctx, s, s.Backend, t)
		if err == nil {
			err = keeps(chain, r, s)
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
	}
	return nil
}

// checkOrder takes one order through, and a second beside it.
func checkOrder(ctx context.Context, s Subject) error {
	f, n, err := s.order()
	if err != nil {
		return err
	}
	o, err := f.follow(ctx, n)
	if err != nil {
		return err
	}
	if err := errors.Join(f.granted(ctx, n, o), f.paid(1, 1)); err != nil {
		return err
	}
	return errors.Join(f.well(ctx), f.paid(2, 2))
}

// checkLostReply loses the reply to a purchase; every turn is a restart.
func checkLostReply(ctx context.Context, s Subject) error {
	f, n, err := s.order()
	if err != nil {
		return err
	}
	s.LoseReply()
	o, err := f.follow(ctx, n)
	if err != nil {
		return err
	}
	if _, finds := s.Backend.(backends.Finder); !finds && o.Status == acme.OrderProcessing {
		return f.paid(1, 1)
	}
	return errors.Join(f.granted(ctx, n, o), f.paid(1, 1), f.well(ctx))
}

// checkForeign has the CA deliver what was issued for another order, or what
// is no chain at all (D10, SC-8).
func checkForeign(ctx context.Context, s Subject) error {
	var kept [][]byte
	other := func([][]byte) [][]byte { return kept }
	for _, way := range []struct {
		name string
		bend func([][]byte) [][]byte
	}{
		{"the certificate of another order", other},
		{"the certificate of another order above this one's", func(c [][]byte) [][]byte { return append(slices.Clone(kept), c...) }},
		{"what is above the certificate, without it", func(c [][]byte) [][]byte { return append(slices.Clone(c[1:]), s.Roots...) }},
		{"octets that are no certificate", func([][]byte) [][]byte { return [][]byte{{0x30, 0x03, 0x02, 0x01, 0x05}} }},
	} {
		f, n, err := s.order()
		if err != nil {
			return err
		}
		f.hide = true
		f.bend = func(c [][]byte) [][]byte { kept = slices.Clone(c); return c }
		o, err := f.follow(ctx, n)
		if err == nil {
			err = f.granted(ctx, n, o)
		}
		if err != nil {
			return err
		}
		f.bend = way.bend
		wronged, o, err := f.buys(ctx)
		if err == nil {
			err = f.denied(ctx, wronged, o)
		}
		if err == nil {
			f.bend = nil
			err = errors.Join(f.well(ctx), f.paid(3, 3))
		}
		if err != nil {
			return fmt.Errorf("the CA delivered %s: %w", way.name, err)
		}
	}
	return nil
}

// checkMisissue has the CA itself issue something else than what was ordered.
// That was paid for, and nobody gets it; the next order is none the worse. Where the
// CA would issue it again, this is the engine that cannot have that: see checkMends.
func checkMisissue(ctx context.Context, s Subject) error {
	for _, name := range slices.Sorted(maps.Keys(s.Misissue)) {
		f, n, err := s.order()
		if err != nil {
			return err
		}
		f.hide, f.plain = true, true
		if err := f.well(ctx); err != nil { // somebody whose certificate there is to mix up
			return err
		}
		s.Misissue[name]()
		o, err := f.follow(ctx, n)
		if err == nil {
			err = f.denied(ctx, n, o)
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

// checkOutlasts: an order whose certificate arrives damaged for a while has it
// in the end, and has not been paid for again.
func checkOutlasts(ctx context.Context, s Subject) error {
	for _, name := range slices.Sorted(maps.Keys(s.Damage)) {
		f, n, err := s.order()
		if err != nil {
			return err
		}
		s.Damage[name]()
		for range 4 {
			if err := f.turn(ctx, func(e *engine.Engine) { n.goOn(ctx, e) }); err != nil {
				return err
			}
			if err := f.pass(ctx); err != nil {
				return err
			}
		}
		o, err := f.read(ctx, n)
		if err != nil {
			return errors.Join(err, n.problem)
		}
		if o.Status == acme.OrderInvalid {
			return fmt.Errorf("%s: the order, which is paid for, was ended: %s", name, why(o))
		}
		s.Mend()
		if o, err = f.follow(ctx, n); err == nil {
			err = errors.Join(f.granted(ctx, n, o), f.paid(1, 1))
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
	}
	return nil
}

// checkEnds: an order that the CA refuses ends, says why, and is not tried again.
func checkEnds(ctx context.Context, s Subject) error {
	r := s.Refuse()
	n, err := newNeed(r)
	if err != nil {
		return err
	}
	f := newFront(s, r)
	o, err := f.follow(ctx, n)
	if err != nil {
		return err
	}
	if err := f.denied(ctx, n, o); err != nil {
		return err
	}
	if o.Status != acme.OrderInvalid || o.Problem == nil || o.Problem.Detail == "" {
		return fmt.Errorf("the order is %s with the problem %s", o.Status, why(o))
	}
	if n := f.sends.Load(); n > 1 {
		return fmt.Errorf("it was sent %d times", n)
	}
	return nil
}
