package config

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// TypeUpstream is the type of a backend that is a client of another ACME CA.
const TypeUpstream = "upstream"

// Upstream is an account at a CA that speaks ACME.
type Upstream struct {
	URL             string          `key:"url" doc:"URL of the ACME directory of the CA. Required."`
	CAFile          string          `key:"ca_file" doc:"PEM file with the roots that the certificate of the service must lead to. Empty: those of the system."`
	Allow           []netip.Prefix  `key:"allow" doc:"Prefixes to open on top of the public addresses, when the service, or what answers its challenges, is inside of a network. An address that a URL or dns_01.server itself names is open."`
	RootsFile       string          `key:"roots_file" doc:"PEM file with the roots of the certificates that are issued, and with intermediate certificates worth publishing. Required."`
	Dir             string          `key:"dir" doc:"Folder of the account key, made on first use. Empty: <data_dir>/upstream/<name>."`
	PassphraseFile  string          `key:"passphrase_file" doc:"File, readable by its owner only, with the passphrase that encrypts the account key. Empty: it is encrypted by the sealing key of the server, eab.key in data_dir, so that who has both files can use it."`
	PassphraseValue secret.Secret   `key:"passphrase" source:"env" doc:"The passphrase itself, in place of passphrase_file."`
	Contacts        []string        `key:"contacts" doc:"Contacts of the account, for example mailto:ca@example.org."`
	AgreeToTerms    bool            `key:"agree_to_terms" default:"false" doc:"You have read the terms of the CA and agree to them. CAs that have terms make no account without."`
	External        UpstreamAccount `key:"external_account" doc:"External account key (EAB) from the CA, for CAs that want to know whose account it is. It is used once, when the account is made."`
	ProfileName     string          `key:"profile" doc:"Profile to order at the CA. Empty: its choice."`
	SendNotAfter    bool            `key:"send_not_after" default:"false" doc:"Ask for certificates that end exactly when they were ordered to. Most CAs refuse that."`
	MaxValidity     time.Duration   `key:"max_validity" default:"0" min:"0" max:"36500d" doc:"The longest validity that the CA gives. 0: not known."`
	Private         bool            `key:"private" default:"false" doc:"The CA is not publicly trusted."`
	HTTP01          UpstreamHTTP01  `key:"http_01" doc:"How http-01 is answered. With neither key set it is not."`
	DNS01           UpstreamDNS01   `key:"dns_01" doc:"How dns-01 is answered. Where both are, dns-01 goes first. With neither, the CA must want nothing proved."`
}

// UpstreamAccount is an external account key.
type UpstreamAccount struct {
	KeyID       string        `key:"key_id" doc:"Key id. Empty: the account is not bound."`
	HMACKeyFile string        `key:"hmac_key_file" doc:"File, readable by its owner only, with the HMAC key as the CA shows it: base64url."`
	HMACKey     secret.Secret `key:"hmac_key" source:"env" doc:"The HMAC key itself, in place of hmac_key_file."`
}

// UpstreamHTTP01 says who answers http-01.
type UpstreamHTTP01 struct {
	Listen  string `key:"listen" doc:"Address to answer http-01 at, for example :80. Names have to lead here, or their servers to pass /.well-known/acme-challenge/ on."`
	Webroot string `key:"webroot" doc:"Folder that a web server serves; answers are written below .well-known/acme-challenge in it."`
}

// The ways to answer dns-01.
const (
	DNSNone        = "none"
	DNSUpdate      = "rfc2136"
	DNSAcmeDNS     = "acme_dns"
	DNSHTTPRequest = "http_request"
	DNSCommand     = "command"
)

