package config

import (
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
)

// AcmeDirectories returns the directories as the rules know them, by name.
func (c *Config) AcmeDirectories() []acme.Directory {
	var all []acme.Directory
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d := c.Directories[name]
		all = append(all, acme.Directory{
			Name:             acme.DirectoryName(name),
			Path:             d.Path,
			Host:             d.Host,
			ExternalAccount:  d.ExternalAccount,
			Profiles:         slices.Clone(d.Profiles),
			PreAuthorization: d.PreAuthorization,
			TermsOfService:   d.TermsOfService,
			Website:          d.Website,
			PlainContacts:    d.PlainContacts != nil && *d.PlainContacts,
			FixedKeys:        d.FixedKeys != nil && *d.FixedKeys,
		})
	}
	return all
}

// AcmeProfiles returns the profiles as the rules know them.
func (c *Config) AcmeProfiles() map[acme.ProfileName]acme.Profile {
	all := make(map[acme.ProfileName]acme.Profile, len(c.Profiles))
	for name, p := range c.Profiles {
		renewal, _ := p.Renewal.policy()
		usages := ib1Usages(p)
		if p.XRoad.Usage == acme.XRoadSign {
			usages = nil // with clientAuth, a Security Server takes it for the other kind
		}
		all[acme.ProfileName(name)] = acme.Profile{
			Name:          acme.ProfileName(name),
			Description:   p.Description,
			Backend:       p.Backend,
			Authorization: p.Authorization,
			Challenges:    slices.Clone(p.Challenges),
			Identifiers: acme.IdentifierPolicy{
				Types:       slices.Clone(p.Identifiers.Types),
				SingleLabel: p.Identifiers.SingleLabel != nil && *p.Identifiers.SingleLabel,
				Wildcard:    p.Identifiers.Wildcard,
				Suffixes:    slices.Clone(p.Identifiers.Suffixes),
				Max:         p.Identifiers.Max,
			},
			Keys:                  acme.KeyPolicy{Types: slices.Clone(p.KeyTypes)},
			Usages:                usages,
			XRoad:                 xroadRule(p.XRoad),
			IB1:                   ib1Rule(p.IB1, c.Backends[p.Backend].IB1),
			Subject:               p.Subject,
			SubjectFrom:           acme.SubjectNames(p.SubjectFrom),
			Validity:              p.Validity,
			OrderLifetime:         p.OrderLifetime,
			AuthorizationLifetime: p.AuthorizationLifetime,
			Hold:                  p.Hold,
			IssuanceDeadline:      p.IssuanceDeadline,
			ReuseAuthorizations:   p.ReuseAuthorizations,
			Dates:                 p.Dates,
			LenientReplaces:       p.LenientReplaces,
			Renewal:               renewal,
			ResubmitOnDoubt:       p.ResubmitOnDoubt,
			Reattach:              p.Reattach,
			ReattachWithin:        p.ReattachWithin,
			RetryAfter:            xroadRetryAfter(p),
			Approval: acme.ApprovalPolicy{
				Required: p.Approval == ApprovalRequired, Approvers: slices.Clone(p.Approvers), Within: p.ApprovalWithin,
			},
			CAA:               p.CAA,
			IssuerDomainNames: slices.Clone(c.Backends[p.Backend].CAAIdentities),
		}
	}
	return all
}

// xroadRule is empty for profiles that are not for X-Road.
func xroadRule(x XRoad) acme.XRoadRule {
	if !x.asked() {
		return acme.XRoadRule{}
	}
	return acme.XRoadRule{Usage: x.Usage, Subject: x.Subject, ProfileID: x.ProfileID, Instance: x.Instance}
}

// xroadRetryAfter is at least what a Security Server waits on its own, because
// less makes it give up sooner: it counts looks.
func xroadRetryAfter(p Profile) time.Duration {
	if p.XRoad.asked() {
		return max(p.RetryAfter, 5*time.Second)
	}
	return p.RetryAfter
}

// AccountHashPrefix is what names of accounts begin with in records of
// dns-persist-01; empty when they are plain URLs.
func (c *Config) AccountHashPrefix() string {
	switch p := c.Validation.DNSPersist; {
	case p.Account == "plain":
		return ""
	case p.HashPrefix != "":
		return p.HashPrefix
	default:
		return strings.TrimRight(c.BaseURL, "/") + "/account-hash/"
	}
}

// LongestValidity is the longest validity that profiles of a backend ask for.
func (c *Config) LongestValidity(backend string) time.Duration {
	var longest time.Duration
	for _, p := range c.Profiles {
		if p.Backend == backend {
			longest = max(longest, p.Validity)
		}
	}
	return longest
}

// LongestHold is the longest that an answer may wait for the work behind it.
func (c *Config) LongestHold() time.Duration {
	var longest time.Duration
	for _, p := range c.Profiles {
		longest = max(longest, p.Hold)
	}
	return longest
}

// BoltPath is where the embedded store lies.
func (c *Config) BoltPath() string {
	return orWithin(c.Storage.Bolt.Path, c.DataDir, "acmebridge.db")
}

// EABKeyPath is where the key lies that seals external account keys.
func (c *Config) EABKeyPath() string { return orWithin(c.EABKeyFile, c.DataDir, "eab.key") }

// LocalCADir is the folder of a backend of type localca.
func (c *Config) LocalCADir(backend string) string {
	return orWithin(c.Backends[backend].LocalCA.Dir, c.DataDir, filepath.Join("ca", backend))
}

// UpstreamDir is the folder of the account of a backend of type upstream.
func (c *Config) UpstreamDir(backend string) string {
	return orWithin(c.Backends[backend].Upstream.Dir, c.DataDir, filepath.Join("upstream", backend))
}

// PKIBaseURL is what certificates say about where revocation lists
// and CA certificates are, without a slash at the end; empty when nothing serves
// them.
func (c *Config) PKIBaseURL() string {
	if c.PKIURL != "" {
		return strings.TrimRight(c.PKIURL, "/")
	}
	if c.PKIListen == "" {
		return ""
	}
	return urlOf("http", c.PKIListen)
}

func orWithin(path, folder, name string) string {
	if path != "" {
		return path
	}
	return filepath.Join(folder, name)
}

// urlOf is the URL by which clients on this machine reach a listener. A
// loopback address is called localhost, because that is the name in the
// server's own certificate; so is the unspecified one, which is no
// destination.
func urlOf(scheme, listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && (a.IsLoopback() || a.IsUnspecified()) {
		host = "localhost"
	}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
