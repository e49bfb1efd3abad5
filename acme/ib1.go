package acme

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// IB1Rule makes a profile one for an IB1 trust framework. The contents of its
// client and signing certificates come from the registry, by way of the external
// account key, which names a member and one of its applications: no challenge
// could prove the URL of an application.
type IB1Rule struct {
	Tree IB1Tree
	// Certificates for one application pass until there were this many in this
	// time; zero means no bound. Clients that do not find the host name that
	// they ordered in what they got order again with every run.
	Reissues int
	Per      time.Duration
	// Hosts are those of the framework: roles, members and applications have URLs
	// at one of them. Empty means at any.
	Hosts []string
}

// CheckHosts refuses URLs that are at no host of the framework.
func (r IB1Rule) CheckHosts(urls ...string) *Problem {
	if len(r.Hosts) == 0 {
		return nil
	}
	for _, text := range urls {
		if u, err := url.Parse(text); err != nil || !slices.Contains(r.Hosts, u.Host) {
			return Problemf(Malformed, "%.200q is at no host of the framework, which has %s", text, strings.Join(r.Hosts, ", "))
		}
	}
	return nil
}

// FrameworkURLs are the URLs that an IB1 framework has given to a member, its
// roles and its applications.
func (m Member) FrameworkURLs() []string {
	all := slices.Clone(m.Roles)
	if len(m.Applications) > 0 {
		all = append(all, string(m.ID))
	}
	for _, a := range m.Applications {
		all = append(append(all, a.URL), a.Roles...)
	}
	return all
}

// IB1Holder is whom a certificate of a framework is for, as the registry said
// when the order was finalized.
type IB1Holder struct {
	Tree IB1Tree `cbor:"1,keyasint,omitempty"`
	// Country and Organization are those of the member, whose URL Member is.
	Country      string `cbor:"2,keyasint,omitempty"`
	Organization string `cbor:"3,keyasint,omitempty"`
	Member       string `cbor:"4,keyasint,omitempty"`
	// Application is its URL, and Roles are what it acts in. Server certificates
	// have no roles, and an application only where the account is bound to one.
	Application string   `cbor:"5,keyasint,omitempty"`
	Roles       []string `cbor:"6,keyasint,omitempty"`
}

// Equal compares two holders.
func (h IB1Holder) Equal(other IB1Holder) bool {
	return h.Tree == other.Tree && h.Country == other.Country && h.Organization == other.Organization && h.Member == other.Member &&
		h.Application == other.Application && slices.Equal(h.Roles, other.Roles)
}

// HolderFor says for whom a certificate of a tree is, on behalf of an account
// that is bound to a member's application. m is the member's record, nil when
// there is none. Case and slashes of URLs count.
func HolderFor(m *Member, application string, tree IB1Tree) (IB1Holder, *Problem) {
	h := IB1Holder{Tree: tree, Application: application}
	switch {
	case m == nil:
		return h, Problemf(Unauthorized, "this account belongs to no member of the registry; ask the operator for an external account key of your member")
	case application == "" && !tree.Member():
		h.Member = string(m.ID)
		return h, MemberStanding(*m)
	case application == "":
		return h, Problemf(Unauthorized, "the external account key of this account is bound to no application, so nothing tells whose certificate this would be; ask the operator for one that is")
	}
	if p := MemberStanding(*m); p != nil {
		return h, p
	}
	a, ok := m.Application(application)
	switch {
	case !ok:
		return h, Problemf(Unauthorized, "the registry has no application %s of your member any more; ask the operator", application)
	case !slices.Contains(a.Trees, tree):
		return h, Problemf(Unauthorized, "the registry allows application %s no %s certificates; ask the operator", application, tree)
	}
	h.Member = string(m.ID)
	if !tree.Member() {
		return h, nil
	}
	h.Country, h.Organization, h.Roles = m.Country, m.Name, m.RolesOf(a)
	if len(h.Roles) == 0 {
		return h, Problemf(Unauthorized, "application %s is left with no role that your member has; ask the operator", application)
	}
	return h, nil
}

// Backs reports whether the registry still says of a member what one of its
// certificates says: otherwise it is to be revoked, for that reason. What a
// certificate lists is what its holder may do, and nobody looks anything up.
func (m Member) Backs(h IB1Holder) (reason RevocationReason, ok bool) {
	if !h.Tree.Member() {
		return 0, true // a day, and no revocation list that it names
	}
	a, known := m.Application(h.Application)
	if !known {
		return CessationOfOperation, false
	}
	held := m.RolesOf(a)
	if !slices.Contains(a.Trees, h.Tree) || slices.ContainsFunc(h.Roles, func(r string) bool { return !slices.Contains(held, r) }) {
		return PrivilegeWithdrawn, false
	}
	return 0, true
}

// outdated reports whether the next certificate of a framework would say
// something else of its holder: another name or country, or further roles. This
// one is not wrong for that, or it would be revoked, but its holder should not
// have to wait for the usual renewal.
func (c Certificate) outdated(m *Member) bool {
	if c.Holder == nil || !c.Holder.Tree.Member() || m == nil || !m.ChangedAt.After(c.IssuedAt) {
		return false
	}
	next, p := HolderFor(m, c.Holder.Application, c.Holder.Tree)
	return p == nil && !next.Equal(*c.Holder)
}

