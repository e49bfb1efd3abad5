package config_test

import (
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

const globalsignFile = `
profiles: {tls: {backend: ca, usages: [server_auth]}}
backends:
  ca:
    type: globalsign
    url: https://ca.example.org/v2
    client_cert_file: client.pem
    client_key_file: client-key.pem
    api_key_file: key
    server_only_from: '2026-03-15'
    roots_file: roots.pem
`

// load reads a configuration from a file of its own.
func load(t *testing.T, file string, environ ...string) (*config.Config, error) {
	t.Helper()
	path := written(t, file)
	return config.Load(path, environ)
}

func TestGlobalSign(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, globalsignFile, "ACMEBRIDGE_BACKENDS_CA_API_SECRET=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	g := cfg.Backends["ca"].GlobalSign
	if s, err := g.APISecret(); err != nil || string(s.Reveal()) != "hunter2" {
		t.Errorf("the secret: %v", err)
	}
	if day, err := config.Day(g.ServerOnlyFrom); err != nil || day.Unix() != 1773532800 {
		t.Errorf("the day: %s, %v", day, err)
	}
	if warned := strings.Join(cfg.Warnings(), "\n"); !strings.Contains(warned, "ACMEBRIDGE_BACKENDS_CA_API_SECRET holds a secret") {
		t.Errorf("warnings: %s", warned)
	}
	var b strings.Builder
	if err := cfg.Print(&b); err != nil || strings.Contains(b.String(), "hunter2") {
		t.Errorf("printed: %v\n%s", err, b.String())
	}
}

// TestGlobalSignCutOff: a profile that promises what the CA has stopped to give is
// found before the first order; one that it still gives is not.
func TestGlobalSignCutOff(t *testing.T) {
	t.Parallel()
	both := strings.Replace(globalsignFile, "[server_auth]", "[server_auth, client_auth]", 1)
	const secret = "ACMEBRIDGE_BACKENDS_CA_API_SECRET=hunter2"
	if _, err := load(t, both, secret); err == nil || !strings.Contains(err.Error(), "profiles.tls.usages[1]: client_auth is not to be had from backend ca since 2026-03-15") {
		t.Errorf("after the cut-off: %v", err)
	}
	if _, err := load(t, strings.Replace(both, "2026-03-15", "9999-01-01", 1), secret); err != nil {
		t.Errorf("before the cut-off: %v", err)
	}
}

// TestGlobalSignMissing: each thing that is missing or wrong has its own line.
func TestGlobalSignMissing(t *testing.T) {
	t.Parallel()
	_, err := load(t, "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: globalsign, url: 'https://ca.example.org/v2', server_only_from: soon, domains: ['*.example.org']}\n")
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{
		"ca.api_key_file: is missing; or give the API key in the variable ACMEBRIDGE_BACKENDS_CA_API_KEY", "ca.api_secret_file: is missing", "ca.client_cert_file: is missing", "ca.client_key_file: is missing",
		"ca.server_only_from: must be a day", "ca.domains[0]: must be a domain", "ca.roots_file: is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if _, err := load(t, "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: globalsign, url: 'http://ca.example.org/v2'}\n"); err == nil || !strings.Contains(err.Error(), "ca.url: must begin with https://") {
		t.Errorf("in the clear: %v", err)
	}
}
