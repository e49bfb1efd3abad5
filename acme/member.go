package acme

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	// Enforcement is how a freeze or a removal is carried out; nil while the
	// member is active.
	Enforcement *Enforcement `cbor:"12,keyasint,omitempty"`
	// Country and Roles are what an IB1 trust framework says of its member, and
	// Applications are what it runs. ID is then its URL in the directory of the
	// framework, and Name its legal name.
	Country      string        `cbor:"13,keyasint,omitempty"`
	Roles        []string      `cbor:"14,keyasint,omitempty"`
	Applications []Application `cbor:"15,keyasint,omitempty"`
	// Review is how far its certificates were gone through after the registry
	// took something from it; nil when it never did.
	Review *Review `cbor:"16,keyasint,omitempty"`
	// Tokens let people act for it over the member API. They are no new version
	// of the member.
	Tokens []MemberToken `cbor:"17,keyasint,omitempty"`
}

// Review follows from a record that gives less than the one before: certificates
// that say too much are revoked.
type Review struct {
	Since  time.Time     `cbor:"1,keyasint,omitzero"`
	Cursor CertificateID `cbor:"2,keyasint,omitempty"`
	// Certificates counts what was revoked, and DoneAt is when the walk was over.
	Certificates int       `cbor:"3,keyasint,omitempty"`
	DoneAt       time.Time `cbor:"4,keyasint,omitzero"`
}

// Enforcement is what follows from a freeze or a removal, and how far it got.
// Its progress is no new version of the member: nobody has decided anything.
type Enforcement struct {
	Since time.Time `cbor:"1,keyasint,omitzero"`
	// Revoke asks for every certificate to be revoked, for Reason; those that
	// are delivered later are meant too.
	Revoke bool             `cbor:"2,keyasint,omitempty"`
	Reason RevocationReason `cbor:"3,keyasint,omitempty"`
	// OrdersDone says that all open orders were ended, OrderCursor and
	// CertificateCursor where the walks over orders and certificates are.
	OrdersDone        bool          `cbor:"4,keyasint,omitempty"`
	OrderCursor       OrderID       `cbor:"5,keyasint,omitempty"`
	CertificateCursor CertificateID `cbor:"6,keyasint,omitempty"`
	// Orders and Certificates count what was ended and what was revoked.
	Orders       int `cbor:"7,keyasint,omitempty"`
	Certificates int `cbor:"8,keyasint,omitempty"`
	// DoneAt is when the last of it was stored; the CAs may still have to hear
	// of some of the revocations.
	DoneAt time.Time `cbor:"9,keyasint,omitzero"`
}

// EntitledBy returns nil when a profile's rule is content with the member of an
// account: id is what its external account key says, and m the record, or nil
// when there is none. Without a registry to
// ask, a record is not needed, but one that is there counts.
func EntitledBy(id MemberID, m *Member, p Profile, identifiers []Identifier) *Problem {
	switch {
	case m == nil && id != "" && p.Authorization.AsksRegistry():
		return Problemf(Unauthorized, "profile %s is for members of the registry, and member %s, which this account belongs to, is not in the registry; ask the operator to add it", p.Name, quote(string(id)))
	case m == nil && p.Authorization.AsksRegistry():
		return Problemf(Unauthorized,
			"profile %s is for members of the registry, and this account belongs to none; ask the operator to register the member, and bind the account to it with an external account key", p.Name)
	case m == nil:
		return nil
	case p.Authorization.AsksRegistry():
		return MemberAllows(*m, p.Name, identifiers)
	default:
		return MemberStanding(*m)
	}
}

// RenewalWindow returns the window of all certificates of a member that is not
// active: an hour ago, so that its clients ask at once and hear why. It is
// fixed by the decision, not by the asking, so that all answers agree. ok is
// false for an active member, whose certificates have windows of their own.
func (m Member) RenewalWindow() (w Window, ok bool) {
	if m.Status == MemberActive {
		return Window{}, false
	}
	since := m.ChangedAt
	if m.Enforcement != nil {
		since = m.Enforcement.Since
	}
	return RenewAtOnce(since), true
}

// SameContent reports whether two records say the same of a member, so that
// replacing one by the other would be no new version. A record that says nothing
// of country, roles or applications (nil; none is an empty list) leaves them as
// they are: lists for other ecosystems do not know them.
func (m Member) SameContent(other Member) bool {
	return m.Name == other.Name && slices.Equal(m.Identifiers, other.Identifiers) && slices.Equal(m.Profiles, other.Profiles) &&
		m.OpenOrders == other.OpenOrders && m.Certificates == other.Certificates && maps.Equal(m.Attributes, other.Attributes) &&
		(other.Country == "" || m.Country == other.Country) && (other.Roles == nil || slices.Equal(m.Roles, other.Roles)) &&
		(other.Applications == nil || slices.EqualFunc(m.Applications, other.Applications, Application.sameContent))
}

// WithContent returns the record with what another one says of the member, as
// its next version. Identity, status and history stay.
func (m Member) WithContent(other Member, now time.Time) Member {
	m.Name, m.Identifiers, m.Profiles, m.Attributes = other.Name, other.Identifiers, other.Profiles, other.Attributes
	m.OpenOrders, m.Certificates = other.OpenOrders, other.Certificates
	if other.Country != "" {
		m.Country = other.Country
	}
	if other.Roles != nil {
		m.Roles = other.Roles
	}
	if other.Applications != nil {
		m.Applications = m.withApplications(other.Applications, now)
	}
	m.Version, m.ChangedAt = m.Version+1, now
	return m
}

// CheckMember returns the content of a record in its one form, sorted and
// without repetitions, or says what is wrong with it.
func CheckMember(m Member) (Member, *Problem) {
	switch id := string(m.ID); {
	case id == "":
		return m, Problemf(Malformed, "a member needs an id")
	case len(id) > maxMemberText || strings.TrimSpace(id) != id || strings.ContainsFunc(id, unicode.IsControl) || !utf8.ValidString(id):
		return m, Problemf(Malformed, "member %.100q: an id has at most %d bytes of text, without space around it and without control characters", id, maxMemberText)
	case len(m.Name) > maxMemberText:
		return m, Problemf(Malformed, "member %s: a name has at most %d bytes", id, maxMemberText)
	case m.OpenOrders < 0 || m.Certificates < 0:
		return m, Problemf(Malformed, "member %s: a limit cannot be negative; 0 means no limit", id)
	case m.OpenOrders > MaxMemberLimit || m.Certificates > MaxMemberLimit:
		return m, Problemf(Malformed, "member %s: a limit is at most %d, because every new order counts up to it; 0 means no limit", id, MaxMemberLimit)
	}
	for _, pattern := range m.Identifiers {
		if p := CheckIdentifierPattern(pattern); p != nil {
			return m, Problemf(Malformed, "member %s: %s", m.ID, p.Detail)
		}
	}
	for key, value := range m.Attributes {
		if key == "" || len(key) > maxMemberText || len(value) > maxMemberText {
			return m, Problemf(Malformed, "member %s: an attribute has a name, and name and value have at most %d bytes", m.ID, maxMemberText)
		}
	}
	m.Identifiers = slices.Compact(slices.Sorted(slices.Values(m.Identifiers)))
	m.Profiles = slices.Compact(slices.Sorted(slices.Values(m.Profiles)))
	return checkFramework(m)
}

// MaxMemberLimit bounds the limits of a member: what is counted up to them is
// counted for each of its orders.
const MaxMemberLimit = 10_000

// maxMemberText bounds each text of a member's record.
const maxMemberText = 256

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