// FrameworkReason reports whether the lists of a framework may give that reason;
// unspecified ones are without.
func FrameworkReason(r RevocationReason) bool {
	return r == KeyCompromise || r == AffiliationChanged || r == Superseded || r == CessationOfOperation || r == PrivilegeWithdrawn
}

// Narrowed reports whether m takes something from what an earlier record gave,
// so that certificates may say too much.
func (m Member) Narrowed(before Member) bool {
	return slices.ContainsFunc(before.Applications, func(a Application) bool {
		return slices.ContainsFunc(a.Trees, func(t IB1Tree) bool {
			_, ok := m.Backs(IB1Holder{Tree: t, Application: a.URL, Roles: before.RolesOf(a)})
			return !ok
		})
	})
}

// ParseApplication turns what newOrder lists into identifiers of an order for an
// application: its URL, its handle, or both. They stand for it and are in no
// certificate. A URL is sent as a DNS name, because clients have nothing else.
func ParseApplication(sent []Identifier, a Application) ([]Identifier, *Problem) {
	if len(sent) == 0 {
		return nil, Problemf(Malformed, "the order lists no identifiers") // R8555-7.4-3
	}
	if len(sent) > defaultMaxIdentifiers {
		return nil, Problemf(Malformed, "the order lists %d identifiers, and an application has no more than two", len(sent))
	}
	var ids []Identifier
	var refused []Subproblem
	for n, s := range sent {
		if s.Type == "" || s.Value == "" { // R8555-7.4-3
			return nil, Problemf(Malformed, "identifier %d has no type or no value", n+1)
		}
		id := Identifier{Type: DNSIdentifier}
		switch value := lowerHost(s.Value); {
		case s.Type == DNSIdentifier && value == a.URL:
			id.Value = a.URL
		case s.Type == DNSIdentifier && a.Handle != "" && lowerASCII(s.Value) == a.Handle:
			id.Value = a.Handle
		default:
			refused = append(refused, Subproblem{Type: RejectedIdentifier, Identifier: s, Detail: fmt.Sprintf(
				"%s is not the application that your account is bound to; order %s", quote(s.Value), orHandle(a))})
			continue
		}
		if id.Value != s.Value {
			id.Sent = s.Value // C-LG-3
		}
		if !slices.ContainsFunc(ids, id.Same) {
			ids = append(ids, id)
		}
	}
	if len(refused) > 0 {
		return nil, refusedIdentifiers(refused, len(sent))
	}
	return ids, nil
}

func orHandle(a Application) string {
	if a.Handle == "" {
		return a.URL
	}
	return a.URL + " or " + a.Handle
}

// lowerHost writes scheme and host of a URL in lower case, and nothing else.
func lowerHost(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	host, path, slash := strings.Cut(rest, "/")
	s = lowerASCII(scheme) + "://" + lowerASCII(host)
	if slash {
		s += "/" + path
	}
	return s
}

// CheckApplicationCSR compares a CSR with the order that it would finalize. Only
// its key is used; names, if there are any, have to be those of the application,
// so that nobody believes to have got others. Subject and extensions are what
// tools put there, and are ignored.
func CheckApplicationCSR(o Order, p Profile, csr CSR, h IB1Holder, handle string) (Contract, *Problem) {
	if problem := CheckCertificateKey(csr.PublicKey, p.Keys); problem != nil {
		problem.Type = BadPublicKey
		return Contract{}, problem
	}
	if csr.HasSAN {
		names, err := namesOf(csr)
		if err != nil {
			return Contract{}, Problemf(BadCSR, "%v", err)
		}
		for _, name := range names {
			if lowerHost(name) != h.Application && (handle == "" || lowerASCII(name) != handle) {
				return Contract{}, Problemf(BadCSR, "the CSR names %s, which is not application %s; leave the names out", quote(name), h.Application)
			}
		}
	}
	return Contract{Profile: p.Name, Identifiers: o.Identifiers, KeyHash: csr.KeyHash, Usages: p.Usages, Holder: &h}, nil
}

// namesOf reads the DNS names and URLs of a CSR as they are spelled, and refuses
// every other kind of name.
func namesOf(csr CSR) (names []string, err error) {
	for _, e := range csr.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		input, list := cryptobyte.String(e.Value), cryptobyte.String(nil)
		if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() {
			return nil, fmt.Errorf("the names of the CSR cannot be read")
		}
		for !list.Empty() {
			var entry cryptobyte.String
			var tag cbasn1.Tag
			if !list.ReadAnyASN1(&entry, &tag) {
				return nil, fmt.Errorf("the names of the CSR cannot be read")
			}
			if tag != cbasn1.Tag(generalNameDNS).ContextSpecific() && tag != cbasn1.Tag(generalNameURI).ContextSpecific() {
				return nil, fmt.Errorf("the CSR has a name of the kind %s; leave the names out", generalNameKind(tag))
			}
			names = append(names, string(entry))
		}
	}
	return names, nil
}

const generalNameURI = 6

// CountsAs is what the certificates for one need are counted under: for an
// application of a framework that is neither its URL nor its handle, because an
// order may name either.
func (h IB1Holder) CountsAs() NameSet {
	return NameSetOf([]Identifier{{Type: "ib1-" + IdentifierType(h.Tree), Value: h.Application}})
}

// CountsAs is what a certificate is counted under, see [IB1Holder.CountsAs].
func (c Certificate) CountsAs() NameSet {
	if c.Holder != nil && c.Holder.Tree.Member() {
		return c.Holder.CountsAs()
	}
	return NameSetOf(c.Identifiers)
}
