package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

const upstreamFile = `
profiles: {tls: {backend: ca, validity: 30d}}
backends:
  ca:
    type: upstream
    url: https://127.0.0.1:14000/dir
    allow: [10.1.0.0/16]
    roots_file: roots.pem
    external_account: {key_id: kid-1}
    dns_01: {by: rfc2136, server: "192.0.2.1:53"}
`

func TestUpstream(t *testing.T) {
	t.Parallel()
	path := written(t, upstreamFile)
	cfg, err := config.Load(path, []string{"ACMEBRIDGE_BACKENDS_CA_EXTERNAL_ACCOUNT_HMAC_KEY=aHVudGVy+/==", "ACMEBRIDGE_BACKENDS_CA_PASSPHRASE=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	u := cfg.Backends["ca"].Upstream
	want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("192.0.2.1/32")}
	if !slices.Equal(u.Opened(), want) {
		t.Errorf("open are %v, want %v", u.Opened(), want)
	}
	if key, err := u.External.HMAC(); err != nil || !strings.HasPrefix(string(key), "hunter") {
		t.Errorf("HMAC key: %q, %v", key, err)
	}
	if p, err := u.Passphrase()(); err != nil || string(p) != "hunter2" {
		t.Errorf("passphrase: %v", err)
	}
	warned := strings.Join(cfg.Warnings(), "\n")
	for _, w := range []string{
		"ACMEBRIDGE_BACKENDS_CA_PASSPHRASE holds a secret", "ACMEBRIDGE_BACKENDS_CA_EXTERNAL_ACCOUNT_HMAC_KEY holds a secret",
		"updates that are not signed", "profiles.tls.validity has no effect",
	} {
		if !strings.Contains(warned, w) {
			t.Errorf("no warning %q among\n%s", w, warned)
		}
	}
	var b strings.Builder
	if err := cfg.Print(&b); err != nil || strings.Contains(b.String(), "hunter2") || strings.Contains(b.String(), "aHVudGVy") {
		t.Errorf("printed: %v\n%s", err, b.String())
	}
}

// TestBadUpstream: what is missing is named, with its key.
func TestBadUpstream(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"url: http://acme.example/dir, roots_file: r":                 "backends.ca.url: must be the https URL",
		"url: https://acme.example/dir":                               "backends.ca.roots_file: is missing",
		"contacts: [ca@example.org], roots_file: r":                   "contacts[0]: must be a URL",
		"external_account: {key_id: k}":                               "external_account.hmac_key_file: is missing",
		"external_account: {hmac_key_file: f}":                        "external_account.key_id: is missing",
		"http_01: {listen: ':80', webroot: /srv}":                     "http_01.webroot: is set, and so is listen",
		"http_01: {listen: '80'}":                                     "http_01.listen: must be host:port",
		"dns_01: {by: rfc2136}":                                       "dns_01.server: must be host:port",
		"dns_01: {by: rfc2136, server: 'ns.example:53', key_name: k}": "dns_01.key_file: is missing",
		"dns_01: {by: acme_dns, url: 'https://dns.example'}":          "dns_01.accounts_file: is missing",
		"dns_01: {by: http_request}":                                  "dns_01.url: must be the URL",
		"dns_01: {by: command}":                                       "dns_01.command: is missing",
		"dns_01: {by: route53}":                                       "dns_01.by: must be none, rfc2136, acme_dns, http_request or command",
	} {
		text := "profiles: {tls: {backend: ca}}\nbackends: {ca: {type: upstream, " + settings + "}}\n"
		path := written(t, text)
		if _, err := config.Load(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
}

// TestUpstreamFiles: check looks at what serve will need.
func TestUpstreamFiles(t *testing.T) {
	t.Parallel()
	text := `
profiles: {tls: {backend: ca}}
backends:
  ca: {type: upstream, url: "https://acme.example/dir", roots_file: /nowhere/r, ca_file: /nowhere/c, passphrase_file: /nowhere/p,
    external_account: {key_id: k, hmac_key_file: /nowhere/h}, http_01: {webroot: /nowhere/w},
    dns_01: {by: rfc2136, server: "ns.example:53", key_name: k, key_file: /nowhere/k}}
`
	path := written(t, text)
	err := wantMissing(t, path, "roots_file", "ca_file", "passphrase_file", "external_account.hmac_key_file", "dns_01.key_file")
	if err == nil || !strings.Contains(err.Error(), "backends.ca.http_01.webroot: is no folder") {
		t.Errorf("webroot: %v", err)
	}
}
