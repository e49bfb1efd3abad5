//go:build clients

package clients

import "testing"

// certbot and lego get X9 certificates as docs/ecosystems/trust.md has it: through
// the configuration that is committed there, from an imitation of CertCentral that
// takes longer than the server holds an answer. Each order is paid for once, and
// what comes of it is an identity for both sides.
func TestTRUST(t *testing.T) {
	t.Parallel()
	s, journal := startEcosystem(t, ecosystem{
		config: "trust", directory: "trust", backend: "x9", path: "/services/v2",
		imitation:   []string{"digicert", "--tls-root", "DIR/x9-roots.pem", "--processing", "5s"},
		credentials: map[string]string{"api-key": "digicert-key"},
		roots:       "x9-roots.pem", api: "x9-roots.pem",
	})
	buy(t, s, journal, false, func(t *testing.T, c client, st setup, got issued, names []string) {
		verifyAsClient(t, got, s.IssuingRootPEM)
		checkIdentity(t, c, st, names)
		revoke(t, c, journal, got, names)
	})
	t.Run("gave up and came back with another key", func(t *testing.T) { comeBack(t, s, journal, "first", "second", "rsa:2048") })
}

// checkIdentity asks the command that a member would.
func checkIdentity(t *testing.T, c client, st setup, names []string, more ...string) {
	t.Helper()
	chainFile, keyFile := c.files(t, names)
	st.runner().run(t, acmebridge(t), append([]string{"identity", "check", keyFile, chainFile, "--root", st.server.IssuingRootPEM, "--dns", names[0]}, more...)...)
}

// The same from GlobalSign and from GoDaddy, for servers alone, with the RSA keys
// that these want.
func TestTRUSTServers(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]ecosystem{
		"globalsign": {
			config: "trust-globalsign", directory: "trust", backend: "atlas", path: "/v2",
			imitation:   []string{"globalsign", "--folder", "DIR/atlas", "--processing", "1s"},
			credentials: map[string]string{"atlas/api-key": "hvca-key", "atlas/api-secret": "hvca-secret"},
			roots:       "atlas/roots.pem", api: "atlas/tls-root.pem",
		},
		"godaddy": {
			config: "trust-godaddy", directory: "trust", backend: "daddy",
			imitation:   []string{"godaddy", "--tls-root", "DIR/daddy/roots.pem", "--processing", "1s"},
			credentials: map[string]string{"daddy/api-key": "godaddy-key", "daddy/api-secret": "godaddy-secret"},
			roots:       "daddy/roots.pem", api: "daddy/roots.pem",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, journal := startEcosystem(t, e)
			buy(t, s, journal, true, func(t *testing.T, c client, st setup, _ issued, names []string) {
				checkIdentity(t, c, st, names, "--server")
			})
		})
	}
}
