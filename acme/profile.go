package acme

import "time"

// ProfileName names a profile, as clients see it.
type ProfileName string

// Directory is one ACME endpoint with its own account space: the same key in
// two directories makes two accounts.
type Directory struct {
	Name DirectoryName
	// Path is where the directory object answers; Host, when set, is the host
	// that this directory alone answers on.
	Path string
	Host string
	// ExternalAccount says whether accounts need a binding to a member.
	ExternalAccount ExternalAccountRule
	// Profiles lists what may be ordered here; the first is the default.
	Profiles []ProfileName
	// PreAuthorization lets accounts prove names ahead of any order (RFC 8555,
	// 7.4.1), by the rules of the first profile.
	PreAuthorization bool
	// TermsOfService is the URL of the terms that must be agreed to, if any.
	TermsOfService string
	Website        string
	// PlainContacts admits contacts that are a mail address without mailto:, or at
	// a host of a single label, as X-Road Security Servers send them.
	PlainContacts bool
	// FixedKeys refuses keyChange. X-Road Security Servers forget the key that
	// they have changed to, and would leave an account behind with each try.
	FixedKeys bool
}

// ExternalAccountRule says what a directory wants of newAccount.
type ExternalAccountRule string

// The rules. A binding that is offered without being asked for is checked all
// the same (R8555-7.3.4-13), except where the rule is off: there it is refused.
const (
	ExternalAccountMandatory ExternalAccountRule = "required"
	ExternalAccountOptional  ExternalAccountRule = "optional"
	ExternalAccountOff       ExternalAccountRule = "off"
)

// Known reports whether r is a rule; the zero value is optional.
func (r ExternalAccountRule) Known() bool {
	switch r {
	case ExternalAccountMandatory, ExternalAccountOptional, ExternalAccountOff, "":
		return true
	default:
		return false
	}
}

// AuthorizationRule says what entitles an order to its identifiers.
type AuthorizationRule string

const (
	// AuthorizeByChallenge wants control proved for every identifier (the zero
	// value means the same).
	AuthorizeByChallenge AuthorizationRule = "challenge"
	// AuthorizeByRegistry asks the member's record and nobody else: an order is
	// ready as soon as it is there. It is for names that no challenge reaches,
	// and for registries that have verified them already.
	AuthorizeByRegistry AuthorizationRule = "registry"
	// AuthorizeByBoth wants the record to allow it and control to be proved.
	AuthorizeByBoth AuthorizationRule = "both"
)

// AsksRegistry reports whether the member's record has to allow what is ordered.
// A rule that nobody knows asks for everything (SP-3).
func (r AuthorizationRule) AsksRegistry() bool {
	return r != AuthorizeByChallenge && r != ""
}

// AsksProof reports whether control of every identifier has to be proved.
func (r AuthorizationRule) AsksProof() bool { return r != AuthorizeByRegistry }

// Usage is an extended key usage that a profile grants.
type Usage string

// The usages.
const (
	ServerAuth      Usage = "server_auth"
	ClientAuth      Usage = "client_auth"
	CodeSigning     Usage = "code_signing"
	EmailProtection Usage = "email_protection"
)

// SubjectRule says what the subject of a certificate holds.
type SubjectRule string

const (
	// SubjectCommonName puts the first name that fits into the common name.
	SubjectCommonName SubjectRule = "common_name"
	// SubjectEmpty leaves it empty; the names are in the SAN, then critical.
	SubjectEmpty SubjectRule = "empty"
	// SubjectByCA leaves it to the CA, whose templates put in what they like:
	// a common name that was ordered, and beside it organization and place.
	SubjectByCA SubjectRule = "by_ca"
	// SubjectRegistry names the member, as the registry knows it: SubjectFrom of
	// the profile says by what.
	SubjectRegistry SubjectRule = "registry"
	// SubjectRequested keeps that of the CSR to the last attribute. No profile
	// has it for itself: it comes with a rule that judges the subject first.
	SubjectRequested SubjectRule = "requested"
)

// DatesRule says what a profile does with notBefore and notAfter.
type DatesRule string

const (
	// DatesExact grants notAfter to the second or refuses it (the zero value
	// means the same).
	DatesExact DatesRule = "exact"
	// DatesUpperBound takes notAfter as the latest end that the client can use.
	DatesUpperBound DatesRule = "upper_bound"
	// DatesWish takes orders with any dates, and they have no effect: the profile
	// decides, and the order shows none.
	DatesWish DatesRule = "wish"
	// DatesRefuse takes no dates at all.
	DatesRefuse DatesRule = "refuse"
)

