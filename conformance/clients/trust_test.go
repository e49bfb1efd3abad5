//go:build clients

package clients

import (
	"path/filepath"
	"strings"
	"testing"
)

// certbot and lego get X9 certificates as docs/ecosystems/trust.md has it: through
// the configuration that is committed there, from an imitation of CertCentral that
// takes longer than the server holds an answer. Each order is paid for once, and
// what comes of it is an identity for both sides. Pebble has no part in it, so
// -server changes nothing here.
func TestTRUST(t *testing.T) {
	t.Parallel()
	s, journal := startTRUST(t)
	for name, client := range map[string]func(*testing.T, setup) client{"certbot": newCertbot, "lego4": newLego4} {
		t.Run(name, func(t *testing.T) {
			names := []string{name + ".vasp-17.localhost"}
			st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
			c := client(t, st)
			c.issue(t, names)
			got := load(t, c, names)
			got.check(t, s.IssuingRootPEM, names)
			verifyAsClient(t, got, s.IssuingRootPEM)
			wantPurchases(t, journal, names[0], 1)

			chainFile, keyFile := c.files(t, names)
			st.runner().run(t, filepath.Join(programs, "acmebridge"), "identity", "check", keyFile, chainFile, "--root", s.IssuingRootPEM, "--dns", names[0])

			c.revoke(t, names)
			eventually(t, patience, "the revocation at the CA", func() bool {
				revoked := records(t, journal, "revocation", names[0])
				return len(revoked) == 1 && revoked[0].serial(t).Cmp(got.leaf.SerialNumber) == 0
			})
		})
	}
	t.Run("gave up and came back with another key", func(t *testing.T) {
		const name = "patient.vasp-17.localhost"
		st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
		r := st.runner("LEGO_CA_CERTIFICATES=" + s.TLSRootPEM)
		lego := func(key string, more ...string) (string, error) {
			csr := st.path(key + ".csr")
			r.run(t, find(t, "openssl"), "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", st.path(key+".key"), "-out", csr,
				"-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name, "-addext", "extendedKeyUsage=clientAuth,serverAuth")
			return r.try(t, find(t, "lego"), append([]string{"--server", st.directory, "--path", st.path("lego"), "--accept-tos", "--email", firstEmail,
				"--eab", "--kid", st.binding.kid, "--hmac", st.binding.hmac, "--http", "--http.port", st.httpAddress(), "--csr", csr}, more...)...)
		}
		if out, err := lego("first", "--cert.timeout", "1", "run"); err == nil || !strings.Contains(out, "time limit exceeded") {
			t.Fatalf("lego waited, or failed for another reason: %v\n%s", err, out)
		}
		if out, err := lego("second", "run"); err != nil {
			t.Fatalf("with another key: %v\n%s", err, out)
		}
		got := issued{chain: read(t, st.path("lego", "certificates", name+".crt")), key: read(t, st.path("second.key"))}
		got.leaf = certificates(t, got.chain)[0]
		got.check(t, s.IssuingRootPEM, []string{name})
		wantPurchases(t, journal, name, 1)
	})
}

// startTRUST starts the imitation of DigiCert, and the server in front of it.
func startTRUST(t *testing.T) (s server, journal string) {
	t.Helper()
	return startEcosystem(t, ecosystem{
		config: "trust", backend: "x9", path: "/services/v2",
		imitation:   []string{"digicert", "--tls-root", "DIR/x9-roots.pem", "--processing", "5s"},
		credentials: map[string]string{"api-key": "digicert-key"},
		roots:       "x9-roots.pem", api: "x9-roots.pem",
	})
}

// The same from GlobalSign and from GoDaddy, for servers alone, with the RSA keys
// that these want.
func TestTRUSTServers(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]ecosystem{
		"globalsign": {
			config: "trust-globalsign", backend: "atlas", path: "/v2",
			imitation:   []string{"globalsign", "--folder", "DIR/atlas", "--processing", "1s"},
			credentials: map[string]string{"atlas/api-key": "hvca-key", "atlas/api-secret": "hvca-secret"},
			roots:       "atlas/roots.pem", api: "atlas/tls-root.pem",
		},
		"godaddy": {
			config: "trust-godaddy", backend: "daddy",
			imitation:   []string{"godaddy", "--tls-root", "DIR/daddy/roots.pem", "--processing", "1s"},
			credentials: map[string]string{"daddy/api-key": "godaddy-key", "daddy/api-secret": "godaddy-secret"},
			roots:       "daddy/roots.pem", api: "daddy/roots.pem",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, journal := startEcosystem(t, e)
			for name, client := range map[string]func(*testing.T, setup) client{"certbot": newCertbot, "lego4": newLego4} {
				t.Run(name, func(t *testing.T) {
					names := []string{name + ".vasp-17.localhost"}
					st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
					st.rsa = true
					c := client(t, st)
					c.issue(t, names)
					got := load(t, c, names)
					got.check(t, s.IssuingRootPEM, names)
					wantPurchases(t, journal, names[0], 1)
					chainFile, keyFile := c.files(t, names)
					st.runner().run(t, filepath.Join(programs, "acmebridge"), "identity", "check", "--server", keyFile, chainFile, "--root", s.IssuingRootPEM, "--dns", names[0])
				})
			}
		})
	}
}
