package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

const sectigoFile = `
profiles: {tls: {backend: ca}}
backends:
  ca:
    type: sectigo
    url: http://127.0.0.1:8831
    allow: [10.1.0.0/16]
    username: bridge
    profile: CipherTrace EE
    roots_file: roots.pem
    balance_floor: 5
    batch: {size: 10, wait: 3s}
    max_validity: 396d
`

func TestSectigo(t *testing.T) {
	t.Parallel()
	path := written(t, sectigoFile)
	cfg, err := config.Load(path, []string{"ACMEBRIDGE_BACKENDS_CA_PASSWORD=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	s := cfg.Backends["ca"].Sectigo
	if s.Batch != (config.SectigoBatch{Size: 10, Wait: 3 * time.Second}) {
		t.Errorf("batch: %+v", s.Batch)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.1/32")}
	if !slices.Equal(s.Opened(), want) {
		t.Errorf("open are %v, want %v", s.Opened(), want)
	}
	if p, err := s.Password(); err != nil || string(p.Reveal()) != "hunter2" {
		t.Errorf("password: %v", err)
	}
	warned := strings.Join(cfg.Warnings(), "\n")
	for _, w := range []string{"ACMEBRIDGE_BACKENDS_CA_PASSWORD holds a secret", "backends.ca.url is spoken with in the clear"} {
		if !strings.Contains(warned, w) {
			t.Errorf("no warning %q among\n%s", w, warned)
		}
	}
	var b strings.Builder
	if err := cfg.Print(&b); err != nil || strings.Contains(b.String(), "hunter2") {
		t.Errorf("printed: %v\n%s", err, b.String())
	}
	for url, want := range map[string]int{"https://iot.sectigo.com": 1, "https://localhost:1": 3, "https://[::1]:1": 2} {
		s.URL = url
		if got := s.Opened(); len(got) != want {
			t.Errorf("%s opens %v", url, got)
		}
	}
}

// TestSectigoFiles: check looks at what serve will need.
func TestSectigoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := strings.ReplaceAll(sectigoFile, "roots.pem", dir+"/roots.pem") + "    ca_file: " + dir + "/tls.pem\n    password_file: " + dir + "/password\n"
	path := written(t, file)
	_ = wantMissing(t, path, "password_file", "roots_file", "ca_file")
	wantWhole(t, path, dir, "roots.pem", "tls.pem", "password")
	// SK-2: what serve refuses is not valid, whoever looks.
	if err := os.Chmod(filepath.Join(dir, "password"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadAndLook(path, nil); err == nil || !strings.Contains(err.Error(), "backends.ca.password_file: the file cannot be used: others can get at it: its mode is 0644") {
		t.Errorf("a password that everybody can read: %v", err)
	}
}

// TestSectigoValidity: who sets the validity himself shall know that it is in vain.
func TestSectigoValidity(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		sectigoFile: false,
		strings.Replace(sectigoFile, "backend: ca}", "backend: ca, validity: 30d}", 1):                                  true,
		"profiles: {tls: {backend: local, validity: 30d}}\nbackends: {local: {type: localca, passphrase_file: /run/p}}": false,
	} {
		var env []string
		if strings.Contains(file, "sectigo") {
			env = []string{"ACMEBRIDGE_BACKENDS_CA_PASSWORD=x"}
		}
		cfg, err := config.Parse("f", []byte(file), env)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(cfg.Warnings(), "\n"), "profiles.tls.validity has no effect"); got != want {
			t.Errorf("warned: %v, want %v, of\n%s", got, want, file)
		}
	}
}
