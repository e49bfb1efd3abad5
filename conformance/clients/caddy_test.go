//go:build clients

package clients

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
)

// Caddy is a web server that gets its certificates by itself, while it runs. Nothing
// asks it to: the test starts it and looks at what it shows to a browser.
func TestCaddy(t *testing.T) {
	t.Parallel()
	program := build(t, "github.com/caddyserver/caddy/v2", "v2.11.9", "github.com/caddyserver/caddy/v2/cmd/caddy")
	s := startServer(t)
	st := newSetup(t, s, s.WideURL, binding{})
	const bound, plain, brief, address = "bound.caddy.clients.test", "plain.caddy.clients.test", "brief.caddy.clients.test", "127.0.0.1"

	bind := s.NewEAB(t)
	eab := caddyIssuer(st, s.EABDirectoryURL, http01)
	eab["external_account"] = map[string]any{"key_id": bind.kid, "mac_key": bind.hmac}
	renewing := caddyIssuer(st, s.WideURL, tlsalpn01)
	renewing["profile"] = briefProfile
	config, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"storage": map[string]any{"module": "file_system", "root": st.path("caddy")},
		"apps": map[string]any{
			"http": map[string]any{
				"http_port": s.HTTPPort, "https_port": s.TLSPort,
				"servers": map[string]any{"site": map[string]any{
					"listen": []string{st.tlsAddress()}, "protocols": []string{"h1", "h2"},
					"automatic_https":         map[string]any{"disable_redirects": true},
					"tls_connection_policies": []any{map[string]any{"default_sni": address}},
					"routes": []any{map[string]any{
						"match":  []any{map[string]any{"host": []string{bound, plain, brief, address}}},
						"handle": []any{map[string]any{"handler": "static_response", "body": "here"}},
					}},
				}},
			},
			// Caddy has a CA of its own, unused here, whose root it would put into the machine's trust.
			"pki": map[string]any{"certificate_authorities": map[string]any{"local": map[string]any{"install_trust": false}}},
			"tls": map[string]any{
				"automation": map[string]any{
					"renew_interval": "1s",
					"policies": []any{
						caddyPolicy(eab, bound),
						withRatio(caddyPolicy(renewing, brief), 0.05),
						caddyPolicy(caddyIssuer(st, s.WideURL, tlsalpn01), plain, address),
					},
				},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := caddyRoots(t)
	t.Cleanup(func() {
		if after := caddyRoots(t); after != before {
			t.Errorf("Caddy put %d roots of its own into this machine's trust", after-before)
		}
	})
	startProcess(t, st.dir, []string{"HOME=" + st.dir}, program, "run", "--config", write(t, st.path("caddy.json"), string(config)))

	for name, way := range map[string]string{
		bound: "http-01 with a binding", plain: "tls-alpn-01", brief: "tls-alpn-01 and a profile", address: "tls-alpn-01 of an address",
	} {
		if !t.Run(way, func(t *testing.T) { st.shows(t, name, nil) }) {
			return // the others would wait for as long
		}
	}
	// R9773-4.2-2: servers put the window somewhere before the last third; Caddy by itself
	// would wait for the last twentieth. It does not name what it replaces.
	t.Run("renewal when the server says so", func(t *testing.T) {
		first := st.shows(t, brief, nil)
		second := st.shows(t, brief, first)
		life := first.NotAfter.Sub(first.NotBefore)
		if at := second.NotBefore.Sub(first.NotBefore); at > life*4/5 {
			t.Errorf("renewed %s into a life of %s, want in the window that the server names", at, life)
		}
	})
}

func caddyIssuer(st setup, directory, challenge string) map[string]any {
	return map[string]any{
		"module": "acme", "ca": directory, "email": firstEmail, "trusted_roots_pem_files": []string{st.server.TLSRootPEM},
		"challenges": map[string]any{
			"bind_host": "127.0.0.1",
			"http":      map[string]any{"disabled": challenge != http01, "alternate_port": st.server.HTTPPort},
			"tls-alpn":  map[string]any{"disabled": challenge != tlsalpn01, "alternate_port": st.server.TLSPort},
		},
	}
}

func caddyPolicy(issuer map[string]any, names ...string) map[string]any {
	return map[string]any{"subjects": names, "issuers": []any{issuer}}
}

// withRatio has Caddy wait, if it were for itself, until so much of the life is left.
func withRatio(policy map[string]any, ratio float64) map[string]any {
	policy["renewal_window_ratio"] = ratio
	return policy
}

// caddyRoots counts Caddy's own roots among those that this machine trusts.
func caddyRoots(t *testing.T) (n int) {
	t.Helper()
	for rest := read(t, systemBundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return n
		}
		root, err := x509.ParseCertificate(block.Bytes) // some that people trust cannot be read by everybody
		if err == nil && strings.HasPrefix(root.Subject.CommonName, "Caddy Local Authority") {
			n++
		}
	}
}
