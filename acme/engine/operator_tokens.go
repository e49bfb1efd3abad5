package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// NewMemberToken says what a token for the member API shall be.
type NewMemberToken struct {
	Member acme.MemberID
	Name   string
	// Scopes are all that there are when it is empty.
	Scopes  []acme.TokenScope
	Expires time.Time
	// By is the person who makes it.
	By string
}

// CreateMemberToken makes a token. Its text is returned this once.
func (o Operator) CreateMemberToken(ctx context.Context, n NewMemberToken) (t acme.MemberToken, text string, err error) {
	if len(n.Scopes) == 0 {
		n.Scopes = acme.Scopes()
	}
	t, text, err = acme.NewMemberToken(n.Member, n.Name, n.Scopes, n.By, o.e.now(), n.Expires, o.e.cfg.Random)
	if err != nil {
		return acme.MemberToken{}, "", err
	}
	err = o.change(ctx, n.Member, "", func(_ storage.Tx, stored *acme.Member) error {
		if stored.Status == acme.MemberRemoved {
			return fmt.Errorf("member %s was removed for good, so it gets no token", n.Member)
		}
		next, p := stored.WithToken(t, o.e.now())
		*stored = next
		return orProblem(p, nil)
	})
	if err != nil {
		return acme.MemberToken{}, "", err
	}
	o.e.log.Info("token for the member API created", "event", "member_token.created", "member", n.Member, "token", t.ID, "name", t.Name,
		"scopes", t.Scopes, "expires", t.Expires, "by", n.By)
	return t, text, nil
}

// RevokeMemberToken ends a token; by is the person who does.
func (o Operator) RevokeMemberToken(ctx context.Context, member acme.MemberID, id, by string) (t acme.MemberToken, err error) {
	err = o.change(ctx, member, "", func(_ storage.Tx, stored *acme.Member) error {
		i := slices.IndexFunc(stored.Tokens, func(x acme.MemberToken) bool { return x.ID == id })
		if i < 0 {
			return fmt.Errorf("token %s of member %s: %w", id, member, ErrNoSuch)
		}
		stored.Tokens = slices.Clone(stored.Tokens)
		if stored.Tokens[i].RevokedAt.IsZero() {
			stored.Tokens[i].RevokedAt = o.e.now()
		}
		t = stored.Tokens[i]
		return nil
	})
	if err == nil {
		o.e.log.Info("token for the member API revoked", "event", "member_token.revoked", "member", member, "token", id, "name", t.Name, "by", by)
	}
	return t, err
}
