package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"acmebridge/acme"
)

// check judges what no single value shows: what belongs together, and names
// that must mean something.
func check(c *Config, r *report) {
	checkListeners(c, r)
	checkValidation(c, r)
	checkDirectories(c, r)
	checkProfiles(c, r)
	checkXRoadDirectories(c, r)
	checkIB1Directories(c, r)
	checkBackends(c, r)
	checkOCSP(c, r)
	checkMemberAPI(c, r)
	checkLink(c.Limits.HelpURL, "limits.help_url", r)
	for i, o := range c.CORS.Origins {
		if o != "*" && !isOrigin(o) {
			r.add(at("cors.origins", i), "is not an origin; write for example https://example.org, without a path, or *")
		}
	}
}

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

func checkListeners(c *Config, r *report) {
	if c.DataDir == "" {
		r.add("data_dir", "must name a folder")
	}
	listeners := map[string]string{}
	for _, l := range []struct {
		key, address string
		required     bool
	}{{"listen", c.Listen, true}, {"pki_listen", c.PKIListen, false}, {"admin_listen", c.AdminListen, false}} {
		if l.address == "" && !l.required {
			continue
		}
		port, ok := portOf(l.address)
		if !ok {
			r.add(l.key, "must be an address and a port, for example 127.0.0.1:14000 or [::1]:14000")
			continue
		}
		if other, taken := listeners[l.address]; taken && port != 0 {
			r.add(l.key, "is the same address as %s", other)
		}
		listeners[l.address] = l.key
	}
	// Port 0 lets the system choose; links cannot be made before it has.
	if port, ok := portOf(c.Listen); ok && port == 0 && strings.HasSuffix(c.BaseURL, ":0") {
		r.add("base_url", "must be set when the port of listen is 0")
	} else if u, ok := absolute(c.BaseURL); !ok || u.Scheme != "https" || u.Path != "" {
		r.add("base_url", "must be https://, a host and perhaps a port, and nothing behind it")
	}
	if u, ok := absolute(c.PKIURL); c.PKIURL != "" && (!ok || u.Scheme != "http" && u.Scheme != "https") {
		r.add("pki_url", "must be an absolute http URL without query")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		r.add("tls", "needs both cert and key, or neither")
	}
}

func checkValidation(c *Config, r *report) {
	for i, a := range c.Validation.Resolvers {
		host, _, _ := net.SplitHostPort(a)
		if port, ok := portOf(a); !ok || port == 0 || host == "" {
			r.add(at("validation.resolvers", i), "must be host:port, for example 192.0.2.53:53")
		}
	}
	if u, ok := absolute(c.Validation.DNSPersist.HashPrefix); c.Validation.DNSPersist.HashPrefix != "" &&
		(!ok || u.Scheme != "https" || !strings.HasSuffix(u.Path, "/") || strings.Contains(c.Validation.DNSPersist.HashPrefix, ";")) {
		r.add("validation.dns_persist.hash_prefix", "must be an https URL that ends with /, for example https://acme.example.org/account-hash/")
	}
	for i, p := range c.Validation.Allow {
		if slices.Contains(c.Validation.Deny, p) {
			r.add(at("validation.allow", i), "is under deny too, which is stronger")
		}
	}
}

func checkDirectories(c *Config, r *report) {
	if len(c.Directories) == 0 {
		r.add("directories", "must have at least one entry")
	}
	profiles := slices.Sorted(maps.Keys(c.Profiles))
	base, _ := absolute(c.BaseURL)
	endpoints, hosts := map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d, key := c.Directories[name], "directories."+name
		if !isPath(d.Path) {
			r.add(key+".path", "must start with / and be of plain segments, for example /directory")
		}
		if d.Host != "" && !isHostname(d.Host) {
			r.add(key+".host", "must be a host name in lower case, without scheme and port")
		}
		if other, taken := hosts[d.Host]; taken && d.Host != "" {
			r.add(key+".host", "is the host of directory %s already", other)
		} else if other, taken := endpoints[d.Path]; taken && d.Host == "" {
			r.add(key+".path", "is the path of directory %s already", other)
		}
		if base != nil && d.Host != "" && d.Host == base.Hostname() {
			r.add(key+".host", "is the host of base_url, which all directories share that have none of their own")
		}
		if d.Host != "" {
			hosts[d.Host] = name
		} else {
			endpoints[d.Path] = name
		}
		if len(d.Profiles) == 0 {
			r.add(key+".profiles", "must list at least one profile")
		}
		for i, p := range d.Profiles {
			switch {
			case slices.Contains(d.Profiles[:i], p):
				r.add(at(key+".profiles", i), "is listed twice")
			case !slices.Contains(profiles, string(p)):
				r.add(at(key+".profiles", i), "no profile has this name%s", suggestOrList(string(p), profiles))
			}
		}
		if first, ok := firstProfile(c, d); d.PreAuthorization && ok && !first.Authorization.AsksProof() {
			r.add(key+".pre_authorization", "needs a first profile that wants names proved; %s has authorization: registry", d.Profiles[0])
		}
		checkLink(d.TermsOfService, key+".terms_of_service", r)
		checkLink(d.Website, key+".website", r)
	}
}

