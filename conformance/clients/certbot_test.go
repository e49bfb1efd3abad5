//go:build clients

package clients

import (
	"crypto"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// newCertbot is certbot with its own web server (standalone), or with its plugin for
// dynamic DNS updates. Debian's knows no profiles and no addresses, and no certbot
// tls-alpn-01.
func newCertbot(t *testing.T, st setup) client {
	program := find(t, "certbot")
	r := st.runner("REQUESTS_CA_BUNDLE=" + st.server.TLSRootPEM)
	certbot := func(t *testing.T, args ...string) string {
		t.Helper()
		return r.run(t, program, append(args, "--non-interactive", "--server", st.directory,
			"--config-dir", st.path("config"), "--work-dir", st.path("work"), "--logs-dir", st.path("logs"))...)
	}
	prove := []string{"--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", strconv.Itoa(st.server.HTTPPort)}
	if st.challenge == dns01 {
		host, port, _ := strings.Cut(st.server.Names.address, ":")
		prove = []string{"--dns-rfc2136", "--dns-rfc2136-propagation-seconds", "0",
			"--dns-rfc2136-credentials", write(t, st.path("rfc2136.ini"), fmt.Sprintf(
				"dns_rfc2136_server = %s\ndns_rfc2136_port = %s\ndns_rfc2136_name = %s\ndns_rfc2136_secret = %s\ndns_rfc2136_algorithm = HMAC-SHA256\n",
				host, port, tsigName, tsigSecret))}
	}
	if st.rsa {
		prove = append(prove, "--key-type", "rsa")
	}
	showsContact := func(t *testing.T, email string) {
		t.Helper()
		if out := certbot(t, "show_account"); !strings.Contains(out, email) {
			t.Errorf("show_account lacks %s:\n%s", email, out)
		}
	}
	return client{
		issue: func(t *testing.T, names []string) {
			register := []string{"register", "--agree-tos", "--no-eff-email", "--email", firstEmail}
			if st.binding.kid != "" {
				register = append(register, "--eab-kid", st.binding.kid, "--eab-hmac-key", st.binding.hmac)
			}
			certbot(t, register...)
			showsContact(t, firstEmail)
			certbot(t, slices.Concat(domainFlags("--domain", names), []string{"certonly", "--cert-name", "test"}, prove)...)
		},
		renew: func(t *testing.T, _ []string) {
			certbot(t, "renew", "--force-renewal", "--no-random-sleep-on-renew")
		},
		files: func(t *testing.T, _ []string) (string, string) {
			return st.path("config", "live", "test", "fullchain.pem"), st.path("config", "live", "test", "privkey.pem")
		},
		revoke: func(t *testing.T, _ []string) {
			certbot(t, "revoke", "--cert-name", "test", "--reason", "superseded", "--no-delete-after-revoke")
		},
		accountKey: func(t *testing.T) crypto.Signer {
			t.Helper()
			var key jose.JSONWebKey
			file := below(t, st.path("config", "accounts"), "private_key.json")
			if err := key.UnmarshalJSON(read(t, file)); err != nil {
				t.Fatal(err)
			}
			return key.Key.(crypto.Signer)
		},
		updateContact: func(t *testing.T, email string) {
			certbot(t, "update_account", "--no-eff-email", "--email", email)
			showsContact(t, email)
		},
		deactivate: func(t *testing.T) { certbot(t, "unregister") },
	}
}

// domainFlags repeats a flag for each name.
func domainFlags(flag string, names []string) []string {
	var flags []string
	for _, name := range names {
		flags = append(flags, flag, name)
	}
	return flags
}
