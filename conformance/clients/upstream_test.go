//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
)

// certbot and lego get certificates of a Pebble through acmebridge, as docs/upstream.md
// has it: through the configuration that is committed there. Each name is proved twice,
// by the client to acmebridge and by acmebridge to Pebble, which refuses every tenth
// nonce. -server changes nothing here.
func TestUpstream(t *testing.T) {
	t.Parallel()
	for by, settings := range map[string]func(*nameServer) []string{
		"http-01": func(*nameServer) []string { return nil },
		"dns-01": func(names *nameServer) []string {
			return []string{
				"ACMEBRIDGE_BACKENDS_CA_DNS_01_BY=rfc2136", "ACMEBRIDGE_BACKENDS_CA_DNS_01_SERVER=" + names.address,
				"ACMEBRIDGE_BACKENDS_CA_DNS_01_ZONE=" + strings.TrimSuffix(zone, "."),
				"ACMEBRIDGE_BACKENDS_CA_DNS_01_KEY_NAME=" + tsigName, "ACMEBRIDGE_BACKENDS_CA_DNS_01_KEY_FILE=tsig",
			}
		},
	} {
		t.Run("proved by "+by, func(t *testing.T) {
			t.Parallel()
			s := startUpstream(t, settings)
			for name, client := range map[string]func(*testing.T, setup) client{"certbot": newCertbot, "lego4": newLego4} {
				t.Run(name, func(t *testing.T) {
					names := []string{name + ".clients.test", "www." + name + ".clients.test"}
					st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
					c := client(t, st)
					changes, _ := s.Names.updated()
					c.issue(t, names)
					got := load(t, c, names)
					got.check(t, s.IssuingRootPEM, names)
					if !strings.Contains(got.leaf.Issuer.CommonName, "Pebble") {
						t.Errorf("the issuer is %s", got.leaf.Issuer)
					}
					after, left := s.Names.updated()
					if (after != changes) != (by == "dns-01") || len(left) > 0 {
						t.Errorf("%d records of the name server were changed, and %v are left", after-changes, left)
					}
					c.revoke(t, names)
					s.Revoked(t, got)
				})
			}
		})
	}
}

// startUpstream starts a Pebble that wants to know whose account it is, and the server
// in front of it. Where they listen, and what lets the names of one machine be proved,
// comes from the environment.
func startUpstream(t *testing.T, settings func(*nameServer) []string) server {
	t.Helper()
	ca, dir := t.TempDir(), t.TempDir()
	caRoot, certFile, keyFile := newTLSIdentity(t, ca)
	names, caHTTP := startDNS(t), testport.Port(t)
	api, management := testport.Address(t), testport.Address(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management, "certificate": certFile, "privateKey": keyFile,
		"httpPort": caHTTP, "tlsPort": testport.Port(t), "keyAlgorithm": "ecdsa",
		"externalAccountBindingRequired": true,
		"profiles":                       map[string]any{"default": map[string]any{"description": "ninety days", "validityPeriod": 90 * 86400}},
		"externalAccountMACKeys":         map[string]string{pebbleEAB.kid: pebbleEAB.hmac},
	}})
	if err != nil {
		t.Fatal(err)
	}
	caEnded := startProcess(t, ca, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=10"}, built(t, "github.com/letsencrypt/pebble/v2/cmd/pebble"),
		"-config", write(t, filepath.Join(ca, "pebble.json"), string(config)), "-dnsserver", names.address)
	h := httpClient(t, caRoot)
	status := fmt.Sprintf("https://localhost:%d", port(t, management))
	directory := fmt.Sprintf("https://localhost:%d/dir", port(t, api))
	ready(t, caEnded, h, directory)
	ready(t, caEnded, h, status+"/roots/0")

	roots := write(t, filepath.Join(dir, "ca-roots.pem"), string(get(t, h, status+"/roots/0")))
	write(t, filepath.Join(dir, "ca-tls.pem"), string(read(t, caRoot)))
	write(t, filepath.Join(dir, "account-passphrase"), "a passphrase")
	write(t, filepath.Join(dir, "ca-hmac-key"), pebbleEAB.hmac)
	write(t, filepath.Join(dir, "tsig"), tsigSecret)
	b := startBridge(t, dir, "upstream", "web", append([]string{
		"ACMEBRIDGE_BACKENDS_CA_URL=" + directory, fmt.Sprintf("ACMEBRIDGE_BACKENDS_CA_HTTP_01_LISTEN=127.0.0.1:%d", caHTTP),
		"ACMEBRIDGE_VALIDATION_RESOLVERS=" + names.address,
	}, settings(names)...)...)
	b.operate(t, "member", "create", "web-1", "--identifier", ".clients.test")
	s := b.serve("web-1", roots, names)
	s.Revoked = func(t *testing.T, cert issued) {
		t.Helper()
		eventually(t, patience, "the revocation at the CA", func() bool {
			resp, err := h.Get(status + "/cert-status-by-serial/" + cert.leaf.SerialNumber.Text(16))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var said struct{ Status string }
			return json.NewDecoder(resp.Body).Decode(&said) == nil && said.Status == "Revoked"
		})
	}
	return s
}
