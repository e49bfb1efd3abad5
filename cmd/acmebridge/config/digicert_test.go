package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

const digicertFile = `
profiles: {x9: {backend: ca}}
directories: {default: {profiles: [x9]}}
backends:
  ca:
    type: digicert
    url: http://127.0.0.1:8841/services/v2
    allow: [10.1.0.0/16]
    organization_id: 117
    roots_file: roots.pem
    custom_fields: [3=TRUST]
`

func TestDigiCert(t *testing.T) {
	t.Parallel()
	path := written(t, digicertFile)
	cfg, err := config.Load(path, []string{"ACMEBRIDGE_BACKENDS_CA_KEY=hunter2", "ACMEBRIDGE_BACKENDS_CA_UNVALIDATED_DOMAINS=true"})
	if err != nil {
		t.Fatal(err)
	}
	d := cfg.Backends["ca"].DigiCert
	if want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.1/32")}; !slices.Equal(d.Opened(), want) {
		t.Errorf("open are %v, want %v", d.Opened(), want)
	}
	if k, err := d.Key(); err != nil || string(k.Reveal()) != "hunter2" || d.Product != "x9_pki" {
		t.Errorf("key: %v, product %s", err, d.Product)
	}
	if id, value, ok := config.CustomField(d.CustomFields[0]); !ok || id != 3 || value != "TRUST" {
		t.Errorf("field %d is %q, %t", id, value, ok)
	}
	warned := strings.Join(cfg.Warnings(), "\n")
	for _, w := range []string{"ACMEBRIDGE_BACKENDS_CA_KEY holds a secret", "backends.ca.url is spoken with in the clear", "backends.ca.unvalidated_domains is set"} {
		if !strings.Contains(warned, w) {
			t.Errorf("no warning %q among\n%s", w, warned)
		}
	}
	var b strings.Builder
	if err := cfg.Print(&b); err != nil || strings.Contains(b.String(), "hunter2") {
		t.Errorf("printed: %v\n%s", err, b.String())
	}
}

// TestDigiCertMissing: each thing that is missing or wrong has its own line.
func TestDigiCertMissing(t *testing.T) {
	t.Parallel()
	file := "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: digicert, url: 'http://example.org/services/v2', order_validity: 36h, custom_fields: [TRUST], domains: ['*.example.org']}\n"
	path := written(t, file)
	_, err := config.Load(path, nil)
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{
		"ca.url: must begin with https://", "ca.key_file: is missing; or give the API key in the variable ACMEBRIDGE_BACKENDS_CA_KEY",
		"ca.organization_id: is missing", "ca.order_validity: must be whole days", "ca.custom_fields[0]: must be the number", "ca.domains[0]: must be a domain", "ca.roots_file: is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

// TestDigiCertPublic: a product other than X9 has no certificates for clients from
// a day on, and none for clients alone.
func TestDigiCertPublic(t *testing.T) {
	t.Parallel()
	for product, wants := range map[string][]string{
		"ssl_basic": {"profiles.both.usages[1]: client_auth is not to be had from backend ca since 2020-01-01", "profiles.client.usages: must have server_auth"},
		"x9_pki":    nil,
	} {
		file := "profiles: {both: {backend: ca, usages: [server_auth, client_auth]}, client: {backend: ca, usages: [client_auth]}}\n" +
			"backends:\n  ca: {type: digicert, url: soon, product: " + product + ", server_only_from: '2020-01-01'}\n"
		_, err := config.Load(written(t, file), nil)
		if err == nil {
			t.Fatal("it is accepted") // its URL is wrong
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in:\n%v", product, want, err)
			}
		}
		if wants == nil && strings.Contains(err.Error(), ".usages") {
			t.Errorf("%s: %v", product, err)
		}
	}
}

// TestDigiCertFiles: check looks at what serve will need.
func TestDigiCertFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := strings.ReplaceAll(digicertFile, "roots.pem", dir+"/roots.pem") + "    ca_file: " + dir + "/tls.pem\n    key_file: " + dir + "/key\n"
	path := written(t, file)
	_ = wantMissing(t, path, "key_file", "roots_file", "ca_file")
	wantWhole(t, path, dir, "roots.pem", "tls.pem", "key")
}
