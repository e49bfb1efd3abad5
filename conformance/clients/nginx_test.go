//go:build clients

package clients

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/backends/ib1/online"
	"acmebridge/conformance/testport"
)

// nginxConfig wants a certificate of every client, and with ssl_crl checks the
// lists of every CA above it, the root's included.
const nginxConfig = `
daemon off;
%[1]s
pid %[2]s/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path %[2]s/body;
  proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi;
  uwsgi_temp_path %[2]s/uwsgi;
  scgi_temp_path %[2]s/scgi;
  server {
    listen 127.0.0.1:%[3]d ssl;
    server_name localhost;
    ssl_certificate %[4]s;
    ssl_certificate_key %[5]s;
    ssl_client_certificate %[2]s/root.pem;
    ssl_crl %[2]s/lists.pem;
    ssl_verify_client on;
    ssl_verify_depth 2;
    location / { return 200 "$ssl_client_verify $ssl_client_s_dn\n"; }
  }
}
`

const ib1ServerConfig = `
listen: 127.0.0.1:%d
base_url: https://localhost:%[1]d
pki_listen: 127.0.0.1:%d
data_dir: data
backends:
  local: {type: localca}
  ib1: {type: ib1, dir: framework, passphrase_file: passphrase}
`

// framework is an IB1 framework with a client tree, and a server that publishes it.
type framework struct {
	dir, url string
	runner   runner
	ca       *online.CA
}

