package engine

import (
	"context"
	"fmt"
	"slices"

	"acmebridge/acme"
	"acmebridge/storage"
)

// PutApplication adds an application to a member, or replaces what is said of
// it. Its URL is one member's, and its roles are some of those of the member.
func (o Operator) PutApplication(ctx context.Context, id acme.MemberID, a acme.Application) (m acme.Member, err error) {
	a, p := acme.CheckApplication(a)
	if p != nil {
		return m, p
	}
	err = o.change(ctx, id, "application changed", func(tx storage.Tx, stored *acme.Member) error {
		if stored.Status == acme.MemberRemoved {
			return fmt.Errorf("member %s was removed, for good", id)
		}
		for _, r := range a.Roles {
			if !slices.Contains(stored.Roles, r) {
				return fmt.Errorf("member %s does not have the role %s; it has %v", id, r, stored.Roles)
			}
		}
		next := *stored
		next.Applications = append(slices.DeleteFunc(slices.Clone(stored.Applications), func(x acme.Application) bool { return x.URL == a.URL }), a)
		if err := o.become(tx, stored, next); err != nil {
			return err
		}
		m = *stored
		return nil
	})
	if err == nil {
		o.e.nudge()
	}
	return m, err
}

// RemoveApplication takes an application from a member. Its certificates are
// revoked: they say that it acts for the member, and nobody looks that up.
func (o Operator) RemoveApplication(ctx context.Context, id acme.MemberID, url string) (m acme.Member, err error) {
	err = o.change(ctx, id, "application removed", func(tx storage.Tx, stored *acme.Member) error {
		if _, ok := stored.Application(url); !ok {
			return fmt.Errorf("application %s of member %s: %w", url, id, ErrNoSuch)
		}
		next := *stored
		next.Applications = slices.DeleteFunc(slices.Clone(stored.Applications), func(x acme.Application) bool { return x.URL == url })
		if err := o.become(tx, stored, next); err != nil {
			return err
		}
		m = *stored
		return nil
	})
	if err == nil {
		o.e.nudge()
	}
	return m, err
}

// become makes a stored record what next says, as its next version when that is
// something new, with what follows from it. The caller stores the record.
func (o Operator) become(tx storage.Tx, stored *acme.Member, next acme.Member) error {
	if stored.SameContent(next) {
		return nil
	}
	before := *stored
	// Both halves may be good and the whole not: a name is only needed with
	// applications.
	after, p := acme.CheckMember(before.WithContent(next, o.e.now()))
	if p != nil {
		return p
	}
	if err := o.e.checkHosts(after); err != nil {
		return err
	}
	if err := o.e.rehearse(nil, &before, after); err != nil {
		return err
	}
	if err := applicationsFree(tx, after); err != nil {
		return err
	}
	if err := o.e.reviewIfNarrowed(tx, before, &after); err != nil {
		return err
	}
	*stored = after
	return nil
}

// applicationsFree refuses applications that other members have: a URL is one
// identity. Registries are small, and applications change seldom, so nobody pays
// for an index.
func applicationsFree(tx storage.Tx, of ...acme.Member) error {
	owners := map[string]acme.MemberID{}
	for _, m := range of {
		for _, a := range m.Applications {
			if other, taken := owners[a.URL]; taken && other != m.ID {
				return fmt.Errorf("application %s is of member %s, and cannot be of %s as well", a.URL, other, m.ID)
			}
			owners[a.URL] = m.ID
		}
	}
	if len(owners) == 0 {
		return nil
	}
	for at := (storage.Page{Limit: 500}); ; {
		members, next, err := tx.Members().List(at)
		if err != nil {
			return err
		}
		for _, m := range members {
			if slices.ContainsFunc(of, func(x acme.Member) bool { return x.ID == m.ID }) {
				continue // what it has is about to be replaced
			}
			for _, a := range m.Applications {
				if other, taken := owners[a.URL]; taken {
					return fmt.Errorf("application %s is of member %s, and cannot be of %s as well", a.URL, m.ID, other)
				}
			}
		}
		if at.After = next; next == "" {
			return nil
		}
	}
}

// ApplicationOf is an application and whose it is.
type ApplicationOf struct {
	Member      acme.MemberID
	Application acme.Application
}

// ApplicationImport is what an import of applications did, by their URLs.
type ApplicationImport struct {
	Created, Changed, Unchanged []string
	// Narrowed are members that have less than before, see Import.
	Narrowed []acme.MemberID
}

// ImportApplications brings applications up to date with a list, all of it or
// nothing. Those that it does not name stay as they are.
func (o Operator) ImportApplications(ctx context.Context, list []ApplicationOf, mode ImportMode) (done ApplicationImport, err error) {
	ids := map[acme.MemberID][]acme.Application{}
	for i, x := range list {
		a, p := acme.CheckApplication(x.Application)
		if p != nil {
			return done, fmt.Errorf("entry %d: %w", i+1, p)
		}
		ids[x.Member] = append(ids[x.Member], a)
	}
	var written []acme.Member
	err = o.bringIn(ctx, "applications", mode, func(tx storage.Tx) error {
		done, written = ApplicationImport{}, nil
		for _, id := range sortedKeys(ids) {
			stored, err := loadMember(tx, id)
			if err != nil {
				return err
			}
			if stored == nil || stored.Status == acme.MemberRemoved {
				return fmt.Errorf("member %s: %w, or it was removed; 'member create' and 'member import' come first", id, ErrNoSuch)
			}
			next, before := *stored, stored.Version
			next.Applications = slices.Clone(stored.Applications)
			for _, a := range ids[id] {
				i := slices.IndexFunc(next.Applications, func(x acme.Application) bool { return x.URL == a.URL })
				if i < 0 {
					next.Applications = append(next.Applications, a)
				} else {
					next.Applications[i] = a
				}
			}
			were := *stored
			if err := o.become(tx, stored, next); err != nil {
				return err
			}
			for _, a := range ids[id] {
				now, _ := stored.Application(a.URL)
				old, known := were.Application(a.URL)
				switch {
				case !known:
					done.Created = append(done.Created, a.URL)
				case old.Version != now.Version:
					done.Changed = append(done.Changed, a.URL)
				default:
					done.Unchanged = append(done.Unchanged, a.URL)
				}
			}
			if stored.Version == before {
				continue
			}
			if stored.Narrowed(were) {
				done.Narrowed = append(done.Narrowed, id)
			}
			if err := tx.Members().Put(*stored); err != nil {
				return err
			}
			written = append(written, *stored)
		}
		return nil
	})
	if err != nil {
		return ApplicationImport{}, err
	}
	if mode.DryRun {
		return done, nil
	}
	for _, m := range written {
		o.tell("applications imported", m)
	}
	o.e.nudge()
	return done, nil
}
