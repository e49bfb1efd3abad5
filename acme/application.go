package acme

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"acmebridge/internal/country"
)

// IB1Tree is one of the separate hierarchies of an IB1 trust framework, and with
// it a kind of certificate. The zero value is everything that has nothing to do
// with IB1.
type IB1Tree string

// The trees.
const (
	IB1Client  IB1Tree = "client"
	IB1Signing IB1Tree = "signing"
	IB1Server  IB1Tree = "server"
)

// Member reports whether certificates of the tree name an application and its
// roles, and no host.
func (t IB1Tree) Member() bool { return t == IB1Client || t == IB1Signing }

// Application is something that a member of an IB1 trust framework runs. It is
// known by its URL, which is what its certificates name.
type Application struct {
	URL string `cbor:"1,keyasint,omitempty"`
	// Version counts the changes of this entry.
	Version int    `cbor:"2,keyasint,omitempty"`
	Name    string `cbor:"3,keyasint,omitempty"`
	// Roles are those that it claims. It has those of them that its member has.
	Roles []string `cbor:"4,keyasint,omitempty"`
	// Trees are the kinds of certificate that it may have.
	Trees []IB1Tree `cbor:"5,keyasint,omitempty"`
	// Handle is a host name that stands for it in orders of clients that know
	// nothing but host names. It is in no certificate.
	Handle    string    `cbor:"6,keyasint,omitempty"`
	ChangedAt time.Time `cbor:"7,keyasint,omitzero"`
}

// sameContent compares what is said of two applications.
func (a Application) sameContent(b Application) bool {
	return a.URL == b.URL && a.Name == b.Name && a.Handle == b.Handle && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Trees, b.Trees)
}

// Bounds of what a registry says. The first two are what fits into a
// certificate (RFC 5280, appendix A); the others keep records small.
const (
	maxApplicationURL   = 64
	maxOrganization     = 64
	maxApplications     = 256
	maxRoles            = 32
	maxApplicationTexts = 256
)

// Application returns the application of that URL. Case and slashes count: URLs
// of a framework are compared as they are.
func (m Member) Application(url string) (a Application, ok bool) {
	i := slices.IndexFunc(m.Applications, func(a Application) bool { return a.URL == url })
	if i < 0 {
		return a, false
	}
	return m.Applications[i], true
}

// RolesOf are the roles that an application acts in: those that it claims and
// its member has, in the order of the claim.
func (m Member) RolesOf(a Application) []string {
	var held []string
	for _, r := range a.Roles {
		if slices.Contains(m.Roles, r) {
			held = append(held, r)
		}
	}
	return held
}

// CheckApplication returns an entry in its one form, or says why no certificate
// could ever be made for it: that is said when it is entered, and not months
// later when somebody finalizes an order.
func CheckApplication(a Application) (Application, *Problem) {
	refuse := func(format string, args ...any) (Application, *Problem) {
		return a, Problemf(Malformed, "application %.200q: "+format, append([]any{a.URL}, args...)...)
	}
	if why := webURLFault(a.URL); why != "" {
		return refuse("%s", why)
	}
	if n := len(a.URL); n > maxApplicationURL {
		return refuse("the URL has %d characters, and %d is the most that the common name of a certificate can hold: have the directory give it a shorter one", n, maxApplicationURL)
	}
	if len(a.Name) > maxApplicationTexts {
		return refuse("a name has at most %d bytes", maxApplicationTexts)
	}
	if len(a.Roles) == 0 {
		return refuse("it claims no role, and certificates name at least one")
	}
	if p := checkRoles(a.Roles); p != nil {
		return refuse("%s", p.Detail)
	}
	if len(a.Trees) == 0 {
		return refuse("say which certificates it may have: client, signing, server")
	}
	for _, t := range a.Trees {
		if !t.Member() && t != IB1Server {
			return refuse("there is no certificate of the kind %.40q; there are client, signing and server", string(t))
		}
	}
	if a.Handle != "" {
		if why := nameFault(a.Handle); why != "" || a.Handle != lowerASCII(a.Handle) || !strings.Contains(a.Handle, ".") {
			return refuse("the handle %.100q is not a host name in lower case, such as 883391.app.example.org", a.Handle)
		}
	}
	// The order of roles carries no meaning, and one that is there twice is one.
	a.Roles = slices.Compact(slices.Sorted(slices.Values(a.Roles)))
	a.Trees = slices.Compact(slices.Sorted(slices.Values(a.Trees)))
	return a, nil
}

