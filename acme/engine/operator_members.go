package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// ErrStale is returned for a change to a record that somebody else has changed
// since it was read.
var ErrStale = errors.New("the record has changed since it was read")

// errMemberExists says that a member cannot be created.
var errMemberExists = errors.New("there is one of that id already")

// Members lists the members of the registry.
func (o Operator) Members(ctx context.Context, p storage.Page) ([]acme.Member, string, error) {
	return paged(ctx, o.e, func(tx storage.Tx) ([]acme.Member, string, error) { return tx.Members().List(p) })
}

// Member reads one.
func (o Operator) Member(ctx context.Context, id acme.MemberID) (acme.Member, error) {
	return read(ctx, o.e, "member "+string(id), func(tx storage.Tx) (acme.Member, error) { return tx.Members().Get(id) })
}

// CreateMember adds a member to the registry, active and at version 1.
func (o Operator) CreateMember(ctx context.Context, m acme.Member) (acme.Member, error) {
	m, err := o.checkMember(m)
	if err != nil {
		return m, err
	}
	err = o.e.commit(ctx, func(tx storage.Tx) error {
		if other, err := loadMember(tx, m.ID); err != nil {
			return err
		} else if other != nil {
			return fmt.Errorf("member %s: %w (%s, version %d)", m.ID, errMemberExists, other.Status, other.Version)
		}
		m = o.newMember(m)
		if err := o.e.rehearse(nil, nil, m); err != nil {
			return err
		}
		if err := applicationsFree(tx, m); err != nil {
			return err
		}
		return tx.Members().Put(m)
	}, failpoint.OperatorDecision)
	if err == nil {
		o.tell("member created", m)
	}
	return m, err
}

// UpdateMember replaces what the registry says of a member. m.Version has to be
// the one that is stored, or the answer is ErrStale; saying the same again is
// no new version. Status and history stay.
func (o Operator) UpdateMember(ctx context.Context, m acme.Member) (acme.Member, error) {
	m, err := o.checkMember(m)
	if err != nil {
		return m, err
	}
	var updated acme.Member
	err = o.change(ctx, m.ID, "member changed", func(tx storage.Tx, stored *acme.Member) error {
		switch {
		case stored.Status == acme.MemberRemoved:
			return fmt.Errorf("member %s was removed, for good", m.ID)
		case stored.Version != m.Version:
			return stale(m.ID, stored.Version, m.Version)
		}
		if err := o.become(tx, stored, m); err != nil {
			return err
		}
		updated = *stored // not m: the function may run again, and m has the version to compare
		return nil
	})
	if err != nil {
		return m, err
	}
	o.e.nudge()
	return updated, nil
}

// Measures say why a member is frozen or removed, and how thoroughly.
type Measures struct {
	// Reason is for the record; clients do not see it.
	Reason string
	// Revoke revokes every certificate of the member.
	Revoke bool
	// RevocationReason is why, as CRLs say it; cessationOfOperation when zero.
	RevocationReason acme.RevocationReason
}

// FreezeMember stops a member until it is thawed: it orders, finalizes and
// renews nothing from this commit on, and its open orders end. Doing it again
// is safe, and takes up what an earlier time has left.
func (o Operator) FreezeMember(ctx context.Context, id acme.MemberID, x Measures) (acme.Member, error) {
	return o.stopMember(ctx, id, acme.MemberFrozen, x)
}

// RemoveMember is FreezeMember for good.
func (o Operator) RemoveMember(ctx context.Context, id acme.MemberID, x Measures) (acme.Member, error) {
	return o.stopMember(ctx, id, acme.MemberRemoved, x)
}

