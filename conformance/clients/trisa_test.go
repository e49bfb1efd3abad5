//go:build clients

package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/testport"
)

// patience is for processes on a busy machine; nothing here takes that long.
const patience = 60 * time.Second

// standinSubject is what TRISA's template 17 puts into every subject.
const standinSubject = "O=CipherTrace Inc,L=Menlo Park,ST=California,C=US"

// certbot and lego get TRISA certificates as docs/ecosystems/trisa.md has it: through
// the configuration that is committed there, from an imitation of Sectigo that takes
// longer than the server holds an answer. Each order is paid for once. Pebble has no
// part in it, so -server changes nothing here.
func TestTRISA(t *testing.T) {
	t.Parallel()
	s, journal := startTRISA(t)
	for name, client := range map[string]func(*testing.T, setup) client{"certbot": newCertbot, "lego4": newLego4} {
		t.Run(name, func(t *testing.T) {
			names := []string{name + ".vasp-17.localhost"}
			st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
			c := client(t, st)
			c.issue(t, names)
			got := load(t, c, names)
			got.check(t, s.IssuingRootPEM, names)
			verifyAsClient(t, got, s.IssuingRootPEM)
			if subject := got.leaf.Subject.String(); !strings.Contains(subject, "CipherTrace Inc") {
				t.Errorf("the subject is %s, not that of the template", subject)
			}
			wantPurchases(t, journal, names[0], 1)

			c.revoke(t, names)
			eventually(t, patience, "the revocation at the CA", func() bool {
				revoked := records(t, journal, "revocation", names[0])
				return len(revoked) == 1 && revoked[0].serial(t).Cmp(got.leaf.SerialNumber) == 0
			})
		})
	}
	t.Run("gave up and came back", func(t *testing.T) {
		const name = "patient.vasp-17.localhost"
		st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
		r := st.runner("LEGO_CA_CERTIFICATES=" + s.TLSRootPEM)
		csr := st.path("request.csr")
		r.run(t, find(t, "openssl"), "req", "-new", "-newkey", "rsa:4096", "-nodes", "-sha384", "-keyout", st.path("request.key"), "-out", csr,
			"-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name, "-addext", "extendedKeyUsage=clientAuth,serverAuth")
		lego := func(more ...string) (string, error) {
			return r.try(t, find(t, "lego"), append([]string{"--server", st.directory, "--path", st.path("lego"), "--accept-tos", "--email", firstEmail,
				"--eab", "--kid", st.binding.kid, "--hmac", st.binding.hmac, "--http", "--http.port", st.httpAddress(), "--csr", csr}, more...)...)
		}
		if out, err := lego("--cert.timeout", "1", "run"); err == nil || !strings.Contains(out, "time limit exceeded") {
			t.Fatalf("lego waited, or failed for another reason: %v\n%s", err, out)
		}
		if out, err := lego("run"); err != nil {
			t.Fatalf("with the same key again: %v\n%s", err, out)
		}
		got := issued{chain: read(t, st.path("lego", "certificates", name+".crt")), key: read(t, st.path("request.key"))}
		got.leaf = certificates(t, got.chain)[0]
		got.check(t, s.IssuingRootPEM, []string{name})
		wantPurchases(t, journal, name, 1)
	})
}

// startTRISA starts the imitation, and the server in front of it. Where they listen,
// and what lets the names of one machine be proved, comes from the environment, as it
// does on the page.
func startTRISA(t *testing.T) (s server, journal string) {
	t.Helper()
	program := filepath.Join(programs, "acmebridge")
	if _, err := os.Stat(program); err != nil {
		if err := goBuild(programs, "acmebridge/cmd/acmebridge"); err != nil {
			t.Fatal(err)
		}
	}
	ca, dir := t.TempDir(), t.TempDir()
	example := write(t, filepath.Join(dir, "trisa.yaml"), string(read(t, "../../docs/ecosystems/trisa.yaml")))
	api, listen, httpPort := testport.Address(t), testport.Port(t), testport.Port(t)
	journal = filepath.Join(ca, "purchases.jsonl")
	roots := filepath.Join(dir, "trisa-roots.pem")
	caEnded := startProcess(t, ca, nil, program, "standin", "sectigo", "--listen", api, "--tls-root", roots,
		"--created", "1s", "--processing", "3s", "--subject", standinSubject, "--journal", journal)
	eventually(t, patience, "the root of the imitation", func() bool {
		select {
		case <-caEnded:
			t.Fatal("the imitation ended before it listened")
		default:
		}
		raw, err := os.ReadFile(roots)
		return err == nil && bytes.HasSuffix(raw, []byte("-----END CERTIFICATE-----\n"))
	})

	write(t, filepath.Join(dir, "password"), "bridge-password")
	env := []string{
		fmt.Sprintf("ACMEBRIDGE_LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("ACMEBRIDGE_BASE_URL=https://localhost:%d", listen),
		"ACMEBRIDGE_BACKENDS_TRISA_URL=https://" + api, "ACMEBRIDGE_BACKENDS_TRISA_CA_FILE=" + roots,
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", httpPort), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128",
	}
	base, data := fmt.Sprintf("https://localhost:%d", listen), filepath.Join(dir, "trisa-data")
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
	directory := base + "/trisa/directory"
	ready(t, ended, httpClient(t, tlsRoot), directory)

	operate := runner{dir: dir}
	operate.run(t, program, "member", "create", "vasp-17", "--data", data, "--identifier", ".vasp-17.localhost")
	return server{
		EABDirectoryURL: directory, TLSRootPEM: tlsRoot, IssuingRootPEM: roots, HTTPPort: httpPort, Names: startDNS(t),
		NewEAB: func(t *testing.T) binding {
			t.Helper()
			return parseEAB(operate.run(t, program, "eab", "create", "--data", data, "--directory", "trisa", "--member", "vasp-17"))
		},
	}, journal
}

// verifyAsClient asks openssl for the other direction of mutual TLS.
func verifyAsClient(t *testing.T, cert issued, rootFile string) {
	t.Helper()
	dir := t.TempDir()
	runner{dir: dir}.run(t, find(t, "openssl"), "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", rootFile,
		"-untrusted", write(t, filepath.Join(dir, "chain.pem"), string(cert.chain)), write(t, filepath.Join(dir, "leaf.pem"), encode(cert.leaf)))
}

// record is a line of the imitation's journal.
type record struct {
	Kind, CommonName, SerialNumber string
}

func (r record) serial(t *testing.T) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(r.SerialNumber, 16)
	if !ok {
		t.Fatalf("the journal has a serial number %q", r.SerialNumber)
	}
	return n
}

func records(t *testing.T, journal, kind, name string) (found []record) {
	t.Helper()
	for line := range bytes.Lines(read(t, journal)) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // being written
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("read the journal: %v\n%s", err, line)
		}
		if r.Kind == kind && r.CommonName == name {
			found = append(found, r)
		}
	}
	return found
}

func wantPurchases(t *testing.T, journal, name string, want int) {
	t.Helper()
	if got := records(t, journal, "purchase", name); len(got) != want {
		t.Errorf("%d purchases for %s, want %d:\n%s", len(got), name, want, read(t, journal))
	}
}
