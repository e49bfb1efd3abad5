//go:build clients

package clients

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/testport"
)

const (
	ib1Member      = "https://directory.core.trust.ib1.org/m/827252"
	ib1Application = "https://directory.core.trust.ib1.org/a/883391"
	ib1Handle      = "883391.app.localhost"
	ib1Role        = "https://registry.core.trust.ib1.org/scheme/perseus/role/energy-data-provider"
)

// lego and certbot get certificates of an IB1 trust framework as docs/ecosystems/ib1.md
// has it, through the configuration that is committed there. Pebble has no part in it.
func TestIB1(t *testing.T) {
	t.Parallel()
	s, framework, eab := startIB1(t)
	root := func(tree string) string { return filepath.Join(framework, tree, "root.pem") }
	lego := func(st setup, name string) []string {
		return []string{"--server", st.directory, "--path", st.path("lego"), "--accept-tos", "--email", firstEmail, "--key-type", "ec256",
			"--eab", "--kid", st.binding.kid, "--hmac", st.binding.hmac, "--http", "--http.port", st.httpAddress(), "--domains", name}
	}
	t.Run("lego with the URL of the application", func(t *testing.T) {
		st := newSetup(t, s, s.EABDirectoryURL, eab(t, "ib1-client"))
		c, names := newLego5(t, st), []string{ib1Application}
		c.issue(t, names)
		first := load(t, c, names)
		wantApplication(t, first, root("client"), "sslclient")
		// It finds what it has ordered, so it does not order again before it is time.
		c.issue(t, names)
		if !load(t, c, names).leaf.Equal(first.leaf) {
			t.Error("lego renewed a certificate of a year at once")
		}
		c.renew(t, names)
		second := load(t, c, names)
		if second.leaf.Equal(first.leaf) {
			t.Error("lego did not renew")
		}
		wantApplication(t, second, root("client"), "sslclient")
		c.revoke(t, names)
	})
	t.Run("lego with the handle", func(t *testing.T) {
		st := newSetup(t, s, s.EABDirectoryURL, eab(t, "ib1-client"))
		r := st.runner("LEGO_CA_CERTIFICATES=" + s.TLSRootPEM)
		r.run(t, find(t, "lego"), append(lego(st, ib1Handle), "run")...)
		got := issued{chain: read(t, st.path("lego", "certificates", ib1Handle+".crt")), key: read(t, st.path("lego", "certificates", ib1Handle+".key"))}
		got.leaf = certificates(t, got.chain)[0]
		wantApplication(t, got, root("client"), "sslclient")
	})
	t.Run("certbot with a CSR", func(t *testing.T) {
		st := newSetup(t, s, s.EABDirectoryURL, eab(t, "ib1-signing"))
		r := st.runner("REQUESTS_CA_BUNDLE=" + s.TLSRootPEM)
		key, csr := st.path("signing.key"), st.path("signing.csr")
		r.run(t, find(t, "openssl"), "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
			"-subj", "/", "-addext", "subjectAltName=DNS:"+ib1Handle)
		for i := range 2 { // a renewal is the same again, from cron
			full := st.path(fmt.Sprintf("fullchain-%d.pem", i))
			r.run(t, find(t, "certbot"), "certonly", "--csr", csr, "--standalone", "--http-01-port", fmt.Sprint(s.HTTPPort), "--non-interactive", "--agree-tos", "--email", firstEmail,
				"--server", st.directory, "--eab-kid", st.binding.kid, "--eab-hmac-key", st.binding.hmac,
				"--config-dir", st.path("etc"), "--work-dir", st.path("work"), "--logs-dir", st.path("log"),
				"--cert-path", st.path(fmt.Sprintf("cert-%d.pem", i)), "--chain-path", st.path(fmt.Sprintf("chain-%d.pem", i)), "--fullchain-path", full)
			got := issued{chain: read(t, full), key: read(t, key)}
			got.leaf = certificates(t, got.chain)[0]
			wantApplication(t, got, root("signing"), "any")
			if len(got.leaf.ExtKeyUsage) != 0 {
				t.Errorf("extended usages %v", got.leaf.ExtKeyUsage)
			}
		}
	})
	t.Run("lego for a host", func(t *testing.T) {
		const host = "api.example-company.localhost"
		st := newSetup(t, s, s.EABDirectoryURL, eab(t, "ib1-server"))
		r := st.runner("LEGO_CA_CERTIFICATES=" + s.TLSRootPEM)
		r.run(t, find(t, "lego"), append(lego(st, host), "run")...)
		got := issued{chain: read(t, st.path("lego", "certificates", host+".crt")), key: read(t, st.path("lego", "certificates", host+".key"))}
		got.leaf = certificates(t, got.chain)[0]
		got.check(t, root("server"), []string{host})
		if life := got.leaf.NotAfter.Sub(got.leaf.NotBefore); life > 24*time.Hour {
			t.Errorf("a server certificate of %s", life)
		}
		if out, err := r.try(t, find(t, "lego"), append(lego(st, "other.localhost"), "run")...); err == nil || !strings.Contains(out, "rejectedIdentifier") {
			t.Errorf("a host that nobody registered: %v\n%s", err, out)
		}
	})
}

