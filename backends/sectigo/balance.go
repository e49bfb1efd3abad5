package sectigo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"acmebridge/backends"
)

// errBalance: there is nothing left to buy with.
var errBalance = fmt.Errorf("no certificates are left to this profile; order more, or lower the floor: %w", backends.ErrExhausted)

// errFew: there is enough for some of what should be bought, and not for all.
var errFew = errors.New("not enough certificates are left to this profile for all of these requests")

// floor is how many have to be left for one more purchase: renewals may use up
// what is kept for them.
func (b *Backend) floor(r backends.Request) int64 {
	if r.Renewal {
		return 0
	}
	return b.cfg.Floor
}

// purse is what is left to buy with (SC-16): what the CA says, less what the CA
// may not have taken off yet when it said so.
type purse struct {
	mu      sync.Mutex
	balance int64
	counted time.Time // when it was asked for, zero never
	read    int       // the turn of that question
	turn    int       // counts questions and replies, so that they have an order
	taken   []*taken
}

// taken is what an upload takes.
type taken struct {
	n int64
	// over is the turn of its reply, zero as long as there is none. A balance that
	// was asked for later has it in it.
	over int
	// doubt is until when the CA may still be at work on an upload whose reply was
	// lost.
	doubt time.Time
}

const (
	balanceAge = time.Minute
	// uploadAge is for how long an upload may be on its way without us.
	uploadAge = 2 * time.Minute
)

// count asks the CA for the balance.
func (b *Backend) count(ctx context.Context, authority int64) (int64, error) {
	turn := b.purse.ask()
	asked := b.cfg.Now()
	left, err := b.client.Balance(ctx, authority)
	if err == nil {
		b.purse.fill(turn, asked, left)
	}
	return left, err
}

// reserve makes sure that there are n left, and takes them. It may be wrong,
// since others buy too; then the CA says so.
func (b *Backend) reserve(ctx context.Context, authority, floor, n int64) (*taken, error) {
	if !b.purse.fresh(b.cfg.Now()) {
		if _, err := b.count(ctx, authority); err != nil {
			return nil, err
		}
	}
	return b.purse.take(floor, n)
}

func (p *purse) fresh(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.counted) < balanceAge
}

// ask begins a question for the balance.
func (p *purse) ask() (turn int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	return p.turn
}

// fill takes the answer to a question. Uploads that were over when it was asked
// are in it; all others are still to be taken off.
func (p *purse) fill(turn int, asked time.Time, balance int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if turn < p.read {
		return // a later question was answered earlier
	}
	p.balance, p.counted, p.read = balance, asked, turn
	p.taken = slices.DeleteFunc(p.taken, func(t *taken) bool {
		return t.over != 0 && t.over < turn && !asked.Before(t.doubt)
	})
}

// take takes n, unless that would leave less than floor.
func (p *purse) take(floor, n int64) (*taken, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.balance
	for _, t := range p.taken {
		left -= t.n
	}
	switch {
	case left <= floor:
		return nil, fmt.Errorf("sectigo: %d left, floor %d: %w", left, floor, errBalance)
	case left-n < floor:
		return nil, fmt.Errorf("sectigo: %d left, floor %d: %w", left, floor, errFew)
	}
	t := &taken{n: n}
	p.taken = append(p.taken, t)
	return t, nil
}

// settle ends an upload. One that failed tells something of the balance, too: it
// is asked for anew.
func (p *purse) settle(t *taken, now time.Time, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	t.over = p.turn
	if failed == nil {
		return
	}
	p.counted = time.Time{}
	if OutcomeOf(failed) == Unknown {
		t.doubt = now.Add(uploadAge)
		return
	}
	p.taken = slices.DeleteFunc(p.taken, func(other *taken) bool { return other == t })
}