func (o Operator) stopMember(ctx context.Context, id acme.MemberID, status acme.MemberStatus, x Measures) (m acme.Member, err error) {
	if x.RevocationReason == acme.Unspecified {
		x.RevocationReason = acme.CessationOfOperation
	}
	if len(x.Reason) > maxReason {
		return m, fmt.Errorf("the reason has more than %d bytes", maxReason)
	}
	err = o.change(ctx, id, "member "+string(status), func(tx storage.Tx, stored *acme.Member) error {
		if len(stored.Applications) > 0 && !acme.FrameworkReason(x.RevocationReason) {
			return fmt.Errorf("member %s is of a framework, whose revocation lists do not have the reason %d", id, x.RevocationReason)
		}
		if stored.Status != status && !stored.Status.CanBecome(status) {
			return fmt.Errorf("member %s is %s and cannot become %s", id, stored.Status, status)
		}
		now := o.e.now()
		if stored.Status != status || x.Reason != "" && stored.Reason != x.Reason {
			stored.Status, stored.Reason = status, x.Reason
			stored.Version, stored.ChangedAt = stored.Version+1, now
		}
		next := acme.Enforcement{Since: now, Revoke: x.Revoke, Reason: x.RevocationReason}
		if before := stored.Enforcement; before != nil {
			next.Since, next.Orders, next.Certificates = before.Since, before.Orders, before.Certificates
			if !x.Revoke {
				next.Revoke, next.Reason = before.Revoke, before.Reason
			}
		}
		stored.Enforcement = &next
		m = *stored
		return tx.Jobs().Put(storage.Job{ID: memberJob(id), Kind: storage.JobMember, Due: now, Subject: string(id)})
	})
	if err == nil {
		o.e.nudge()
	}
	return m, err
}

// maxReason bounds what an operator says of a decision.
const maxReason = 1024

// ThawMember lets a frozen member order again. Orders that were ended and
// certificates that were revoked stay so.
func (o Operator) ThawMember(ctx context.Context, id acme.MemberID, reason string) (m acme.Member, err error) {
	if len(reason) > maxReason {
		return m, fmt.Errorf("the reason has more than %d bytes", maxReason)
	}
	err = o.change(ctx, id, "member thawed", func(tx storage.Tx, stored *acme.Member) error {
		if stored.Status != acme.MemberActive {
			if !stored.Status.CanBecome(acme.MemberActive) {
				return fmt.Errorf("member %s is %s, for good", id, stored.Status)
			}
			stored.Status, stored.Reason, stored.Enforcement = acme.MemberActive, reason, nil
			stored.Version, stored.ChangedAt = stored.Version+1, o.e.now()
		}
		m = *stored
		if r := stored.Review; r != nil && r.DoneAt.IsZero() {
			return nil // the job is that walk's as well
		}
		return tx.Jobs().Delete(memberJob(id))
	})
	return m, err
}

// Import is what an import did, by the ids of the members.
type Import struct {
	Created, Changed, Unchanged []acme.MemberID
	// Narrowed are those of Changed that have less than before: certificates
	// that say too much are revoked.
	Narrowed []acme.MemberID
	// Removed members are gone for good, so what the import says of them was
	// passed over.
	Removed []acme.MemberID
	// Refused were left out, with ImportMode.SkipRefused.
	Refused []Refused
	// Stale have changed since they were read, and were left out, with
	// ImportMode.Versioned and SkipRefused.
	Stale []acme.MemberID
}

// Refused is an entry of a list that the registry does not take, and why.
type Refused struct {
	ID  acme.MemberID
	Why error
}

