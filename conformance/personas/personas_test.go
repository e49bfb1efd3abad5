package personas_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/conformance/pebbletest"
	"acmebridge/conformance/personas"
)

// fromCommandLine are the flags of go test; package flag offers no later moment to
// add them than this.
var fromCommandLine = addFlags(flag.CommandLine)

// options are what an outsider can say on the command line.
type options struct{ directory, ca, http01, suffix, email, eabDirectory, eabKeys, differences string }

func addFlags(set *flag.FlagSet) *options {
	o := &options{}
	set.StringVar(&o.directory, "directory", "", "directory URL of the server to visit; empty: Pebble")
	set.StringVar(&o.ca, "ca", "", "PEM file with the roots of the server's TLS certificate")
	set.StringVar(&o.http01, "http01", "127.0.0.1:5002", "address to answer http-01 validations at")
	set.StringVar(&o.suffix, "suffix", "", "suffix of the names to order")
	set.StringVar(&o.email, "email", "", "address of the accounts")
	set.StringVar(&o.eabDirectory, "eab-directory", "", "directory URL that requires external account binding")
	set.StringVar(&o.eabKeys, "eab-keys", "", "file with one key per line: kid, space, base64url key")
	set.StringVar(&o.differences, "differences", "", `JSON file, "persona/story" to reason, of reviewed differences`)
	return o
}

// config turns the flags into what Run takes.
func (o *options) config() (personas.Config, error) {
	cfg := personas.Config{DirectoryURL: o.directory, HTTP01Addr: o.http01, NameSuffix: o.suffix, Email: o.email}
	if o.ca != "" {
		roots, err := os.ReadFile(o.ca)
		if err != nil {
			return cfg, fmt.Errorf("-ca: %w", err)
		}
		cfg.RootCAs = roots
	}
	if o.differences != "" {
		listed, err := os.ReadFile(o.differences)
		if err == nil {
			err = json.Unmarshal(listed, &cfg.Differences)
		}
		if err != nil {
			return cfg, fmt.Errorf("-differences %s: %w", o.differences, err)
		}
	}
	if o.eabDirectory == "" {
		return cfg, nil
	}
	lines, err := os.ReadFile(o.eabKeys)
	if err != nil {
		return cfg, fmt.Errorf("-eab-keys: %w", err)
	}
	var keys [][2]string
	for line := range strings.Lines(string(lines)) {
		if kid, key, found := strings.Cut(strings.TrimSpace(line), " "); found {
			keys = append(keys, [2]string{kid, strings.TrimSpace(key)})
		}
	}
	cfg.ExternalAccounts = &personas.ExternalAccounts{DirectoryURL: o.eabDirectory, NewKey: handOut(keys)}
	return cfg, nil
}

// handOut gives each key once.
func handOut(keys [][2]string) func() (string, []byte, error) {
	var mu sync.Mutex
	return func() (string, []byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(keys) == 0 {
			return "", nil, errors.New("no unused external account key is left")
		}
		k := keys[0]
		keys = keys[1:]
		secret, err := base64.RawURLEncoding.DecodeString(k[1])
		if err != nil {
			return "", nil, fmt.Errorf("key of %q: %w", k[0], err)
		}
		return k[0], secret, nil
	}
}

// TestServer visits the server named by the flags, or Pebble when none is. Pebble is
// what others test their clients against, so a persona that is not content with it
// is more likely wrong than right; what remains is listed with its reason.
func TestServer(t *testing.T) {
	cfg, err := fromCommandLine.config()
	if err != nil {
		t.Fatal(err)
	}
	if fromCommandLine.directory == "" {
		cfg = pebble(t)
	}
	personas.Run(t, cfg)
}

