package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// ImportMode says how a list is brought in.
type ImportMode struct {
	// DryRun says what would happen, and changes nothing.
	DryRun bool
	// SkipRefused leaves members out that the registry does not take, and brings
	// in the others; without it the list is taken as a whole or not at all.
	SkipRefused bool
	// Versioned says that each member has the version that it was made from, 0
	// for one that was not there. One that has changed since keeps what it has:
	// the answer is ErrStale, or with SkipRefused it is in Import.Stale.
	Versioned bool
	// Signer is a name of the key that signed the list, empty when nobody has to
	// have signed it, and IssuedAt is when that was, zero when it does not say.
	Signer   string
	IssuedAt time.Time
}

// ErrReplayed is returned for a signed list that is older than one that was
// brought in before: it is genuine, and gives back what was taken since.
var ErrReplayed = errors.New("the list is older than one by the same key that was imported before")

// errRehearsed takes back what a dry run did.
var errRehearsed = errors.New("engine: a dry run")

// clockSkew is how far in future a list may have been signed. One from next year
// would keep all of this year's out.
const clockSkew = 5 * time.Minute

// imported is what is remembered of the lists that a key has signed.
type imported struct {
	IssuedAt time.Time `cbor:"1,keyasint,omitzero"`
}

// bringIn commits an import of a kind of list.
func (o Operator) bringIn(ctx context.Context, kind string, mode ImportMode, change func(storage.Tx) error) error {
	err := o.e.commit(ctx, func(tx storage.Tx) error {
		if err := mode.follows(tx, kind, o.e.now()); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		if mode.DryRun {
			return errRehearsed
		}
		return nil
	}, failpoint.OperatorDecision)
	if mode.DryRun && errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// follows refuses a signed list that is older than the last one, and remembers it
// otherwise. Once a key has dated a list, all of its lists have to be dated: who
// has one from the time before would bring that.
func (m ImportMode) follows(tx storage.Tx, kind string, now time.Time) error {
	if m.Signer == "" {
		return nil
	}
	name := "import/" + kind + "/" + m.Signer
	last, err := loadMeta[imported](tx, name)
	if err != nil {
		return err
	}
	issued := m.IssuedAt.UTC().Truncate(time.Second)
	switch {
	case m.IssuedAt.IsZero() && last.IssuedAt.IsZero():
		return nil
	case m.IssuedAt.IsZero():
		return fmt.Errorf("%w, of %s, or may be: it does not say when it was signed (iat in the header of the signature)", ErrReplayed, last.IssuedAt.UTC().Format(time.RFC3339))
	case issued.After(now.Add(clockSkew)):
		return fmt.Errorf("the list was signed at %s, which is in future: look at the clocks", issued.Format(time.RFC3339))
	case issued.Before(last.IssuedAt):
		return fmt.Errorf("%w: it was signed at %s, that one at %s", ErrReplayed, issued.Format(time.RFC3339), last.IssuedAt.UTC().Format(time.RFC3339))
	case issued.Equal(last.IssuedAt):
		return nil
	}
	return putMeta(tx, name, imported{IssuedAt: issued})
}

// current refuses an entry that was made from another version than the one that
// is stored. One that was removed is passed over whatever it is at.
func (m ImportMode) current(stored *acme.Member, entry acme.Member) error {
	at := 0
	if stored != nil {
		at = stored.Version
	}
	if !m.Versioned || at == entry.Version || stored != nil && stored.Status == acme.MemberRemoved {
		return nil
	}
	return stale(entry.ID, at, entry.Version)
}
