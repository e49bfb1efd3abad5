package config_test

import (
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

const xroadFile = `
directories: {xroad: {external_account: required, profiles: [auth]}}
profiles: {auth: {backend: local, dates: upper_bound, lenient_replaces: true, authorization: both, xroad: {usage: auth}}}
`

func TestOCSPSource(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want, refused string }{
		"nothing said":            {"", "database", ""},
		"nobody to answer":        {"pki_listen: \"\"\n", "off", ""},
		"off":                     {"backends: {local: {type: localca, ocsp: {source: off}}}", "off", ""},
		"a list of our own":       {"backends: {local: {type: localca, ocsp: {source: crl}}}", "", "makes the revocation list of a localca itself"},
		"a signer of our own":     {"backends: {local: {type: localca, ocsp: {signer_key: a.pem}}}", "", "certifies its own signers"},
		"on without a listener":   {"pki_listen: \"\"\nbackends: {local: {type: localca, ocsp: {source: database}}}", "", "needs pki_listen"},
		"elsewhere":               {"backends: {local: {type: sectigo, username: u, password_file: p, profile: x, roots_file: r}}", "off", ""},
		"elsewhere, incomplete":   {"backends: {local: {type: sectigo, username: u, password_file: p, profile: x, roots_file: r, ocsp: {source: database, issuer: i, signer_cert: c}}}", "", "signer_key: is missing"},
		"elsewhere, without list": {"backends: {local: {type: sectigo, username: u, password_file: p, profile: x, roots_file: r, ocsp: {source: crl, issuer: i, signer_cert: c, signer_key: k}}}", "", "crl: is missing"},
		"elsewhere, with a list":  {"backends: {local: {type: sectigo, username: u, password_file: p, profile: x, roots_file: r, ocsp: {source: crl, issuer: i, signer_cert: c, signer_key: k, crl: l}}}", "crl", ""},
		"signers of an hour":      {"backends: {local: {type: localca, ocsp: {signer_validity: 119m}}}", "", "backends.local.ocsp.signer_validity: is 1h59m, and must be at least 2h: an answer is to be believed for ocsp.freshness (1h)"},
		"signers of two hours":    {"backends: {local: {type: localca, ocsp: {signer_validity: 2h}}}", "database", ""},
		"answers of a month":      {"ocsp: {freshness: 16d}\nbackends: {local: {type: localca}}", "", "must be at least 32d"},
		"a month, and no answers": {"ocsp: {freshness: 16d}\nbackends: {local: {type: localca, ocsp: {source: off}}}", "off", ""},
		"a source nobody has":     {"backends: {local: {type: localca, ocsp: {source: magic}}}", "", "must be off, database or crl"},
	} {
		c, err := config.Parse("file", []byte(tt.file), nil)
		switch {
		case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
			t.Errorf("%s: got %v, want %q", name, err, tt.refused)
		case tt.refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.refused == "" && c.Backends["local"].OCSP.Source != tt.want:
			t.Errorf("%s: source %q, want %q", name, c.Backends["local"].OCSP.Source, tt.want)
		}
	}
}

func TestOCSPWarnings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want string }{
		"as it should be": {xroadFile, ""},
		"off":             {xroadFile + "backends: {local: {type: localca, ocsp: {source: off}}}", "backends.local.ocsp.source is off"},
		"too old":         {xroadFile + "ocsp: {freshness: 2h}", "longer than the hour"},
		"not X-Road":      {"ocsp: {freshness: 2h}", ""},
	} {
		c, err := config.Parse("file", []byte(tt.file), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := strings.Join(c.Warnings(), "\n")
		if tt.want == "" && strings.Contains(found, "X-Road") || !strings.Contains(found, tt.want) {
			t.Errorf("%s: %s", name, found)
		}
	}
}