func checkRoles(roles []string) *Problem {
	if len(roles) > maxRoles {
		return Problemf(Malformed, "there are %d roles; at most %d fit", len(roles), maxRoles)
	}
	for _, r := range roles {
		if why := webURLFault(r); why != "" {
			return Problemf(Malformed, "the role %.200q: %s", r, why)
		}
	}
	return nil
}

// webURLFault says why a URL is none of a framework. What a parser would write
// in another way would not be equal in two places of one certificate.
func webURLFault(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "there is no URL"
	case len(text) > maxMemberText:
		return fmt.Sprintf("a URL has at most %d characters", maxMemberText)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "a URL is written in ASCII, without blanks"
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return "it is not an https URL, such as https://directory.example.org/a/883391"
	case u.User != nil || u.Fragment != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "the URL has a user, a query or a fragment, which none in a certificate has"
	case u.String() != text || u.Host != lowerASCII(u.Host):
		return "the URL is not in its plain form: write scheme and host in lower case, and escape nothing that need not be"
	}
	return ""
}

// checkFramework judges what an IB1 trust framework says of a member.
func checkFramework(m Member) (Member, *Problem) {
	refuse := func(format string, args ...any) (Member, *Problem) {
		return m, Problemf(Malformed, "member %s: "+format, append([]any{m.ID}, args...)...)
	}
	if m.Country != "" && !country.Known(m.Country) {
		return refuse("the country %.20q is no code of ISO 3166-1 in capital letters, such as GB", m.Country)
	}
	if p := checkRoles(m.Roles); p != nil {
		return refuse("%s", p.Detail)
	}
	if len(m.Roles) > 0 { // an empty list is not the same as none: it takes all
		m.Roles = slices.Compact(slices.Sorted(slices.Values(m.Roles)))
	}
	if len(m.Applications) == 0 {
		return m, nil
	}
	if len(m.Applications) > maxApplications {
		return refuse("it has %d applications; at most %d fit into its record", len(m.Applications), maxApplications)
	}
	if why := webURLFault(string(m.ID)); why != "" {
		return refuse("the id of a member with applications is its URL in the directory of the framework: %s", why)
	}
	if m.Country == "" {
		return refuse("it has applications, so it needs a country: certificates name it")
	}
	if why := organizationFault(m.Name); why != "" {
		return refuse("the name %.100q %s", m.Name, why)
	}
	all := make([]Application, len(m.Applications))
	for i, a := range m.Applications {
		var p *Problem
		if all[i], p = CheckApplication(a); p != nil {
			return refuse("%s", p.Detail)
		}
	}
	slices.SortFunc(all, func(a, b Application) int { return strings.Compare(a.URL, b.URL) })
	for i := range all[1:] {
		if all[i].URL == all[i+1].URL {
			return refuse("application %s is there twice", all[i].URL)
		}
	}
	m.Applications = all
	return m, nil
}

// organizationFault says why a legal name fits into no certificate.
func organizationFault(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return "is missing: certificates hold the legal name of the member"
	case n > maxOrganization:
		return fmt.Sprintf("has %d characters, and %d is the most that a certificate can hold", n, maxOrganization)
	case !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl):
		return "has blanks around it, or characters in it that are no text"
	}
	return ""
}

// withApplications is what m has when next takes the place of its applications:
// entries that say the same keep their version.
func (m Member) withApplications(next []Application, now time.Time) []Application {
	all := make([]Application, len(next))
	for i, a := range next {
		old, known := m.Application(a.URL)
		switch {
		case known && old.sameContent(a):
			a = old
		default:
			a.Version, a.ChangedAt = old.Version+1, now
		}
		all[i] = a
	}
	return all
}