// Profile is what may be ordered: the rules for identifiers and keys, the
// contents of the certificate, and who issues it.
type Profile struct {
	Name          ProfileName
	Description   string
	Backend       string
	Authorization AuthorizationRule
	Challenges    []ChallengeType
	Identifiers   IdentifierPolicy
	Keys          KeyPolicy
	Usages        []Usage
	Subject       SubjectRule
	// SubjectFrom says, for SubjectRegistry, where in the member's record the
	// attributes come from.
	SubjectFrom SubjectNames
	Validity    time.Duration
	// OrderLifetime bounds an order until it is finalized, AuthorizationLifetime
	// how long a proof stands.
	OrderLifetime         time.Duration
	AuthorizationLifetime time.Duration
	// Hold is how long a challenge or finalize answer may wait for the engine.
	Hold time.Duration
	// IssuanceDeadline ends an order that its CA never answers.
	IssuanceDeadline time.Duration
	// Dates says what a requested notAfter means.
	Dates DatesRule
	// LenientReplaces lets an order through whose replaces names a certificate
	// that cannot be replaced; the order is then an ordinary one. X-Road always
	// sends replaces and has no way to go on without.
	LenientReplaces bool
	// Renewal says when its certificates should be renewed.
	Renewal RenewalPolicy
	// ReuseAuthorizations is for how long a proof serves later orders too; zero
	// wants every order proved anew.
	ReuseAuthorizations time.Duration
	// ResubmitOnDoubt allows a second submission when nothing proves that the
	// first one arrived or not. It can buy twice, so it is off.
	ResubmitOnDoubt bool
	// Reattach says what becomes of an order with a new key while the CA works on
	// one for the same names, and ReattachWithin how long after its issue a
	// certificate also serves a later order with the same key; zero is never.
	Reattach       ReattachRule
	ReattachWithin time.Duration
	// RetryAfter is the shortest pause that clients are told to make between two
	// looks at an order that its CA works on. Those that count their looks stay
	// longer with a longer one.
	RetryAfter time.Duration
	// Approval wants a person to look at each order before anything is sent.
	Approval ApprovalPolicy
	// CAA wants the holders of domains asked, by their CAA records, whether the
	// CA may issue (RFC 8659).
	CAA bool
	// IssuerDomainNames are the names of the CA in DNS records, in lower case:
	// in CAA records, and in those of dns-persist-01.
	IssuerDomainNames []string
	// XRoad, when it has a usage, makes this a profile for X-Road Security
	// Servers; Subject does not matter then.
	XRoad XRoadRule
	// IB1, when it has a tree, makes this a profile of an IB1 trust framework.
	IB1 IB1Rule
}

// IdentifierPolicy is what a profile accepts as an identifier.
type IdentifierPolicy struct {
	Types []IdentifierType
	// SingleLabel admits names of one label, such as localhost.
	SingleLabel bool
	Wildcard    bool
	// Suffixes, when not empty, lists the domains that names must lie in.
	Suffixes []string
	// Max bounds the identifiers of one order (SL-8).
	Max int
}

// KeyPolicy is what a profile accepts as a certificate key (section E of the
// checklist). The zero value admits RSA 2048 to 4096, P-256, P-384 and P-521.
type KeyPolicy struct {
	// Types, when not empty, lists what is accepted: "rsa", "p256", "p384",
	// "p521", "ed25519".
	Types []string
}

// Contract is what a finished certificate must be: the profile's promise,
// frozen into the submission when the order was finalized, so that a changed
// profile cannot finish an order begun under another one (SP-16).
type Contract struct {
	Profile     ProfileName  `cbor:"1,keyasint,omitempty"`
	Identifiers []Identifier `cbor:"2,keyasint,omitempty"`
	KeyHash     KeyHash      `cbor:"3,keyasint,omitempty"`
	Usages      []Usage      `cbor:"4,keyasint,omitempty"`
	Subject     SubjectRule  `cbor:"5,keyasint,omitempty"`
	CommonName  string       `cbor:"6,keyasint,omitempty"`
	NotBefore   time.Time    `cbor:"7,keyasint,omitzero"`
	NotAfter    time.Time    `cbor:"8,keyasint,omitzero"`
	// RequestedSubject is the subject in DER where Subject is requested.
	RequestedSubject []byte       `cbor:"9,keyasint,omitempty"`
	KeyUsage         KeyUsageRule `cbor:"10,keyasint,omitempty"`
	// Holder is whom a certificate of an IB1 framework is for. Where it is an
	// application, Identifiers only stand for it and are in no certificate.
	Holder *IB1Holder `cbor:"11,keyasint,omitempty"`
	// Names are what the registry said of the member when the order was
	// finalized, where Subject is registry.
	Names SubjectNames `cbor:"12,keyasint,omitzero"`
}