// startIB1 does the ceremonies, starts the server and fills the registry, as on the
// page. eab makes an external account key for a profile.
func startIB1(t *testing.T) (s server, framework string, eab func(*testing.T, string) binding) {
	t.Helper()
	dir := t.TempDir()
	passphrase := write(t, filepath.Join(dir, "passphrase"), "a passphrase for tests")
	framework = filepath.Join(dir, "framework")
	offline := runner{dir: dir}
	for i, tree := range []string{"client", "signing", "server"} {
		named := []string{"--framework", "Core Trust Framework", "--country", "GB", "--url", "http://pki.example.org"}
		if i > 0 {
			named = nil
		}
		where := []string{"--dir", framework, "--tree", tree, "--passphrase-file", passphrase}
		offline.run(t, acmebridge(t), append(append([]string{"ib1", "root", "create"}, where...), named...)...)
		offline.run(t, acmebridge(t), append([]string{"ib1", "issuer", "rotate"}, where...)...)
	}
	b := startBridge(t, dir, "ib1", "ib1", fmt.Sprintf("ACMEBRIDGE_PKI_LISTEN=127.0.0.1:%d", testport.Port(t)))
	b.operate(t, "member", "create", ib1Member, "--name", "Example Company Ltd", "--country", "GB", "--role", ib1Role,
		"--identifier", "api.example-company.localhost")
	b.operate(t, "application", "add", ib1Application, "--member", ib1Member, "--role", ib1Role,
		"--certificate", "client", "--certificate", "signing", "--certificate", "server", "--handle", ib1Handle)
	eab = func(t *testing.T, profile string) binding {
		t.Helper()
		return b.bind(t, ib1Member, "--application", ib1Application, "--profile", profile)
	}
	return b.serve(ib1Member, "", startDNS(t)), framework, eab
}

// wantApplication wants a certificate of the application, below that root alone, that
// openssl takes for that purpose.
func wantApplication(t *testing.T, got issued, rootFile, purpose string) {
	t.Helper()
	leaf := got.leaf
	if want := "CN=" + ib1Application + ",O=Example Company Ltd,C=GB"; leaf.Subject.String() != want {
		t.Errorf("subject %s, want %s", leaf.Subject, want)
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != ib1Application || len(leaf.DNSNames) != 0 || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("names %v %v, key usage %d", leaf.URIs, leaf.DNSNames, leaf.KeyUsage)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore) + time.Second; life != 365*24*time.Hour {
		t.Errorf("a certificate of %s", life)
	}
	got.verify(t, rootFile, purpose)
}

// verify asks openssl whether a certificate is good for a purpose.
func (i issued) verify(t *testing.T, rootFile, purpose string) {
	t.Helper()
	dir := t.TempDir()
	runner{dir: dir}.run(t, find(t, "openssl"), "verify", "-x509_strict", "-purpose", purpose, "-CAfile", rootFile,
		"-untrusted", write(t, filepath.Join(dir, "chain.pem"), string(i.chain)), write(t, filepath.Join(dir, "leaf.pem"), encode(i.leaf)))
}
