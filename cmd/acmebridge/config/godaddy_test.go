package config_test

import (
	"strings"
	"testing"
)

const godaddyFile = `
profiles: {tls: {backend: ca, usages: [server_auth], key_types: [rsa], identifiers: {types: [dns]}}}
backends:
  ca: {type: godaddy, url: 'https://api.example.org', api_key_file: key, api_secret_file: value, shopper_id: 1234567, roots_file: roots.pem}
`

// TestGoDaddy: what a product cannot be is an error of the profile that wants it.
func TestGoDaddy(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, godaddyFile)
	if err != nil {
		t.Fatal(err)
	}
	if g := cfg.Backends["ca"].GoDaddy; g.Product != "DV_SSL" || g.ServerOnlyFrom != "2026-06-15" {
		t.Errorf("the defaults: %+v", g)
	}
	for want, change := range map[string][2]string{
		"profiles.tls.usages[1]: client_auth is not to be had from backend ca since 2026-01-01": {"[server_auth]", "[server_auth, client_auth]"},
		"profiles.tls.usages: must have server_auth":                                            {"[server_auth]", "[email_protection]"},
		"profiles.tls.key_types: must be [rsa]":                                                 {"[rsa]", "[rsa, p256]"},
		"profiles.tls.identifiers.types: must be [dns]":                                         {"[dns]", "[dns, ip]"},
		"profiles.tls.identifiers.wildcard: backends.ca.product is DV_SSL":                      {"types: [dns]", "types: [dns], wildcard: true"},
		"backends.ca.shopper_id: is missing":                                                    {"shopper_id: 1234567, ", ""},
		"backends.ca.roots_file: is missing":                                                    {", roots_file: roots.pem", ""},
		"backends.ca.api_secret_file: is missing":                                               {"api_secret_file: value, ", ""},
		"backends.ca.url: must begin with https://":                                             {"https://api", "http://api"},
		"backends.ca.reissue_revokes_after: must be in whole hours":                             {"type: godaddy,", "type: godaddy, reissue: true, reissue_revokes_after: 90m,"},
		"backends.ca.product: must be":                                                          {"type: godaddy,", "type: godaddy, product: OV_CS,"},
	} {
		file := strings.Replace(godaddyFile, change[0], change[1], 1)
		file = strings.Replace(file, "type: godaddy,", "type: godaddy, server_only_from: '2026-01-01',", 1)
		if _, err := load(t, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}
