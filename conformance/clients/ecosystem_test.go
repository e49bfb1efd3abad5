//go:build clients

package clients

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
)

// ecosystem is a page of docs/ecosystems whose CA is imitated.
type ecosystem struct {
	config    string // the committed configuration, "trust"
	directory string // of its members
	backend   string // in it
	path      string // of the API, below the address of the imitation
	// imitation is what follows "acmebridge standin"; DIR in it is the folder of
	// the server.
	imitation []string
	// credentials are files of the server, by name. The imitation writes those with
	// the roots: roots are of what it issues, api of itself.
	credentials map[string]string
	roots, api  string
}

// startEcosystem starts the imitation, and the server in front of it, with a member.
// Pebble has no part in it, so -server changes nothing here.
func startEcosystem(t *testing.T, e ecosystem) (s server, journal string) {
	t.Helper()
	ca, dir := t.TempDir(), t.TempDir()
	for name, content := range e.credentials {
		write(t, filepath.Join(dir, name), content)
	}
	address := testport.Address(t)
	journal = filepath.Join(ca, "orders.jsonl")
	arguments := []string{"standin"}
	for _, a := range e.imitation {
		arguments = append(arguments, strings.ReplaceAll(a, "DIR", dir))
	}
	roots, api := filepath.Join(dir, e.roots), filepath.Join(dir, e.api)
	ended := startProcess(t, ca, nil, acmebridge(t), append(arguments, "--listen", address, "--journal", journal)...)
	eventually(t, patience, "the imitation and its roots", func() bool {
		stillRuns(t, ended, "the imitation")
		raw, err := os.ReadFile(roots)
		if err != nil || bytes.Count(raw, []byte("-----END CERTIFICATE-----\n")) != 2 {
			return false
		}
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	})
	key := "ACMEBRIDGE_BACKENDS_" + strings.ToUpper(e.backend)
	b := startBridge(t, dir, e.config, e.directory, key+"_URL=https://"+address+e.path, key+"_CA_FILE="+api)
	b.operate(t, "member", "create", "vasp-17", "--identifier", ".vasp-17.localhost")
	return b.serve("vasp-17", roots, startDNS(t)), journal
}

// buy has certbot and lego order a certificate each, which is paid for once. inspect
// looks at what came of it.
func buy(t *testing.T, s server, journal string, rsa bool, inspect func(t *testing.T, c client, st setup, got issued, names []string)) {
	t.Helper()
	for name, client := range map[string]func(*testing.T, setup) client{"certbot": newCertbot, "lego4": newLego4} {
		t.Run(name, func(t *testing.T) {
			names := []string{name + ".vasp-17.localhost"}
			st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
			st.rsa = rsa
			c := client(t, st)
			c.issue(t, names)
			got := load(t, c, names)
			got.check(t, s.IssuingRootPEM, names)
			wantPurchases(t, journal, names[0], 1)
			inspect(t, c, st, got, names)
		})
	}
}

// revoke has a client revoke its certificate, and waits until the CA knows.
func revoke(t *testing.T, c client, journal string, got issued, names []string) {
	t.Helper()
	c.revoke(t, names)
	eventually(t, patience, "the revocation at the CA", func() bool {
		revoked := records(t, journal, "revocation", names[0])
		return len(revoked) == 1 && revoked[0].serial(t).Cmp(got.leaf.SerialNumber) == 0
	})
}

// comeBack has lego give up an order and come back, with the keys of those names,
// which openssl makes as newKey says. Both times together are paid for once.
func comeBack(t *testing.T, s server, journal, first, second string, newKey ...string) {
	t.Helper()
	const name = "patient.vasp-17.localhost"
	st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
	r := st.runner("LEGO_CA_CERTIFICATES=" + s.TLSRootPEM)
	lego := func(key string, more ...string) (string, error) {
		csr := st.path(key + ".csr")
		if _, err := os.Stat(csr); err != nil {
			r.run(t, find(t, "openssl"), append([]string{"req", "-new", "-nodes", "-keyout", st.path(key + ".key"), "-out", csr,
				"-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name, "-addext", "extendedKeyUsage=clientAuth,serverAuth", "-newkey"}, newKey...)...)
		}
		return r.try(t, find(t, "lego"), append([]string{"--server", st.directory, "--path", st.path("lego"), "--accept-tos", "--email", firstEmail,
			"--eab", "--kid", st.binding.kid, "--hmac", st.binding.hmac, "--http", "--http.port", st.httpAddress(), "--csr", csr}, more...)...)
	}
	if out, err := lego(first, "--cert.timeout", "1", "run"); err == nil || !strings.Contains(out, "time limit exceeded") {
		t.Fatalf("lego waited, or failed for another reason: %v\n%s", err, out)
	}
	if out, err := lego(second, "run"); err != nil {
		t.Fatalf("the second time: %v\n%s", err, out)
	}
	got := issued{chain: read(t, st.path("lego", "certificates", name+".crt")), key: read(t, st.path(second+".key"))}
	got.leaf = certificates(t, got.chain)[0]
	got.check(t, s.IssuingRootPEM, []string{name})
	wantPurchases(t, journal, name, 1)
}

// verifyAsClient asks openssl for the other direction of mutual TLS.
func verifyAsClient(t *testing.T, cert issued, rootFile string) {
	t.Helper()
	cert.verify(t, rootFile, "sslclient")
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
