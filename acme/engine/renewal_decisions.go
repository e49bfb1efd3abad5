package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"acmebridge/acme"
	"acmebridge/storage"
)

// The names under which decisions about many certificates are stored. They are
// looked up when somebody asks, so that deciding about a million certificates
// is one small commit and counts for all of them at once.

const (
	memberRenewals  = "renewal/member/"
	profileRenewals = "renewal/profile/"
	backendRenewals = "renewal/backend/"
	// decidedRenewals lists the names of the decisions in force.
	decidedRenewals = "renewal/decided"
)

func memberRenewal(id acme.MemberID) string       { return memberRenewals + string(id) }
func profileRenewal(name acme.ProfileName) string { return profileRenewals + string(name) }
func backendRenewal(name string) string           { return backendRenewals + name }

// loadRenewal reads a decision; one without a window is none.
func loadRenewal(tx storage.Tx, name string) (acme.Renewal, error) {
	return loadMeta[acme.Renewal](tx, name)
}

func putRenewal(tx storage.Tx, name string, r acme.Renewal) error { return putMeta(tx, name, r) }

// loadMeta reads a record that is kept by name, zero when there is none.
func loadMeta[R any](tx storage.Tx, name string) (r R, err error) {
	b, err := tx.Meta().Get(name)
	if errors.Is(err, storage.ErrNotFound) {
		return r, nil
	}
	if err == nil {
		r, err = storage.Decode[R](b)
	}
	if err != nil {
		return r, fmt.Errorf("engine: read %s: %w", name, err)
	}
	return r, nil
}

func putMeta[R any](tx storage.Tx, name string, r R) error {
	b, err := storage.Encode(r)
	if err != nil {
		return err
	}
	return tx.Meta().Put(name, b)
}

// decidedNames is the list of the decisions in force, sorted.
type decidedNames struct {
	Names []string `cbor:"1,keyasint,omitempty"`
}

// maxDecisions bounds that list, which is read and written whole.
const maxDecisions = 5000

// listRenewal puts a decision on the list, or takes it off.
func listRenewal(tx storage.Tx, name string, inForce bool) error {
	list, err := loadMeta[decidedNames](tx, decidedRenewals)
	if err != nil {
		return err
	}
	i, listed := slices.BinarySearch(list.Names, name)
	switch {
	case listed == inForce:
		return nil
	case !inForce:
		list.Names = slices.Delete(list.Names, i, i+1)
	case len(list.Names) >= maxDecisions:
		return fmt.Errorf("there are %d decisions on renewals already; take back those that are done with, or decide for a profile or a backend", len(list.Names))
	default:
		list.Names = slices.Insert(list.Names, i, name)
	}
	return putMeta(tx, decidedRenewals, list)
}

// RenewalDecision is what was decided for the certificates of a member, a
// profile or a backend.
type RenewalDecision struct {
	Member  acme.MemberID
	Profile acme.ProfileName
	Backend string
	Renewal acme.Renewal
}

// RenewalDecisions lists the decisions about many certificates that are in
// force.
func (o Operator) RenewalDecisions(ctx context.Context) (all []RenewalDecision, err error) {
	err = o.e.view(ctx, func(tx storage.Tx) error {
		all = nil
		list, err := loadMeta[decidedNames](tx, decidedRenewals)
		if err != nil {
			return err
		}
		for _, name := range list.Names {
			var d RenewalDecision
			if d.Renewal, err = loadRenewal(tx, name); err != nil {
				return err
			}
			if rest, ok := strings.CutPrefix(name, memberRenewals); ok {
				d.Member = acme.MemberID(rest)
			} else if rest, ok := strings.CutPrefix(name, profileRenewals); ok {
				d.Profile = acme.ProfileName(rest)
			} else {
				d.Backend = strings.TrimPrefix(name, backendRenewals)
			}
			all = append(all, d)
		}
		return nil
	})
	return all, err
}
