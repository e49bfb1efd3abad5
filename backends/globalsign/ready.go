package globalsign

import (
	"context"
	"fmt"
	"strings"
	"time"

	"acmebridge/backends"
)

// standing is what was last seen of the account, to save calls.
type standing struct {
	at     time.Time // zero never
	policy Policy
	claims []Claim
}

const (
	// standingAge is how long that is believed.
	standingAge = 10 * time.Minute
	// notice is how long before the end of a proof Check begins to complain.
	notice = 30 * 24 * time.Hour
)

// account looks at policy and domains, now and then.
func (b *Backend) account(ctx context.Context, fresh bool) (standing, error) {
	now := b.cfg.Now()
	b.mu.Lock()
	known := b.ready
	b.mu.Unlock()
	if !fresh && !known.at.IsZero() && now.Sub(known.at) < standingAge {
		return known, nil
	}
	known = standing{at: now}
	var err error
	if known.policy, err = b.client.Policy(ctx); err != nil {
		return standing{}, err
	}
	if !b.cfg.AnyDomain {
		if known.claims, err = b.client.Claims(ctx); err != nil {
			return standing{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = known
	return known, nil
}

// forget has the account looked at anew.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = standing{}
}

// claimed wants each name to lie in a domain that the account has proved to the
// CA. Addresses are the CA's own business.
func (b *Backend) claimed(s standing, san SAN) error {
	if b.cfg.AnyDomain {
		return nil
	}
	for _, name := range san.Names {
		switch known, good := s.domainAt(name, b.cfg.Now()); {
		case !known:
			return backends.Refused("the account at the certificate authority has claimed no domain that "+name+" lies in", nil)
		case !good:
			return backends.NotSent(fmt.Errorf("globalsign: %s: %w: its domain is not verified, or no longer; verify it in Atlas", name, errAccount))
		}
	}
	return nil
}

// domainAt says whether a name lies in a domain that was claimed, and verified
// for a time.
func (s standing) domainAt(name string, at time.Time) (known, good bool) {
	name = strings.TrimPrefix(name, "*.")
	for _, c := range s.claims {
		if name != c.Domain && !strings.HasSuffix(name, "."+c.Domain) {
			continue
		}
		known = true
		// AssertBy of a claim that is verified is when it has to be proved anew.
		if c.Status == "VERIFIED" && (c.AssertBy == 0 || at.Unix() < c.AssertBy) {
			return true, true
		}
	}
	return known, false
}

// covered wants something left to buy with, and for what is no renewal more than
// is kept for those (SC-16).
func (b *Backend) covered(ctx context.Context, renewal bool) error {
	left, err := b.left(ctx)
	switch {
	case err != nil:
		return backends.NotSent(err)
	case left == nil:
	case *left <= 0:
		return backends.NotSent(fmt.Errorf("globalsign: the account may issue no more certificates; have its quota raised: %w", backends.ErrExhausted))
	case !renewal && *left <= b.cfg.Floor:
		return backends.NotSent(fmt.Errorf("globalsign: %d left of the quota, and the floor of %d is kept for renewals: %w", *left, b.cfg.Floor, backends.ErrExhausted))
	}
	return nil
}
