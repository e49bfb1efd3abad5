//go:build clients

package clients

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
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

// startTRUST starts the imitation, and the server in front of it. Where they listen,
// and what lets the names of one machine be proved, comes from the environment, as it
// does on the page.
func startTRUST(t *testing.T) (s server, journal string) {
	t.Helper()
	program := filepath.Join(programs, "acmebridge")
	if _, err := os.Stat(program); err != nil {
		if err := goBuild(programs, "acmebridge/cmd/acmebridge"); err != nil {
			t.Fatal(err)
		}
	}
	ca, dir := t.TempDir(), t.TempDir()
	example := write(t, filepath.Join(dir, "trust.yaml"), string(read(t, "../../docs/ecosystems/trust.yaml")))
	api, listen, httpPort := testport.Address(t), testport.Port(t), testport.Port(t)
	journal = filepath.Join(ca, "orders.jsonl")
	roots := filepath.Join(dir, "x9-roots.pem")
	caEnded := startProcess(t, ca, nil, program, "standin", "digicert", "--listen", api, "--tls-root", roots, "--processing", "5s", "--journal", journal)
	eventually(t, patience, "the root of the imitation", func() bool {
		select {
		case <-caEnded:
			t.Fatal("the imitation ended before it listened")
		default:
		}
		raw, err := os.ReadFile(roots)
		return err == nil && bytes.Count(raw, []byte("-----END CERTIFICATE-----\n")) == 2
	})

	write(t, filepath.Join(dir, "api-key"), "digicert-key")
	env := []string{
		fmt.Sprintf("ACMEBRIDGE_LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("ACMEBRIDGE_BASE_URL=https://localhost:%d", listen),
		"ACMEBRIDGE_BACKENDS_X9_URL=https://" + api + "/services/v2", "ACMEBRIDGE_BACKENDS_X9_CA_FILE=" + roots,
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", httpPort), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128",
	}
	data := filepath.Join(dir, "trust-data")
	ended := startProcess(t, dir, env, program, "serve", "--config", example)
	tlsRoot := filepath.Join(data, "tls-root.pem")
	eventually(t, patience, "the root of the server", func() bool {
		select {
		case <-ended:
			t.Fatal("the server ended before it listened")
		default:
		}
		_, err := os.Stat(tlsRoot)
		return err == nil
	})
	directory := fmt.Sprintf("https://localhost:%d/trust/directory", listen)
	ready(t, ended, httpClient(t, tlsRoot), directory)

	operate := runner{dir: dir}
	operate.run(t, program, "member", "create", "vasp-17", "--data", data, "--identifier", ".vasp-17.localhost")
	return server{
		EABDirectoryURL: directory, TLSRootPEM: tlsRoot, IssuingRootPEM: roots, HTTPPort: httpPort, Names: startDNS(t),
		NewEAB: func(t *testing.T) binding {
			t.Helper()
			return parseEAB(operate.run(t, program, "eab", "create", "--data", data, "--directory", "trust", "--member", "vasp-17"))
		},
	}, journal
}