func startFramework(t *testing.T) framework {
	t.Helper()
	dir := t.TempDir()
	listen, pki := testport.Port(t), testport.Port(t)
	f := framework{dir: filepath.Join(dir, "framework"), url: fmt.Sprintf("http://127.0.0.1:%d", pki), runner: runner{dir: dir}}
	write(t, filepath.Join(dir, "passphrase"), "correct horse battery staple")
	f.command(t, "root", "create", "--framework", "Core Trust Framework", "--country", "GB", "--url", f.url, "--passphrase-file", "passphrase")
	f.command(t, "issuer", "rotate", "--passphrase-file", "passphrase")
	f.command(t, "crl", "sign", "--issuer", "root", "--passphrase-file", "passphrase")
	file := write(t, filepath.Join(dir, "acmebridge.yaml"), fmt.Sprintf(ib1ServerConfig, listen, pki))
	exited := startProcess(t, dir, nil, filepath.Join(programs, "acmebridge"), "serve", "--config", file)
	ready(t, exited, http.DefaultClient, f.url+"/ca/ib1-client.pem")
	var err error
	f.ca, err = online.Open(online.Config{Dir: f.dir, Keys: ceremony.FileKeys{Dir: f.dir, Passphrase: func(string) ([]byte, error) {
		return []byte("correct horse battery staple"), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// command works on the client tree.
func (f framework) command(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"ib1"}, args...)
	return f.runner.run(t, filepath.Join(programs, "acmebridge"), append(args, "--dir", "framework", "--tree", "client", "--by", "tests")...)
}

// lists waits until the published bundle has both lists and so many entries.
func (f framework) lists(t *testing.T, entries int) []byte {
	t.Helper()
	var bundle []byte
	eventually(t, patience, fmt.Sprintf("lists with %d entries", entries), func() bool {
		bundle = get(t, http.DefaultClient, f.url+"/crl/ib1-client.pem")
		all, got := revocationLists(t, bundle), 0
		for _, l := range all {
			got += len(l.RevokedCertificateEntries)
		}
		return len(all) == 2 && got == entries
	})
	return bundle
}

func revocationLists(t *testing.T, bundle []byte) (all []*x509.RevocationList) {
	t.Helper()
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		l, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// member issues the client certificate of an application.
func (f framework) member(t *testing.T, application string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key := newKey(t)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := f.ca.IssueMember(ib1.Client, ib1.Holder{
		Country: "GB", Organization: "Example Company Ltd", Application: application, Member: "https://directory.core.trust.ib1.org/m/827252",
		Roles: []string{"https://registry.core.trust.ib1.org/scheme/energy/role/auditor"},
	}, backends.Request{Key: fmt.Sprintf("%x", sha256.Sum256([]byte(application))), PublicKey: spki, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, leaf
}

// nginx of Debian lets members in, and those that are revoked no more; OpenSSL
// agrees, strictly and with the lists of the whole chain.
func TestNginxIB1(t *testing.T) {
	t.Parallel()
	if *serverKind != "acmebridge" {
		return // the framework is ours
	}
	f := startFramework(t)
	good, goodCert := f.member(t, "https://directory.core.trust.ib1.org/a/883391")
	bad, badCert := f.member(t, "https://directory.core.trust.ib1.org/a/883392")

	dir, port := t.TempDir(), testport.Port(t)
	tlsRoot, cert, key := newTLSIdentity(t, dir)
	write(t, filepath.Join(dir, "root.pem"), string(read(t, filepath.Join(f.dir, "client", "root.pem"))))
	lists := write(t, filepath.Join(dir, "lists.pem"), string(f.lists(t, 0)))
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the folder is nobody else's
	}
	file := write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(nginxConfig, user, dir, port, cert, key))
	program := find(t, "nginx")
	startProcess(t, dir, nil, program, "-p", dir, "-c", file)
	url := fmt.Sprintf("https://localhost:%d/", port)
	visit := func(identity *tls.Certificate) (int, string) {
		cfg := &tls.Config{RootCAs: pool(t, tlsRoot)}
		if identity != nil {
			cfg.Certificates = []tls.Certificate{*identity}
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}, Timeout: 30 * time.Second}
		resp, err := client.Get(url)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, err.Error()
		}
		return resp.StatusCode, string(body)
	}
	verify := func(leaf *x509.Certificate) (string, error) {
		issuer := write(t, filepath.Join(dir, "issuer.pem"), encode(&x509.Certificate{Raw: good.Certificate[1]}))
		return runner{dir: dir}.try(t, find(t, "openssl"), "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslclient", "-crl_check_all",
			"-CRLfile", lists, "-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", issuer, write(t, filepath.Join(dir, "leaf.pem"), encode(leaf)))
	}
	entered := func(who tls.Certificate, name string) {
		t.Helper()
		eventually(t, patience, name+" to be let in", func() bool {
			status, body := visit(&who)
			if status == http.StatusOK && !(strings.HasPrefix(body, "SUCCESS ") && strings.Contains(body, "CN="+name)) {
				t.Fatalf("nginx took the client for somebody else: %s", body)
			}
			return status == http.StatusOK
		})
	}
	entered(good, goodCert.Subject.CommonName)
	entered(bad, badCert.Subject.CommonName)
	if status, body := visit(nil); status != http.StatusBadRequest {
		t.Errorf("without a certificate: %d %s", status, body)
	}
	for _, leaf := range []*x509.Certificate{goodCert, badCert} {
		if out, err := verify(leaf); err != nil {
			t.Errorf("openssl refuses %s: %v\n%s", leaf.Subject.CommonName, err, out)
		}
	}

	f.command(t, "crl", "revoke", "--cert", write(t, filepath.Join(dir, "bad.pem"), encode(badCert)), "--reason", "keyCompromise")
	write(t, lists, string(f.lists(t, 1)))
	runner{dir: dir}.run(t, program, "-p", dir, "-c", file, "-s", "reload")
	eventually(t, patience, "the revoked client to be refused", func() bool {
		status, body := visit(&bad)
		return status == http.StatusBadRequest && strings.Contains(body, "certificate error")
	})
	entered(good, goodCert.Subject.CommonName)
	if out, err := verify(goodCert); err != nil {
		t.Errorf("openssl refuses the good one: %v\n%s", err, out)
	}
	if out, err := verify(badCert); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl takes the revoked one: %v\n%s", err, out)
	}
}
