package acme

import (
	"slices"
	"strings"
	"time"
)

// MemberStatus is how a member stands in its ecosystem.
type MemberStatus string

// The statuses of a member.
const (
	// MemberActive members may order.
	MemberActive MemberStatus = "active"
	// MemberFrozen members may do nothing until they are active again.
	MemberFrozen MemberStatus = "frozen"
	// MemberRemoved members are gone for good.
	MemberRemoved MemberStatus = "removed"
)

// CanBecome reports whether a member may go from one status to another.
func (s MemberStatus) CanBecome(next MemberStatus) bool {
	switch s {
	case MemberActive:
		return next == MemberFrozen || next == MemberRemoved
	case MemberFrozen:
		return next == MemberActive || next == MemberRemoved
	case MemberRemoved:
		return false
	default:
		return false
	}
}

// Member is an entry of the ecosystem's registry: who may have what. Each
// change makes a new version, and an order remembers the version it was
// decided by.
type Member struct {
	ID      MemberID     `cbor:"1,keyasint,omitempty"`
	Version int          `cbor:"2,keyasint,omitempty"`
	Name    string       `cbor:"3,keyasint,omitempty"`
	Status  MemberStatus `cbor:"4,keyasint,omitempty"`
	// Identifiers are what the member may have certificates for: names, domains
	// with a leading dot for everything below them, or "*".
	Identifiers []string `cbor:"5,keyasint,omitempty"`
	// Profiles bound what it may order; empty means whatever the directory has.
	Profiles []ProfileName `cbor:"6,keyasint,omitempty"`
	// OpenOrders and Certificates bound what it may have at a time; 0 means no
	// bound (SL-22).
	OpenOrders   int `cbor:"7,keyasint,omitempty"`
	Certificates int `cbor:"8,keyasint,omitempty"`
	// Attributes are what the ecosystem knows of its member, such as a member
	// class; profiles may put them into certificates.
	Attributes map[string]string `cbor:"9,keyasint,omitempty"`
	ChangedAt  time.Time         `cbor:"10,keyasint,omitzero"`
	// Reason says why the status is what it is.
	Reason string `cbor:"11,keyasint,omitempty"`
}

// MemberStanding returns nil while a member may order and finalize.
func MemberStanding(m Member) *Problem {
	switch m.Status {
	case MemberActive:
		return nil
	case MemberFrozen:
		return Problemf(Unauthorized, "your membership is suspended; ask the operator of this server")
	default:
		return Problemf(Unauthorized, "your membership has ended")
	}
}

// MemberAllows returns nil when the registry entitles m to those identifiers
// under that profile.
func MemberAllows(m Member, profile ProfileName, identifiers []Identifier) *Problem {
	if p := MemberStanding(m); p != nil {
		return p
	}
	if len(m.Profiles) > 0 && !slices.Contains(m.Profiles, profile) {
		return Problemf(Unauthorized, "the registry does not allow your member profile %q; it allows %s", profile, joinNames(m.Profiles))
	}
	var refused []Subproblem
	for _, id := range identifiers {
		if !coveredBy(m.Identifiers, id) {
			refused = append(refused, Subproblem{
				Type: RejectedIdentifier, Identifier: id, Detail: "the registry does not give " + id.Value + " to your member; ask the operator to add it",
			})
		}
	}
	if len(refused) > 0 {
		return Problemf(RejectedIdentifier, "%s", refused[0].Detail).WithSubproblems(refused...)
	}
	return nil
}

// coveredBy reports whether one of the patterns covers an identifier. A
// wildcard is covered by itself or by a pattern for all that lies below its
// base.
func coveredBy(patterns []string, id Identifier) bool {
	name := id.Value
	base, wildcard := id.Wildcard()
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		switch {
		case pattern == "*" || pattern == name:
			return true
		case !strings.HasPrefix(pattern, "."):
			return false
		case wildcard:
			return strings.HasSuffix("."+base.Value, pattern)
		default:
			return strings.HasSuffix(name, pattern)
		}
	})
}
