package backendtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/storage"
)

// crashStore dies at its nth commit, either before anything of it was applied
// or after all of it was, and answers nothing from then on, as a process that
// was killed would.
type crashStore struct {
	storage.Store
	at      int  // never when zero
	applied bool // whether the commit at which it dies is kept

	mu      sync.Mutex
	commits int // guarded by mu, like dead
	dead    bool
}

var errPower = fmt.Errorf("%w: the power is gone", storage.ErrUnknown)

func (c *crashStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	if c.died() {
		return storage.ErrClosed
	}
	return c.Store.View(ctx, fn)
}

func (c *crashStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return storage.ErrClosed
	}
	last := c.commits+1 == c.at
	if last && !c.applied {
		c.dead = true
		return errPower
	}
	if err := c.Store.Update(ctx, fn); err != nil {
		return err // which is no commit
	}
	c.commits++
	if last {
		c.dead = true
		return errPower
	}
	return nil
}

func (c *crashStore) died() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// willCrash plans deaths: at the nth commit, and then at each of the others,
// counted from the death before.
func (f *front) willCrash(applied bool, at ...int) {
	kept := f.store
	for _, n := range at {
		f.crashes = append(f.crashes, &crashStore{Store: kept, at: n, applied: applied})
	}
	f.crashes = append(f.crashes, &crashStore{Store: kept})
	f.store, f.crashes = f.crashes[0], f.crashes[1:]
}

// revive reports whether the store died, and takes the next one then.
func (f *front) revive() (died bool) {
	c, ok := f.store.(*crashStore)
	if !ok || !c.died() {
		return false
	}
	f.store, f.crashes = f.crashes[0], f.crashes[1:]
	return true
}

// checkCrash kills the engine at each commit on the way of an order, once
// before the commit and once after it, and the one that takes over at its
// second. Each need is paid for once, and has its certificate in the end (D8,
// SC-1, SC-4). A CA in which nothing can be looked up may leave the order to a
// person instead.
func checkCrash(ctx context.Context, s Subject) error {
	_, finds := s.Backend.(backends.Finder)
	_, issues := s.Backend.(backends.Issuer)
	_, continues := s.Backend.(backends.Continuer)
	for at := 1; ; at++ {
		crashed := false
		for _, applied := range []bool{false, true} {
			f, n, err := s.order()
			if err != nil {
				return err
			}
			f.willCrash(applied, at, 2)
			o, err := f.follow(ctx, n)
			crashed = crashed || len(f.crashes) < 2
			switch {
			case err != nil:
			case !finds && !issues && !continues && o.Status == acme.OrderProcessing:
				err = f.paid(0, 1)
			default:
				err = errors.Join(f.granted(ctx, n, o), f.paid(1, 1))
			}
			if err != nil {
				return fmt.Errorf("after a crash at commit %d, kept: %t: %w", at, applied, err)
			}
		}
		if !crashed {
			// Fewer would mean that the crashes do not reach the CA.
			if at <= 5 {
				return fmt.Errorf("there were only %d commits", at-1)
			}
			return nil
		}
	}
}