// UpstreamDNS01 says who answers dns-01.
type UpstreamDNS01 struct {
	By                string        `key:"by" default:"none" enum:"none,rfc2136,acme_dns,http_request,command" doc:"rfc2136 updates a name server, acme_dns posts to an acme-dns service, http_request posts {fqdn, value} to url/present and url/cleanup, command runs a program."`
	Settle            time.Duration `key:"settle" default:"0s" min:"0s" max:"1h" doc:"Time that a record is given to reach all servers of the zone before the CA is told to look."`
	Server            string        `key:"server" doc:"For rfc2136: primary name server, host:port. TCP is used."`
	Zone              string        `key:"zone" doc:"For rfc2136: zone of all names. Empty: the server is asked."`
	KeyName           string        `key:"key_name" doc:"For rfc2136: name of the TSIG key. Empty: updates are not signed."`
	Algorithm         string        `key:"algorithm" default:"hmac-sha256" enum:"hmac-sha224,hmac-sha256,hmac-sha384,hmac-sha512" doc:"For rfc2136: algorithm of the TSIG key."`
	KeyFile           string        `key:"key_file" doc:"For rfc2136: file, readable by its owner only, with the secret of the TSIG key in base64."`
	TTL               time.Duration `key:"ttl" default:"1m" min:"1s" max:"1d" doc:"For rfc2136: TTL of the records."`
	URL               string        `key:"url" doc:"For acme_dns and http_request: where the service is."`
	CAFile            string        `key:"ca_file" doc:"For acme_dns and http_request: PEM file with the roots for an https url. Empty: those of the system."`
	AccountsFile      string        `key:"accounts_file" doc:"For acme_dns: file, readable by its owner only, with the accounts by name, as acme-dns clients keep them."`
	AuthorizationFile string        `key:"authorization_file" doc:"For http_request: file, readable by its owner only, with the value of the Authorization header. Empty: none is sent."`
	Command           []string      `key:"command" doc:"For command: program and arguments; present or cleanup, the name of the record and its value follow. There is no shell."`
}

// Passphrase returns a function that gets the passphrase of the account key, nil
// when there is none.
func (u Upstream) Passphrase() func() ([]byte, error) {
	if u.PassphraseValue.Empty() && u.PassphraseFile == "" {
		return nil
	}
	return func() ([]byte, error) { return reveal(u.PassphraseValue, u.PassphraseFile) }
}

// HMAC gets the key of the external account, decoded. Padding and the other
// alphabet of base64 are let pass, because portals show both.
func (a UpstreamAccount) HMAC() ([]byte, error) {
	text, err := reveal(a.HMACKey, a.HMACKeyFile)
	if err != nil {
		return nil, err
	}
	plain := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(string(text)))
	key, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || len(key) == 0 {
		return nil, errors.New("the HMAC key of the external account is no base64url")
	}
	return key, nil
}

// Opened are the prefixes that may be connected to besides the public ones.
func (u Upstream) Opened() []netip.Prefix {
	all := append([]netip.Prefix{}, u.Allow...)
	for _, text := range []string{u.URL, u.DNS01.URL, "tcp://" + u.DNS01.Server} {
		all = append(all, opened(text)...)
	}
	return all
}

// opened is the address that a URL names, when it names one.
func opened(text string) []netip.Prefix {
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	if u.Hostname() == "localhost" {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		a = a.Unmap()
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
	}
	return nil
}

