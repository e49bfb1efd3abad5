package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// NewExternalKey says what an external account key shall allow.
type NewExternalKey struct {
	Directory   acme.DirectoryName
	Member      acme.MemberID
	Profiles    []acme.ProfileName
	Identifiers []string
	// Application is the one of the member that its accounts order for.
	Application string
	Uses        int
	Expires     time.Time
}

// CreateExternalKey makes an external account key. The MAC key, 32 random
// bytes, is returned this once and kept sealed (SK-5).
func (o Operator) CreateExternalKey(ctx context.Context, n NewExternalKey) (k acme.ExternalAccountKey, macKey []byte, err error) {
	if err := o.checkExternalKey(n); err != nil {
		return k, nil, err
	}
	id, err := o.drawText(16)
	if err != nil {
		return k, nil, err
	}
	if macKey, err = o.draw(32); err != nil {
		return k, nil, err
	}
	k = acme.ExternalAccountKey{
		ID: acme.KeyID(id), Directory: n.Directory, Member: n.Member,
		Profiles: n.Profiles, Identifiers: n.Identifiers, Application: n.Application, Uses: n.Uses, Expires: n.Expires, CreatedAt: o.e.now(),
	}
	if k.Sealed, err = o.e.cfg.Sealer.Seal(macKey, sealedFor(k.ID)); err != nil {
		return k, nil, err
	}
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if err := o.mayBind(tx, n); err != nil {
			return err
		}
		return tx.ExternalKeys().Put(k)
	}, failpoint.ExternalKey)
	if err != nil {
		return acme.ExternalAccountKey{}, nil, err
	}
	o.e.log.Info("external account key created", "event", "external_key.created", "external_key", k.ID, "directory", k.Directory, "member", k.Member)
	return k, macKey, nil
}

// CheckExternalKey says why CreateExternalKey would refuse a key, and makes none:
// for whoever makes several and would be left with some of them.
func (o Operator) CheckExternalKey(ctx context.Context, n NewExternalKey) error {
	if err := o.checkExternalKey(n); err != nil {
		return err
	}
	return o.e.view(ctx, func(tx storage.Tx) error { return o.mayBind(tx, n) })
}

// mayBind refuses a key that could bind no account, as the registry is now.
func (o Operator) mayBind(tx storage.Tx, n NewExternalKey) error {
	m, err := loadMember(tx, n.Member)
	if err != nil {
		return err
	}
	if m != nil && m.Status == acme.MemberRemoved {
		return fmt.Errorf("member %s was removed for good, so no key can bind an account to it; give the key to another member", n.Member)
	}
	return o.mayBindTo(m, n)
}

// mayBindTo refuses a key for an application that could have no certificate: who
// gets the key would hear of it when it is too late to ask.
func (o Operator) mayBindTo(m *acme.Member, n NewExternalKey) error {
	if n.Application == "" {
		return nil
	}
	if m == nil {
		return fmt.Errorf("member %s is not in the registry, so it has no application; 'member create' and 'application add' come first", n.Member)
	}
	if _, ok := m.Application(n.Application); !ok {
		return fmt.Errorf("member %s has no application %s; 'application add' adds it", n.Member, n.Application)
	}
	open := n.Profiles
	if len(open) == 0 {
		open = o.e.directories[n.Directory].Profiles
	}
	var refused *acme.Problem
	for _, name := range open {
		tree := o.e.cfg.Profiles[name].IB1.Tree
		if tree == "" {
			continue
		}
		if _, refused = acme.HolderFor(m, n.Application, tree); refused == nil {
			return nil
		}
	}
	if refused != nil {
		return refused
	}
	return fmt.Errorf("a key for an application needs a profile for one, and neither directory %s nor the key has any", n.Directory)
}

// ExternalKeyWarning says what keeps the accounts of a key from ordering as
// things are: its member is frozen, or is not in the registry, which a profile
// asks. It is empty when nothing does.
func (o Operator) ExternalKeyWarning(ctx context.Context, k acme.ExternalAccountKey) (warning string, err error) {
	err = o.e.view(ctx, func(tx storage.Tx) error {
		m, err := loadMember(tx, k.Member)
		switch {
		case err != nil:
			return err
		case m != nil && m.Status == acme.MemberFrozen:
			warning = fmt.Sprintf("member %s is frozen: the key binds no account until 'member thaw'", k.Member)
		case m == nil:
			if p := o.asksRegistry(k); p != "" {
				warning = fmt.Sprintf("member %s is not in the registry, which profile %s asks: its accounts cannot order that until 'member create'", k.Member, p)
			}
		case k.Application == "":
			if p := o.asksApplication(k); p != "" {
				warning = fmt.Sprintf("the key is for no application, which profile %s asks: its accounts cannot order that; make one with --application", p)
			}
		}
		return nil
	})
	return warning, err
}