// firstProfile is the default profile of a directory, if there is one.
func firstProfile(c *Config, d Directory) (Profile, bool) {
	if len(d.Profiles) == 0 {
		return Profile{}, false
	}
	p, ok := c.Profiles[string(d.Profiles[0])]
	return p, ok
}

func checkLink(text, key string, r *report) {
	if text == "" {
		return
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		r.add(key, "must be an absolute http or https URL")
	}
}

func checkProfiles(c *Config, r *report) {
	if len(c.Profiles) == 0 {
		r.add("profiles", "must have at least one entry")
	}
	backends := slices.Sorted(maps.Keys(c.Backends))
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		p, key := c.Profiles[name], "profiles."+name
		switch b, ok := c.Backends[p.Backend]; {
		case p.Backend == "":
			r.add(key+".backend", "is missing; it must name a backend%s", suggestOrList("", backends))
		case !ok:
			r.add(key+".backend", "no backend has this name%s", suggestOrList(p.Backend, backends))
		case b.Type == TypeLocalCA && p.Validity > b.LocalCA.IssuerValidity:
			r.add(key+".validity", "is longer than the issuer lives; the most is backends.%s.issuer_validity, %s", p.Backend, FormatDuration(b.LocalCA.IssuerValidity))
		}
		if p.Subject == acme.SubjectByCA && c.Backends[p.Backend].Type == TypeLocalCA {
			r.add(key+".subject", "by_ca is for a CA with templates of its own; %s has none", p.Backend)
		}
		checkSubjectFrom(c, p, key, r)
		if p.ReuseAuthorizations > p.AuthorizationLifetime {
			r.add(key+".reuse_authorizations", "is longer than a proof stands, authorization_lifetime, %s", FormatDuration(p.AuthorizationLifetime))
		}
		checkChoices(key+".challenges", p.Challenges, r)
		checkChoices(key+".usages", p.Usages, r)
		checkChoices(key+".key_types", p.KeyTypes, r)
		checkIdentifiers(p, key+".identifiers", r)
		if i := slices.Index(p.Challenges, acme.DNSPersist01); i >= 0 && len(c.Backends[p.Backend].CAAIdentities) == 0 {
			r.add(at(key+".challenges", i), "dns-persist-01 needs backends.%s.caa_identities, the domain names by which records name the CA", p.Backend)
		}
		if len(p.Approvers) > 0 {
			checkChoices(key+".approvers", p.Approvers, r)
			if p.Approval != ApprovalRequired {
				r.add(key+".approvers", "nobody has to approve anything; set approval: required, or leave the approvers out")
			}
		}
		switch b := c.Backends[p.Backend]; b.Type {
		case TypeGlobalSign:
			checkCutOff(p, key, b.GlobalSign.ServerOnlyFrom, r)
		case TypeDigiCert:
			checkDigiCertProfile(p, key, b.DigiCert, r)
		case TypeGoDaddy:
			checkGoDaddyProfile(p, key, b.GoDaddy, r)
		}
		checkRenewal(p, key+".renewal", r)
		checkXRoad(p, key, r)
		checkIB1Profile(c, p, key, r)
		if p.CAA && len(c.Backends[p.Backend].CAAIdentities) == 0 {
			r.add(key+".caa", "needs backends.%s.caa_identities, the domain names by which CAA records name the CA", p.Backend)
		}
	}
}

// checkChoices wants at least one, and each once.
func checkChoices[T ~string](key string, chosen []T, r *report) {
	if len(chosen) == 0 {
		r.add(key, "must not be empty")
	}
	for i, v := range chosen {
		if slices.Contains(chosen[:i], v) {
			r.add(at(key, i), "is listed twice")
		}
	}
}