func checkUpstream(name string, u Upstream, r *report) {
	key := "backends." + name
	if at, ok := absolute(u.URL); !ok || at.Scheme != "https" {
		r.add(key+".url", "must be the https URL of an ACME directory, for example https://acme.example/directory")
	}
	if u.RootsFile == "" {
		r.add(key+".roots_file", "is missing; without the roots of the CA nothing that it issues can be checked")
	}
	if u.PassphraseFile != "" && !u.PassphraseValue.Empty() {
		r.add(key+".passphrase_file", "is set, and so is the variable %s; keep one", variable(key+".passphrase"))
	}
	for i, c := range u.Contacts {
		if at0, err := url.Parse(c); err != nil || at0.Scheme == "" {
			r.add(at(key+".contacts", i), "must be a URL, for example mailto:ca@example.org")
		}
	}
	account, hasKey := key+".external_account", u.External.HMACKeyFile != "" || !u.External.HMACKey.Empty()
	switch {
	case u.External.KeyID == "" && hasKey:
		r.add(account+".key_id", "is missing; the CA shows it together with the HMAC key")
	case u.External.KeyID != "" && !hasKey:
		r.add(account+".hmac_key_file", "is missing; or give the HMAC key in the variable %s", variable(account+".hmac_key"))
	case u.External.HMACKeyFile != "" && !u.External.HMACKey.Empty():
		r.add(account+".hmac_key_file", "is set, and so is the variable %s; keep one", variable(account+".hmac_key"))
	}
	if u.HTTP01.Listen != "" && u.HTTP01.Webroot != "" {
		r.add(key+".http_01.webroot", "is set, and so is listen; keep one")
	}
	if u.HTTP01.Listen != "" {
		if _, _, err := net.SplitHostPort(u.HTTP01.Listen); err != nil {
			r.add(key+".http_01.listen", "must be host:port or :port, for example :80")
		}
	}
	checkUpstreamDNS(key+".dns_01", u.DNS01, r)
}

func checkUpstreamDNS(key string, d UpstreamDNS01, r *report) {
	want := func(name, value, because string) {
		if value == "" {
			r.add(key+"."+name, "is missing; %s", because)
		}
	}
	switch d.By {
	case DNSUpdate:
		if _, _, err := net.SplitHostPort(d.Server); err != nil {
			r.add(key+".server", "must be host:port of the primary name server, for example ns1.example.org:53")
		}
		if d.KeyName != "" {
			want("key_file", d.KeyFile, "the key that key_name names is in there")
		}
	case DNSAcmeDNS, DNSHTTPRequest:
		if at, ok := absolute(d.URL); !ok || at.Scheme != "https" && at.Scheme != "http" {
			r.add(key+".url", "must be the URL of the service")
		}
		if d.By == DNSAcmeDNS {
			want("accounts_file", d.AccountsFile, "acme-dns takes updates from accounts only")
		}
	case DNSCommand:
		if len(d.Command) == 0 {
			r.add(key+".command", "is missing; it is the program that shows a proof")
		}
	}
}

func lookAtUpstream(name string, u Upstream, r *report) {
	key := "backends." + name
	for _, f := range []struct{ key, path string }{
		{".passphrase_file", u.PassphraseFile}, {".external_account.hmac_key_file", u.External.HMACKeyFile},
		{".dns_01.key_file", u.DNS01.KeyFile}, {".dns_01.accounts_file", u.DNS01.AccountsFile}, {".dns_01.authorization_file", u.DNS01.AuthorizationFile},
	} {
		if f.path == "" {
			continue
		}
		if _, err := secret.FromFile(f.path); err != nil && !othersUser(err) {
			r.add(key+f.key, "%s", trouble(f.path, err))
		}
	}
	for _, f := range []struct{ key, path string }{{".ca_file", u.CAFile}, {".roots_file", u.RootsFile}, {".dns_01.ca_file", u.DNS01.CAFile}} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			r.add(key+f.key, "%s", trouble(f.path, err))
		}
	}
	if u.HTTP01.Webroot != "" {
		if info, err := os.Stat(u.HTTP01.Webroot); err != nil || !info.IsDir() {
			r.add(key+".http_01.webroot", "is no folder")
		}
	}
}

func warnOfUpstream(name string, u Upstream) (all []string) {
	key := "backends." + name
	for _, s := range []struct {
		key   string
		value secret.Secret
	}{{key + ".passphrase", u.PassphraseValue}, {key + ".external_account.hmac_key", u.External.HMACKey}} {
		if !s.value.Empty() {
			all = append(all, variable(s.key)+" holds a secret: child processes and crash reports can show it; "+s.key[strings.LastIndexByte(s.key, '.')+1:]+"_file is safer")
		}
	}
	if u.DNS01.By == DNSUpdate && u.DNS01.KeyName == "" {
		all = append(all, key+".dns_01 sends updates that are not signed: whoever is in between can change them")
	}
	return all
}