// ImportMembers brings the registry up to date with a list, all of it or
// nothing unless the mode says otherwise. Members that the list does not name
// stay as they are, and so does the status of those that it names.
func (o Operator) ImportMembers(ctx context.Context, members []acme.Member, mode ImportMode) (done Import, err error) {
	var checked []acme.Member
	var malformed []Refused
	named := map[acme.MemberID]bool{}
	for i, m := range members {
		next, err := o.checkMember(m)
		if err == nil && named[m.ID] {
			err = fmt.Errorf("member %s is in the list twice", m.ID)
		}
		switch {
		case err == nil:
			checked = append(checked, next)
			named[m.ID] = true
		case mode.SkipRefused:
			malformed = append(malformed, Refused{m.ID, err})
		default:
			return done, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	rehearsed, err := o.e.rehearseAll(ctx, checked, o.newMember)
	if err != nil {
		return done, err
	}
	var written []acme.Member
	err = o.bringIn(ctx, "members", mode, func(tx storage.Tx) error {
		done, written = Import{Refused: slices.Clone(malformed)}, nil
		for _, m := range checked {
			stored, err := loadMember(tx, m.ID)
			if err != nil {
				return err
			}
			if err := mode.current(stored, m); err != nil {
				if !mode.SkipRefused {
					return err
				}
				done.Stale = append(done.Stale, m.ID)
				continue
			}
			switch {
			case stored == nil:
				m = o.newMember(m)
				if err := o.e.rehearse(rehearsed, nil, m); err != nil {
					if !mode.SkipRefused {
						return err
					}
					done.Refused = append(done.Refused, Refused{m.ID, err})
					continue
				}
				done.Created = append(done.Created, m.ID)
			case stored.Status == acme.MemberRemoved:
				done.Removed = append(done.Removed, m.ID)
				continue
			case stored.SameContent(m):
				done.Unchanged = append(done.Unchanged, m.ID)
				continue
			default:
				before := *stored
				if m, err = o.checkContent(before.WithContent(m, o.e.now())); err == nil {
					err = o.e.rehearse(rehearsed, &before, m)
				}
				if err != nil {
					if !mode.SkipRefused {
						return err
					}
					done.Refused = append(done.Refused, Refused{before.ID, err})
					continue
				}
				done.Changed = append(done.Changed, m.ID)
				if m.Narrowed(before) {
					done.Narrowed = append(done.Narrowed, m.ID)
				}
				if err := o.e.reviewIfNarrowed(tx, before, &m); err != nil {
					return err
				}
			}
			if err := tx.Members().Put(m); err != nil {
				return err
			}
			written = append(written, m)
		}
		return applicationsFree(tx, written...)
	})
	if err != nil {
		return Import{}, err
	}
	if mode.DryRun {
		return done, nil
	}
	for _, m := range written {
		o.tell("member imported", m)
	}
	o.e.nudge()
	return done, nil
}

func stale(id acme.MemberID, at, from int) error {
	return fmt.Errorf("member %s is at version %d, not %d: %w; read it again", id, at, from, ErrStale)
}

// change changes the record of a member in one commit.
func (o Operator) change(ctx context.Context, id acme.MemberID, what string, change func(storage.Tx, *acme.Member) error) error {
	var before, after acme.Member
	err := o.e.commit(ctx, func(tx storage.Tx) (err error) {
		if before, err = tx.Members().Get(id); err != nil {
			return err
		}
		after = before
		if err := change(tx, &after); err != nil {
			return err
		}
		return tx.Members().Put(after)
	}, failpoint.OperatorDecision)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("member %s: %w", id, ErrNoSuch)
	}
	if err == nil && after.Version != before.Version {
		o.tell(what, after)
	}
	return err
}

func (o Operator) newMember(m acme.Member) acme.Member {
	m.Version, m.Status, m.ChangedAt = 1, acme.MemberActive, o.e.now()
	m.Reason, m.Enforcement, m.Review, m.Tokens = "", nil, nil, nil
	for i := range m.Applications {
		m.Applications[i].Version, m.Applications[i].ChangedAt = 1, m.ChangedAt
	}
	return m
}

// checkContent returns the content of a record in its one form.
func (o Operator) checkContent(m acme.Member) (acme.Member, error) {
	m, p := acme.CheckMember(m)
	if p != nil {
		return m, p
	}
	return m, o.e.checkHosts(m)
}

// checkMember does the same for a record that comes from outside.
func (o Operator) checkMember(m acme.Member) (acme.Member, error) {
	m, err := o.checkContent(m)
	if err != nil {
		return m, err
	}
	for _, name := range m.Profiles {
		if _, ok := o.e.cfg.Profiles[name]; !ok {
			return m, fmt.Errorf("member %s: there is no profile %q; there are %v", m.ID, name, sortedKeys(o.e.cfg.Profiles))
		}
	}
	return m, nil
}

func (o Operator) tell(what string, m acme.Member) {
	o.e.log.Info(what, "event", "member.changed", "member", m.ID, "version", m.Version, "status", m.Status)
}
