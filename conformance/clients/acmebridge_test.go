//go:build clients

package clients

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
)

// acmebridgeConfig opens loopback for validation, which a real server keeps closed.
// The second directory requires a binding. The third takes every kind of name, offers
// every challenge and has a profile to choose; the fourth has that profile only, for
// clients that know no profiles.
const acmebridgeConfig = `
listen: 127.0.0.1:%d
base_url: https://localhost:%[1]d
data_dir: %s
pki_listen: 127.0.0.1:%d
validation:
  http_port: %d
  tls_alpn_port: %d
  resolvers: ["%s"]
  allow: [127.0.0.0/8, "::1/128"]
directories:
  default:
    path: /directory
    external_account: optional
    profiles: [tls]
  eab:
    path: /eab/directory
    external_account: required
    profiles: [tls]
  wide:
    path: /wide/directory
    profiles: [wide, short, brief]
  short:
    path: /short/directory
    profiles: [short]
profiles:
  tls: {backend: local, authorization: challenge, usages: [server_auth, client_auth], validity: 90d}
  wide:
    backend: local
    challenges: [http-01, dns-01, tls-alpn-01]
    identifiers: {types: [dns, ip], wildcard: true}
  short: {backend: local, challenges: [http-01, dns-01, tls-alpn-01], usages: [server_auth], validity: 6d}
  brief: {backend: local, challenges: [http-01, dns-01, tls-alpn-01], validity: 1m}
backends:
  local: {type: localca, backdate: 1s}
`

func startAcmebridge(t *testing.T) server {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	listen, pki, httpPort, tlsPort, names := testport.Port(t), testport.Port(t), testport.Port(t), testport.Port(t), startDNS(t)
	file := write(t, filepath.Join(dir, "acmebridge.yaml"),
		fmt.Sprintf(acmebridgeConfig, listen, data, pki, httpPort, tlsPort, names.address))

	program := filepath.Join(programs, "acmebridge")
	exited := startProcess(t, dir, nil, program, "serve", "--config", file)
	base, pkiBase := fmt.Sprintf("https://localhost:%d", listen), fmt.Sprintf("http://127.0.0.1:%d", pki)
	// The root of the server's certificate is written before it listens, and it also
	// listens for downloads only then; so its presence comes first.
	ready(t, exited, http.DefaultClient, pkiBase+"/roots/0.pem")
	tlsRoot := filepath.Join(data, "tls-root.pem")
	ready(t, exited, httpClient(t, tlsRoot), base+"/directory")

	return server{
		DirectoryURL:    base + "/directory",
		EABDirectoryURL: base + "/eab/directory",
		WideURL:         base + "/wide/directory",
		ShortURL:        base + "/short/directory",
		TLSRootPEM:      tlsRoot,
		IssuingRootPEM:  write(t, filepath.Join(dir, "issuing-roots.pem"), issuingRoots(t, pkiBase)),
		HTTPPort:        httpPort,
		TLSPort:         tlsPort,
		Names:           names,
		NewEAB:          func(t *testing.T) binding { return createEAB(t, dir, program, data) },
		Revoked:         revokedInCRL,
		Replaced:        func(t *testing.T, cert *x509.Certificate) { replaced(t, dir, program, data, cert) },
	}
}

// replaced asks the operator's command whether an order said that it replaces the
// certificate, by the id that RFC 9773, section 4.1, gives it.
func replaced(t *testing.T, dir, program, data string, cert *x509.Certificate) {
	t.Helper()
	var orders []struct{ Replaces string }
	out := runner{dir: dir}.run(t, program, "order", "list", "--data", data, "--json")
	if err := json.Unmarshal([]byte(out), &orders); err != nil {
		t.Fatalf("read the orders: %v\n%s", err, out)
	}
	serial := cert.SerialNumber.Bytes()
	if serial[0]&0x80 != 0 {
		serial = append([]byte{0}, serial...) // as DER writes a positive number
	}
	id := base64.RawURLEncoding.EncodeToString(cert.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(serial)
	if !slices.ContainsFunc(orders, func(o struct{ Replaces string }) bool { return o.Replaces == id }) {
		t.Errorf("no order replaces %s:\n%s", id, out)
	}
}

// issuingRoots collects the self-signed certificates of all chains that the server
// publishes; trusting an intermediate would hide a chain that lacks it.
func issuingRoots(t *testing.T, pkiBase string) string {
	t.Helper()
	var roots strings.Builder
	for n := 0; ; n++ {
		url := fmt.Sprintf("%s/roots/%d.pem", pkiBase, n)
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return roots.String()
		}
		for _, cert := range certificates(t, get(t, http.DefaultClient, url)) {
			if bytes.Equal(cert.RawSubject, cert.RawIssuer) {
				roots.WriteString(encode(cert))
			}
		}
	}
}

// createEAB asks the operator's command for an external account key.
func createEAB(t *testing.T, dir, program, data string) binding {
	t.Helper()
	out := runner{dir: dir}.run(t, program, "eab", "create", "--data", data,
		"--directory", "eab", "--member", "m1", "--profile", "tls", "--identifier", "*")
	b := parseEAB(out)
	if b.kid == "" || b.hmac == "" {
		t.Fatalf("no kid and hmac_key in the output:\n%s", out)
	}
	return b
}

func parseEAB(out string) (b binding) {
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "kid":
			b.kid = value
		case "hmac_key":
			b.hmac = value
		}
	}
	return b
}