// asksRegistry returns a profile open to a key for which its member needs a
// record, if there is one.
func (o Operator) asksRegistry(k acme.ExternalAccountKey) acme.ProfileName {
	open := k.Profiles
	if len(open) == 0 {
		open = o.e.directories[k.Directory].Profiles
	}
	for _, name := range open {
		if o.e.cfg.Profiles[name].Authorization.AsksRegistry() {
			return name
		}
	}
	return ""
}

// asksApplication returns a profile open to a key that is for applications, if
// there is one.
func (o Operator) asksApplication(k acme.ExternalAccountKey) acme.ProfileName {
	open := k.Profiles
	if len(open) == 0 {
		open = o.e.directories[k.Directory].Profiles
	}
	for _, name := range open {
		if o.e.cfg.Profiles[name].IB1.Tree.Member() {
			return name
		}
	}
	return ""
}

// draw returns n random bytes whose base64url does not begin with a hyphen: a
// client that takes them as the value of a flag would take them for a flag.
func (o Operator) draw(n int) ([]byte, error) {
	b := make([]byte, n)
	for {
		if _, err := io.ReadFull(o.e.cfg.Random, b); err != nil {
			return nil, fmt.Errorf("engine: draw an external account key: %w", err)
		}
		if base64.RawURLEncoding.EncodeToString(b)[0] != '-' {
			return b, nil
		}
	}
}

func (o Operator) drawText(n int) (string, error) {
	b, err := o.draw(n)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func (o Operator) checkExternalKey(n NewExternalKey) error {
	d, ok := o.e.directories[n.Directory]
	switch {
	case !ok:
		return fmt.Errorf("there is no directory %q", n.Directory)
	case d.ExternalAccount == acme.ExternalAccountOff:
		return fmt.Errorf("directory %q takes no external account binding; set its external_account to optional or required", n.Directory)
	case n.Member == "":
		return errors.New("an external account key needs a member to act for")
	case n.Uses < 0:
		return errors.New("the number of uses cannot be negative; 0 means any number")
	case !n.Expires.IsZero() && !n.Expires.After(o.e.now()):
		return errors.New("the key would have expired already")
	}
	for _, p := range n.Profiles {
		if _, refused := o.e.profileFor(n.Directory, p); refused != nil || p == "" {
			return fmt.Errorf("directory %q has no profile %q", n.Directory, p)
		}
		if rule := o.e.cfg.Profiles[p].XRoad; !rule.Admits(n.Member) {
			return fmt.Errorf("profile %q is for members of instance %s (xroad.instance), and member %s is of another one", p, rule.Instance, n.Member)
		}
	}
	for _, id := range n.Identifiers {
		if p := acme.CheckIdentifierPattern(id); p != nil {
			return p
		}
	}
	return nil
}

// ExternalKeys lists external account keys.
func (o Operator) ExternalKeys(ctx context.Context, p storage.Page) ([]acme.ExternalAccountKey, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.ExternalAccountKey, string, error) { return tx.ExternalKeys().List(p) })
}

// ExternalKey reads one.
func (o Operator) ExternalKey(ctx context.Context, id acme.KeyID) (acme.ExternalAccountKey, error) {
	return read(ctx, o.e, "external account key "+string(id), func(tx storage.Tx) (acme.ExternalAccountKey, error) { return tx.ExternalKeys().Get(id) })
}

// RevokeExternalKey ends a key: it binds no more accounts, and those that it
// has bound order nothing more.
func (o Operator) RevokeExternalKey(ctx context.Context, id acme.KeyID) (k acme.ExternalAccountKey, err error) {
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if k, err = tx.ExternalKeys().Get(id); err != nil {
			return err
		}
		if !k.RevokedAt.IsZero() {
			return nil
		}
		k.RevokedAt, k.Sealed = o.e.now(), nil
		return tx.ExternalKeys().Put(k)
	}, failpoint.ExternalKey)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("external account key %s: %w", id, ErrNoSuch)
	}
	if err == nil {
		o.e.log.Info("external account key revoked", "event", "external_key.revoked", "external_key", id, "member", k.Member)
	}
	return k, err
}
