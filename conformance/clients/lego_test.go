//go:build clients

package clients

import (
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// newLego4 is the lego that Debian ships. Its command line cannot change, roll over or
// deactivate an account, and it knows neither addresses nor profiles.
func newLego4(t *testing.T, st setup) client {
	program := find(t, "lego")
	r := st.runner(append(updateKeyFor("RFC2136", st), "LEGO_CA_CERTIFICATES="+st.server.TLSRootPEM)...)
	prove := map[string][]string{
		http01:    {"--http", "--http.port", st.httpAddress()},
		tlsalpn01: {"--tls", "--tls.port", st.tlsAddress()},
		dns01:     {"--dns", "rfc2136", "--dns.disable-cp", "--dns.resolvers", st.server.Names.address},
	}[st.challenge]
	lego := func(t *testing.T, names []string, command ...string) {
		t.Helper()
		args := slices.Concat(domainFlags("--domains", names), prove, []string{"--server", st.directory,
			"--path", st.path("lego"), "--accept-tos", "--email", firstEmail})
		if st.binding.kid != "" {
			args = append(args, "--eab", "--kid", st.binding.kid, "--hmac", st.binding.hmac)
		}
		r.run(t, program, append(args, command...)...)
	}
	return client{
		issue: func(t *testing.T, names []string) { lego(t, names, "run") },
		renew: func(t *testing.T, names []string) { lego(t, names, "renew", "--days", "9999", "--no-random-sleep") },
		files: func(t *testing.T, names []string) (string, string) {
			return st.path("lego", "certificates", names[0]+".crt"), st.path("lego", "certificates", names[0]+".key")
		},
		revoke: func(t *testing.T, names []string) { lego(t, names[:1], "revoke") },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, glob(t, st.path("lego", "accounts", "*", firstEmail, "keys", "*.key")))
		},
	}
}

// updateKeyFor is the environment that tells lego's provider for dynamic DNS updates
// where to send them and how to sign. Its propagation check is turned off: it asks
// name servers on port 53 only.
func updateKeyFor(prefix string, st setup) []string {
	return []string{
		prefix + "_NAMESERVER=" + st.server.Names.address, prefix + "_TSIG_KEY=" + tsigName,
		prefix + "_TSIG_ALGORITHM=hmac-sha256.", prefix + "_TSIG_SECRET=" + tsigSecret,
		prefix + "_SEQUENCE_INTERVAL=1", prefix + "_POLLING_INTERVAL=1",
	}
}

// newLego5 is lego's current major version, which no distribution ships yet. It can
// change the account's key, but neither its contact nor deactivate it.
func newLego5(t *testing.T, st setup) client {
	program := lego5(t)
	r := st.runner(append(updateKeyFor("DNSUPDATE", st), "LEGO_CA_CERTIFICATES="+st.server.TLSRootPEM)...)
	prove := map[string][]string{
		http01:    {"--http", "--http.address", st.httpAddress()},
		tlsalpn01: {"--tls", "--tls.address", st.tlsAddress()},
		dns01: {"--dns", "dnsupdate", "--dns.resolvers", st.server.Names.address,
			"--dns.propagation.disable-ans", "--dns.propagation.disable-rns"},
	}[st.challenge]
	r.stdin = "y\n" // the key change asks whether it may go on, and no flag says so
	store := []string{"--server", st.directory, "--path", st.path("lego"), "--email", firstEmail}
	if st.binding.kid != "" {
		store = append(store, "--eab", "--eab.kid", st.binding.kid, "--eab.hmac", st.binding.hmac)
	}
	lego := func(t *testing.T, args ...string) {
		t.Helper()
		r.run(t, program, append(args, store...)...)
	}
	run := func(t *testing.T, names []string, more ...string) {
		t.Helper()
		args := []string{"run", "--cert.name", "test", "--accept-tos"}
		if st.profile != "" {
			args = append(args, "--profile", st.profile)
		}
		lego(t, slices.Concat(args, prove, more, domainFlags("--domains", names))...)
	}
	return client{
		issue: func(t *testing.T, names []string) { run(t, names) },
		renew: func(t *testing.T, names []string) { run(t, names, "--renew-force", "--no-random-sleep") },
		files: func(t *testing.T, _ []string) (string, string) {
			return st.path("lego", "certificates", "test.crt"), st.path("lego", "certificates", "test.key")
		},
		revoke: func(t *testing.T, _ []string) { lego(t, "certificates", "revoke", "--cert.name", "test") },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, glob(t, st.path("lego", "accounts", "*", firstEmail, "*.key")))
		},
		rollover: func(t *testing.T) { lego(t, "accounts", "keyrollover") },
	}
}

const (
	lego5Module  = "github.com/go-acme/lego/v5"
	lego5Version = "v5.2.2"
)

// lego5 builds lego in a module of its own, so that the providers of a hundred DNS
// services stay out of ours, and keeps the binary for the next run.
func lego5(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "acmebridge-clients")
	program := filepath.Join(folder, "lego-"+lego5Version)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	built := filepath.Join(module, "lego")
	for _, args := range [][]string{
		{"mod", "init", "lego5"},
		{"get", lego5Module + "@" + lego5Version},
		{"build", "-ldflags", "-s -w", "-o", built, lego5Module},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s %s: go %s: %v\n%s", lego5Module, lego5Version, args[0], err, out)
		}
	}
	// Another run may be doing the same: whole files change places, never parts of them.
	temporary := fmt.Sprintf("%s.%d", program, os.Getpid())
	if err := os.WriteFile(temporary, read(t, built), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, program); err != nil {
		t.Fatal(err)
	}
	return program
}
