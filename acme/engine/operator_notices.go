package engine

import (
	"context"
	"errors"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Notices lists certificates of members that end within d and that nothing has
// taken the place of, soonest first, a page at a time. Those that live shorter
// than d are due in the last third of their life: clients renew them before. A
// member that was removed is to have none.
func (o Operator) Notices(ctx context.Context, d time.Duration, p storage.Page) ([]acme.Certificate, string, error) {
	now := o.e.now()
	return paged(ctx, o.e, func(tx storage.Tx) (due []acme.Certificate, next string, err error) {
		certs, next, err := tx.Certificates().Expiring(now, now.Add(d), p)
		if err != nil {
			return nil, "", err
		}
		s := successors{tx: tx, now: now, removed: map[acme.MemberID]bool{}, latest: map[acme.MemberID]map[acme.NameSet]time.Time{}}
		for _, c := range certs {
			if c.Member == "" || c.Revocation != nil || c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/3 {
				continue
			}
			taken, err := s.gone(c.Member)
			if err == nil && !taken {
				taken, err = s.takenOver(c)
			}
			if err != nil {
				return nil, "", err
			}
			if !taken {
				due = append(due, c)
			}
		}
		return due, next, nil
	})
}

// successors looks for what has taken the place of certificates. What it has read
// of a member it keeps, for the others of that member.
type successors struct {
	tx      storage.Tx
	now     time.Time
	removed map[acme.MemberID]bool
	latest  map[acme.MemberID]map[acme.NameSet]time.Time
}

func (s successors) gone(id acme.MemberID) (bool, error) {
	if removed, known := s.removed[id]; known {
		return removed, nil
	}
	m, err := loadMember(s.tx, id)
	if err != nil {
		return false, err
	}
	s.removed[id] = m != nil && m.Status == acme.MemberRemoved
	return s.removed[id], nil
}

// takenOver reports whether something stands in the place of c, or is on its way.
func (s successors) takenOver(c acme.Certificate) (bool, error) {
	if c.ReplacedBy != "" {
		if taken, err := s.replaced(c); taken || err != nil {
			return taken, err
		}
	} else if !c.CountsNames {
		return false, nil
	}
	// A client that renews without replaces leaves no mark on this one.
	if c.CountsNames {
		later, err := s.tx.Certificates().IssuedFor(c.CountsAs(), c.IssuedAt.Add(1), 1)
		if err != nil || len(later) == 0 {
			return false, err
		}
	}
	latest, err := s.standing(c.Member)
	return latest[c.CountsAs()].After(c.IssuedAt), err
}

// replaced follows the orders that replace c and each other, to one that is open
// or whose certificate stands.
func (s successors) replaced(c acme.Certificate) (bool, error) {
	for c.ReplacedBy != "" {
		order, err := s.tx.Orders().Get(c.ReplacedBy)
		if errors.Is(err, storage.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch order.At(s.now).Status {
		case acme.OrderInvalid:
			return false, nil
		case acme.OrderValid:
		default:
			return true, nil
		}
		next, err := s.tx.Certificates().Get(order.Certificate)
		if err != nil {
			return false, err
		}
		if s.stands(next) {
			return true, nil
		}
		c = next
	}
	return false, nil
}

func (s successors) stands(c acme.Certificate) bool { return c.Revocation == nil && !c.Ended(s.now) }

// standing is when the last certificate of a member for each set of names was
// issued that still stands.
func (s successors) standing(id acme.MemberID) (map[acme.NameSet]time.Time, error) {
	if latest, known := s.latest[id]; known {
		return latest, nil
	}
	latest := map[acme.NameSet]time.Time{}
	for p := (storage.Page{Limit: claimAtOnce}); ; {
		certs, next, err := s.tx.Certificates().ByMember(id, p)
		if err != nil {
			return nil, err
		}
		for _, c := range certs {
			if set := c.CountsAs(); s.stands(c) && c.IssuedAt.After(latest[set]) {
				latest[set] = c.IssuedAt
			}
		}
		if p.After = next; next == "" {
			s.latest[id] = latest
			return latest, nil
		}
	}
}