func pebble(t *testing.T) personas.Config {
	bound := map[string]string{}
	var keys [][2]string
	for i := range 40 {
		kid, secret := fmt.Sprintf("kid-%02d", i), base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "external account key number %09d", i))
		bound[kid] = secret
		keys = append(keys, [2]string{kid, secret})
	}
	server := pebbletest.Start(t, pebbletest.Config{AlternateRoots: 1})
	_, port, _ := strings.Cut(server.HTTP01Addr, ":")
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	external := pebbletest.Start(t, pebbletest.Config{ExternalAccounts: bound, HTTP01Port: number})
	return personas.Config{
		DirectoryURL: server.DirectoryURL, RootCAs: append(server.RootsPEM, external.RootsPEM...), HTTP01Listener: server.HTTP01Listener,
		ExternalAccounts: &personas.ExternalAccounts{DirectoryURL: external.DirectoryURL, NewKey: handOut(keys)},
		NewClock:         func() personas.Clock { return personas.Hasty(time.Second) },
		Differences:      pebbleDifferences(),
	}
}

// TestCommandLine goes the way of an outsider: everything comes from flags and files.
func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var lines bytes.Buffer
	fmt.Fprintf(&lines, "kid-1 %s\n\nkid-2 %s\n", base64.RawURLEncoding.EncodeToString([]byte("one")), "not base64!")
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	o := addFlags(set)
	if err := set.Parse([]string{"-directory", "https://ca.example/directory", "-ca", write("root.pem", []byte("PEM")), "-suffix", "s.example",
		"-email", "a@b.example", "-differences", write("d.json", []byte(`{"uacme/bind":"known"}`)), "-http01", "127.0.0.1:1", "-eab-directory", "https://ca.example/eab", "-eab-keys", write("keys", lines.Bytes())}); err != nil {
		t.Fatal(err)
	}
	cfg, err := o.config()
	if err != nil || cfg.DirectoryURL != "https://ca.example/directory" || string(cfg.RootCAs) != "PEM" || cfg.NameSuffix != "s.example" ||
		cfg.Email != "a@b.example" || cfg.Differences["uacme/bind"] != "known" || cfg.HTTP01Addr != "127.0.0.1:1" || cfg.ExternalAccounts.DirectoryURL != "https://ca.example/eab" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if kid, secret, err := cfg.ExternalAccounts.NewKey(); kid != "kid-1" || string(secret) != "one" || err != nil {
		t.Errorf("first key: %q %q %v", kid, secret, err)
	}
	for _, want := range []string{"kid-2", "no unused"} {
		if _, _, err := cfg.ExternalAccounts.NewKey(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	for _, bad := range [][]string{{"-ca", "absent.pem"}, {"-differences", "absent.json"}, {"-eab-directory", "https://x/", "-eab-keys", "absent"}} {
		set := flag.NewFlagSet("test", flag.ContinueOnError)
		o := addFlags(set)
		if err := set.Parse(bad); err != nil {
			t.Fatal(err)
		}
		if _, err := o.config(); err == nil || !strings.Contains(err.Error(), "absent") {
			t.Errorf("%q: %v, want an error that names the file", bad, err)
		}
	}
}

// TestBadConfig: what cannot work is said before anybody is visited.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]personas.Config{
		"https URL": {DirectoryURL: "http://ca.example/directory"},
		"NewKey":    {DirectoryURL: "https://ca.example/directory", ExternalAccounts: &personas.ExternalAccounts{DirectoryURL: "https://ca.example/eab"}},
		"listen":    {DirectoryURL: "https://ca.example/directory", HTTP01Addr: "256.0.0.1:80"},
	} {
		if _, err := personas.Play(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// TestStoriesAreNamed keeps names unique.
func TestStoriesAreNamed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range personas.All() {
		if p.Release == "" {
			t.Errorf("%s does not say of which release it is", p.Name)
		}
		for _, s := range p.Stories {
			name := p.Name + "/" + s.Name
			if seen[name] || s.Play == nil || strings.ContainsAny(name, " _"[:1]) {
				t.Errorf("story %q is incomplete, oddly named or there twice", name)
			}
			seen[name] = true
		}
	}
	if len(personas.All()) != 9 || len(seen) < 35 {
		t.Errorf("%d personas with %d stories, want 9 with 35 or more", len(personas.All()), len(seen))
	}
}
