package personas_test

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/pebbletest"
	"acmebridge/conformance/personas"
	"acmebridge/conformance/suiteflags"
)

// fromCommandLine are the flags of go test; package flag offers no later moment to
// add them than this.
var fromCommandLine = addFlags(flag.CommandLine)

// options are what an outsider can say on the command line.
type options struct {
	*suiteflags.Flags
	email string
}

func addFlags(set *flag.FlagSet) *options {
	o := &options{Flags: suiteflags.Add(set)}
	set.StringVar(&o.email, "email", "", "address of the accounts")
	return o
}

// config turns the flags into what Run takes.
func (o *options) config() (personas.Config, error) {
	v, err := o.Read()
	cfg := personas.Config{DirectoryURL: o.Directory, HTTP01Addr: o.HTTP01, NameSuffix: o.Suffix, Email: o.email, RootCAs: v.RootCAs, Differences: v.Differences}
	if v.NewKey != nil {
		cfg.ExternalAccounts = &personas.ExternalAccounts{DirectoryURL: o.ExternalDirectory, NewKey: v.NewKey}
	}
	return cfg, err
}

// TestServer visits the server named by the flags, or Pebble when none is. Pebble is
// what others test their clients against, so a persona that is not content with it
// is more likely wrong than right; what remains is listed with its reason.
func TestServer(t *testing.T) {
	cfg, err := fromCommandLine.config()
	if err != nil {
		t.Fatal(err)
	}
	if fromCommandLine.Directory == "" {
		cfg = pebble(t)
	}
	personas.Run(t, cfg)
}

func pebble(t *testing.T) personas.Config {
	bound, lines := map[string]string{}, strings.Builder{}
	for i := range 40 {
		kid, secret := fmt.Sprintf("kid-%02d", i), base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "external account key number %09d", i))
		bound[kid] = secret
		fmt.Fprintln(&lines, kid, secret)
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
		ExternalAccounts: &personas.ExternalAccounts{DirectoryURL: external.DirectoryURL, NewKey: suiteflags.HandOut(lines.String())},
		NewClock:         func() personas.Clock { return personas.Hasty(time.Second) },
		Differences:      pebbleDifferences(),
	}
}

// TestCommandLine: what an outsider says gets to where it belongs.
func TestCommandLine(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("kid-1 b25l\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	o := addFlags(set)
	if err := set.Parse([]string{"-directory", "https://ca.example/directory", "-suffix", "s.example", "-email", "a@b.example", "-http01", "127.0.0.1:1",
		"-eab-directory", "https://ca.example/eab", "-eab-keys", keys}); err != nil {
		t.Fatal(err)
	}
	cfg, err := o.config()
	if err != nil || cfg.DirectoryURL != "https://ca.example/directory" || cfg.NameSuffix != "s.example" || cfg.Email != "a@b.example" ||
		cfg.HTTP01Addr != "127.0.0.1:1" || cfg.ExternalAccounts.DirectoryURL != "https://ca.example/eab" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if kid, secret, err := cfg.ExternalAccounts.NewKey(); kid != "kid-1" || string(secret) != "one" || err != nil {
		t.Errorf("the key is %q %q, %v", kid, secret, err)
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