func checkIdentifiers(p Profile, key string, r *report) {
	checkChoices(key+".types", p.Identifiers.Types, r)
	proofs := p.Authorization.AsksProof() // the registry gives any kind of name
	if proofs && p.Identifiers.Wildcard && !slices.ContainsFunc(p.Challenges, acme.ChallengeType.OverDNS) {
		// R8555-7.1.3: what one host shows says nothing of all names below it.
		r.add(key+".wildcard", "needs dns-01 or another DNS method among the challenges")
	}
	if proofs && slices.Contains(p.Identifiers.Types, acme.IPIdentifier) &&
		!slices.Contains(p.Challenges, acme.HTTP01) && !slices.Contains(p.Challenges, acme.TLSALPN01) {
		r.add(key+".types", "ip needs http-01 or tls-alpn-01 among the challenges")
	}
	for i, s := range p.Identifiers.Suffixes {
		if !isHostname(s) {
			r.add(at(key+".suffixes", i), "must be a domain in lower case, without a dot in front, for example example.org")
		}
	}
}

func checkBackends(c *Config, r *report) {
	if len(c.Backends) == 0 {
		r.add("backends", "must have at least one entry")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		if c.Backends[name].Type == TypeSectigo {
			checkSectigo(name, c.Backends[name].Sectigo, r)
		}
		if c.Backends[name].Type == TypeDigiCert {
			checkDigiCert(name, c.Backends[name].DigiCert, r)
		}
		if c.Backends[name].Type == TypeGoDaddy {
			checkGoDaddy(name, c.Backends[name].GoDaddy, r)
		}
		if c.Backends[name].Type == TypeGlobalSign {
			checkGlobalSign(name, c.Backends[name].GlobalSign, r)
		}
		if c.Backends[name].Type == TypeUpstream {
			checkUpstream(name, c.Backends[name].Upstream, r)
		}
		if c.Backends[name].Type == TypeIB1 {
			checkIB1(name, c.Backends[name].IB1, r)
		}
		checkIdentities("backends."+name+".caa_identities", c.Backends[name].CAAIdentities, r)
	}
	folders := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		if c.Backends[name].Type != TypeLocalCA {
			continue
		}
		b, key := c.Backends[name].LocalCA, "backends."+name
		if b.IssuerValidity > b.RootValidity {
			r.add(key+".issuer_validity", "is longer than root_validity, %s", FormatDuration(b.RootValidity))
		}
		if b.Organization == "" {
			r.add(key+".organization", "must not be empty")
		}
		if b.PassphraseFile != "" && !b.PassphraseValue.Empty() {
			r.add(key+".passphrase_file", "is set, and so is the variable %s; keep one", variable(key+".passphrase"))
		}
		folder := path.Clean(c.LocalCADir(name))
		if other, taken := folders[folder]; taken {
			r.add(key+".dir", "is the folder of backend %s already", other)
		}
		folders[folder] = name
	}
}

// checkIdentities wants names that records can hold (RDP-1), and that clients
// can write into theirs byte for byte (R8555-7.1.1-4).
func checkIdentities(key string, names []string, r *report) {
	const most = 10
	if len(names) > most {
		r.add(key, "has %d names; the most is %d", len(names), most)
	}
	for i, n := range names {
		switch {
		case !isHostname(n) || strings.Contains(n, "_"):
			r.add(at(key, i), "must be a domain name in lower case, without a dot at the end, for example ca.example.org")
		case slices.Contains(names[:i], n):
			r.add(at(key, i), "is listed twice")
		}
	}
}

// suggestOrList offers the nearest name, or all when they are few.
func suggestOrList(got string, names []string) string {
	const few = 8
	if s := suggest(got, names); got != "" && s != "" || len(names) == 0 || len(names) > few {
		return s
	}
	return "; there is " + strings.Join(names, ", ")
}

func portOf(address string) (int, bool) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostname(host) {
		return 0, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return int(port), err == nil && text == strconv.FormatUint(port, 10)
}

// absolute returns the parts of a URL that has a host, and neither user, query
// nor fragment.
func absolute(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(text, "?#") {
		return nil, false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && !isHostname(host) {
		return nil, false
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, false
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return nil, false
	}
	return u, true
}

func isOrigin(text string) bool {
	u, ok := absolute(text)
	return ok && u.Path == "" && (u.Scheme == "https" || u.Scheme == "http")
}

func isPath(p string) bool {
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p {
		return false
	}
	return !strings.ContainsFunc(p, func(c rune) bool { return !strings.ContainsRune(pathLetters, c) })
}

const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/"

// isHostname accepts lower case names of letters, digits, hyphens and, as
// internal names have them, underscores.
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
