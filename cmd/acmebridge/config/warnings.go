package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"acmebridge/acme"
)

// OpenDirectories says which directories serve people whom nobody admitted.
// That is how public CAs work, so it is no warning for the log of every start;
// whoever checks a configuration wants to have meant it.
func (c *Config) OpenDirectories() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d := c.Directories[name]
		if d.ExternalAccount == acme.ExternalAccountMandatory {
			continue
		}
		if slices.ContainsFunc(d.Profiles, func(p acme.ProfileName) bool {
			profile := c.Profiles[string(p)]
			return profile.Authorization == acme.AuthorizeByChallenge && len(profile.Identifiers.Suffixes) == 0
		}) {
			all = append(all, "directories."+name+": anybody who controls a name can order; set external_account: required to admit members only")
		}
	}
	return all
}

// Warnings lists settings that are allowed and yet deserve a second look. They
// are shown at start, in health and by doctor for as long as they stand
// (SA-13, SV-4).
func (c *Config) Warnings() []string {
	var all []string
	for _, p := range c.Validation.Allow {
		if p.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) || p.Overlaps(netip.MustParsePrefix("::1/128")) {
			all = append(all, "validation.allow opens loopback: clients can make this server ask other services on this machine")
			break
		}
	}
	if c.Validation.HTTPPort != 80 || c.Validation.TLSALPNPort != 443 {
		all = append(all, "validation.http_port or validation.tls_alpn_port is not the standard one: ordinary clients will not pass, and any user of a host may open a high port")
	}
	if c.Storage.Bolt.AllowNetworkFS {
		all = append(all, "storage.bolt.allow_network_fs is set: locks and syncs on network file systems are not reliable")
	}
	if slices.Contains(c.CORS.Origins, "*") {
		all = append(all, "cors.origins has *: every web page may use this server from its visitors' browsers")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		if c.Profiles[name].ResubmitOnDoubt {
			all = append(all, "profiles."+name+".resubmit_on_doubt is set: a certificate may be bought twice")
		}
		if c.Profiles[name].Reattach == acme.ReattachNew {
			all = append(all, "profiles."+name+".reattach is new: a client that gives up and comes back with another key buys again each time")
		}
		if c.Profiles[name].CAA && len(c.Validation.Resolvers) == 0 {
			// R8657-5-2: whoever can forge the records decides.
			all = append(all, "profiles."+name+".caa relies on the DNS servers of the system: list servers in validation.resolvers that check DNSSEC, and that nobody can get in between")
		}
	}
	all = append(all, c.idleValidities()...)
	all = append(all, c.unreachableProfiles()...)
	all = append(all, c.ocspWarnings()...)
	for _, u := range []struct{ key, url string }{{"base_url", c.BaseURL}, {"pki_url", c.PKIURL}} {
		if there, ok := absolute(u.url); ok && there.Hostname() == exampleHost {
			all = append(all, u.key+" is still the one that 'config init' wrote: put the name of this server in place of "+exampleHost)
		}
	}
	used := map[string]bool{}
	for _, p := range c.Profiles {
		used[p.Backend] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b := c.Backends[name]
		if !used[name] {
			all = append(all, "backends."+name+": no profile uses it")
		}
		if b.Type == TypeSectigo {
			if !b.Sectigo.PasswordValue.Empty() {
				all = append(all, variable("backends."+name+".password")+" holds a secret: child processes and crash reports can show it; password_file is safer")
			}
			if strings.HasPrefix(b.Sectigo.URL, "http://") {
				all = append(all, "backends."+name+".url is spoken with in the clear: it can only be an imitation, and no certificate of it is worth anything")
			}
		}
		if b.Type == TypeDigiCert {
			all = append(all, warnDigiCert(name, b.DigiCert)...)
		}
		if b.Type == TypeIB1 && !b.IB1.PassphraseValue.Empty() {
			all = append(all, variable("backends."+name+".passphrase")+" holds a secret: child processes and crash reports can show it; passphrase_file is safer")
		}
		if b.Type == TypeGoDaddy {
			all = append(all, warnGoDaddy(name, b.GoDaddy)...)
		}
		if b.Type == TypeGlobalSign {
			all = append(all, warnGlobalSign(name, b.GlobalSign)...)
		}
		if b.Type == TypeUpstream {
			all = append(all, warnOfUpstream(name, b.Upstream)...)
		}
		if b.Type != TypeLocalCA {
			continue
		}
		if !b.LocalCA.PassphraseValue.Empty() {
			all = append(all, variable("backends."+name+".passphrase")+" holds a secret: child processes and crash reports can show it; passphrase_file is safer")
		} else if b.LocalCA.PassphraseFile == "" {
			all = append(all, "backends."+name+" has a software key without a passphrase: anyone who can read its folder can issue certificates")
		}
	}
	return all
}

// idleValidities are those that somebody has set and that nothing looks at. The
// default is no wish of anybody's: 'config print' writes it down, too.
func (c *Config) idleValidities() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		b := c.Profiles[name].Backend
		if c.Profiles[name].Validity == filled[Profile]().Validity {
			continue
		}
		switch c.Backends[b].Type {
		case TypeSectigo:
			all = append(all, "profiles."+name+".validity has no effect: backend "+b+" is Sectigo's, where the profile of the CA decides how long certificates are valid")
		case TypeGoDaddy:
			all = append(all, "profiles."+name+".validity has no effect: backend "+b+" is GoDaddy's, where the CA decides how long certificates are valid")
		case TypeDigiCert:
			all = append(all, "profiles."+name+".validity has no effect: backend "+b+" is DigiCert's, which is asked for backends."+b+".order_validity")
		case TypeUpstream:
			if !c.Backends[b].Upstream.SendNotAfter {
				all = append(all, "profiles."+name+".validity has no effect: backend "+b+" leaves it to its CA, unless send_not_after is set")
			}
		}
	}
	return all
}
