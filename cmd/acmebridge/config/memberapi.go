package config

import (
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// MemberAPI is what members use beside ACME.
type MemberAPI struct {
	Enabled   bool   `key:"enabled" default:"false" doc:"Serve it. Members need tokens then ('acmebridge member token create'), or an identity provider."`
	Path      string `key:"path" default:"/member-api" doc:"Path that everything of it lies below, on the listener of the ACME server."`
	Directory string `key:"directory" doc:"Directory whose profiles may be signed for. Empty: the first, by name, that has the profile."`
	Failures  Rate   `key:"failures" default:"20/10m" doc:"Tokens of one address that were not accepted. off: no limit."`
	OIDC      OIDC   `key:"oidc" doc:"Identity provider whose ID tokens are accepted besides tokens of ours."`
}

// OIDC is an OpenID Connect provider.
type OIDC struct {
	Issuer      string         `key:"issuer" doc:"URL of the provider, exactly as its tokens have it. Empty: none."`
	Audience    string         `key:"audience" doc:"Client id that tokens have to be for. Required with issuer."`
	MemberClaim string         `key:"member_claim" doc:"Claim with the id of the member that a person may act for, or a list of them. Required with issuer: without it nobody is anybody."`
	NameClaim   string         `key:"name_claim" default:"email" doc:"Claim with the name that records have of who did something. sub where it is missing."`
	CAFile      string         `key:"ca_file" doc:"PEM file with the roots that the certificate of the provider must lead to. Empty: those of the system."`
	Allow       []netip.Prefix `key:"allow" doc:"Prefixes to open on top of the public addresses, when the provider is inside of a network. An address that issuer itself names is open."`
}

// Opened are the prefixes that may be reached for the provider.
func (o OIDC) Opened() []netip.Prefix { return Sectigo{URL: o.Issuer, Allow: o.Allow}.Opened() }

func checkMemberAPI(c *Config, r *report) {
	m := c.MemberAPI
	if !isPath(m.Path) || strings.HasSuffix(m.Path, "/") {
		r.add("member_api.path", "must start with / and be of plain segments, for example /member-api")
	}
	below := func(inner, outer string) bool { return inner == outer || strings.HasPrefix(inner, outer+"/") }
	if below(m.Path, "/acme") || below("/acme", m.Path) {
		r.add("member_api.path", "is where the resources of directories are, below /acme; choose another one")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		if m.Enabled && below(c.Directories[name].Path, m.Path) {
			r.add("member_api.path", "hides the path of directory %s; choose another one", name)
		}
	}
	if _, ok := c.Directories[m.Directory]; m.Directory != "" && !ok {
		r.add("member_api.directory", "there is no directory %q", m.Directory)
	}
	o := m.OIDC
	if o.Issuer == "" {
		if o.Audience != "" || o.MemberClaim != "" {
			r.add("member_api.oidc.issuer", "is missing; audience and member_claim mean nothing without it")
		}
		return
	}
	if u, err := url.Parse(o.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		r.add("member_api.oidc.issuer", "must be an https URL without query")
	}
	if o.Audience == "" {
		r.add("member_api.oidc.audience", "is missing; tokens for others would be accepted without it")
	}
	if o.MemberClaim == "" {
		r.add("member_api.oidc.member_claim", "is missing; it names the claim that says whom a person may act for")
	}
	if o.NameClaim == "" {
		r.add("member_api.oidc.name_claim", "must name a claim")
	}
	if o.CAFile != "" {
		if _, err := os.ReadFile(o.CAFile); err != nil {
			r.add("member_api.oidc.ca_file", "%s", trouble(o.CAFile, err))
		}
	}
}
