//go:build clients

package clients

import (
	"crypto"
	"flag"
	"strconv"
	"strings"
	"testing"
)

// acmesh is for who has acme.sh. No package has it and it is no Go module, so what
// everybody runs does without.
var acmesh = flag.String("acmesh", "", "path of acme.sh, with its folder dnsapi beside it: run it too")

// newAcmeSh is the shell script with its own answers to challenges: files for http-01,
// openssl's server for tls-alpn-01, nsupdate for dns-01. It cannot change account keys.
// When the first name is an address it puts an organization into the CSR, which the
// server refuses for the same reason; so the address is the second.
func newAcmeSh(t *testing.T, st setup) client {
	find(t, "nsupdate")
	host, dnsPort, _ := strings.Cut(st.server.Names.address, ":")
	r := st.runner("NSUPDATE_SERVER="+host, "NSUPDATE_SERVER_PORT="+dnsPort, "NSUPDATE_ZONE="+strings.TrimSuffix(zone, "."), "NSUPDATE_KEY="+st.tsigKey(t))
	run := func(t *testing.T, args ...string) {
		t.Helper()
		r.run(t, find(t, "sh"), append([]string{*acmesh, "--home", st.path("acmesh"), "--server", st.directory,
			"--ca-bundle", st.server.TLSRootPEM, "--no-color"}, args...)...)
	}
	prove := map[string][]string{
		tlsalpn01: {"--alpn", "--tlsport", strconv.Itoa(st.server.TLSPort), "--local-address", "127.0.0.1"},
		dns01:     {"--dns", "dns_nsupdate", "--dnssleep", "1"}, // otherwise it asks public resolvers first
	}[st.challenge]
	if st.challenge == http01 {
		prove = []string{"--webroot", st.path("site")}
		st.serveSite(t, st.path("site"))
	}
	if st.profile != "" {
		// Its CSR asks for serverAuth and clientAuth unless told otherwise, and the server
		// refuses what the profile does not grant (R8555-7.4F-5).
		prove = append(prove, "--cert-profile", st.profile, "--extended-key-usage", "serverAuth")
	}
	return client{
		issue: func(t *testing.T, names []string) {
			register := []string{"--register-account", "--email", firstEmail}
			if st.binding.kid != "" {
				register = append(register, "--eab-kid", st.binding.kid, "--eab-hmac-key", st.binding.hmac)
			}
			run(t, register...)
			run(t, append(append([]string{"--issue"}, domainFlags("--domain", names)...), prove...)...)
		},
		renew: func(t *testing.T, names []string) { run(t, "--renew", "--force", "--ecc", "--domain", names[0]) },
		files: func(t *testing.T, names []string) (string, string) {
			folder := st.path("acmesh", names[0]+"_ecc")
			return folder + "/fullchain.cer", folder + "/" + names[0] + ".key"
		},
		revoke: func(t *testing.T, names []string) { run(t, "--revoke", "--ecc", "--domain", names[0]) },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, below(t, st.path("acmesh", "ca"), "account.key"))
		},
		updateContact: func(t *testing.T, email string) { run(t, "--update-account", "--email", email) },
		deactivate:    func(t *testing.T) { run(t, "--deactivate-account") },
	}
}
