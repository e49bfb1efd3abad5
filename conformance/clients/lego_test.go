//go:build clients

package clients

import (
	"crypto"
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
	if st.rsa {
		prove = append(prove, "--key-type", "rsa2048")
	}
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
	program := build(t, "github.com/go-acme/lego/v5", "v5.2.2", "github.com/go-acme/lego/v5")
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
		replaces: true,
	}
}
