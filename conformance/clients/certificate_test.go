//go:build clients

package clients

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// issued is what a client has in its hands after an order.
type issued struct {
	leaf  *x509.Certificate
	chain []byte // PEM, leaf first
	key   []byte // PEM
}

func load(t *testing.T, c client, names []string) issued {
	t.Helper()
	chainFile, keyFile := c.files(t, names)
	i := issued{chain: read(t, chainFile), key: read(t, keyFile)}
	i.leaf = certificates(t, i.chain)[0]
	return i
}

func certificates(t *testing.T, raw []byte) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, raw = pem.Decode(raw); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatalf("parse a certificate: %v", err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		t.Fatal("no certificate")
	}
	return all
}

func encode(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// check has the certificate judged by two implementations that are not ours: openssl
// builds the chain, and a TLS server with it is accepted by a client that knows the root.
func (i issued) check(t *testing.T, rootFile string, names []string) {
	t.Helper()
	got := slices.Clone(i.leaf.DNSNames)
	for _, address := range i.leaf.IPAddresses {
		got = append(got, address.String())
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		t.Errorf("the certificate names %v, want %v", got, want)
	}
	dir := t.TempDir()
	leaf := write(t, filepath.Join(dir, "leaf.pem"), encode(i.leaf))
	chain := write(t, filepath.Join(dir, "chain.pem"), string(i.chain))
	for _, name := range names {
		name, verify := strings.Replace(name, "*", "any", 1), "-verify_hostname"
		if net.ParseIP(name) != nil {
			verify = "-verify_ip"
		}
		runner{dir: dir}.run(t, find(t, "openssl"), "verify", "-x509_strict", "-purpose", "sslserver",
			verify, name, "-CAfile", rootFile, "-untrusted", chain, leaf)
		i.handshake(t, rootFile, name)
	}
}

func (i issued) handshake(t *testing.T, rootFile, name string) {
	t.Helper()
	pair, err := tls.X509KeyPair(i.chain, i.key)
	if err != nil {
		t.Fatalf("use the issued pair: %v", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).HandshakeContext(t.Context())
			conn.Close()
		}
		ended <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: pool(t, rootFile), ServerName: name})
	if err != nil {
		t.Errorf("TLS handshake as %s: %v", name, err)
	} else {
		conn.Close()
	}
	listener.Close()
	if err := <-ended; err != nil {
		t.Errorf("TLS handshake as %s, at the server: %v", name, err)
	}
}

// revokedInCRL looks the serial up in the list that the certificate points to. Servers
// publish lists after they have answered, so it may take a moment to appear.
func revokedInCRL(t *testing.T, cert issued) {
	t.Helper()
	eventually(t, 20*time.Second, "the serial in the certificate's CRL", func() bool {
		found, err := listed(t, cert)
		if err != nil {
			t.Fatal(err)
		}
		return found
	})
}

// listed downloads the list as a relying party does: from the address in the
// certificate, accepted only under the issuer's signature and while it is current.
func listed(t *testing.T, cert issued) (bool, error) {
	t.Helper()
	chain := certificates(t, cert.chain)
	if len(cert.leaf.CRLDistributionPoints) == 0 || len(chain) < 2 {
		return false, errors.New("the certificate names no CRL distribution point, or comes without its issuer")
	}
	url := cert.leaf.CRLDistributionPoints[0]
	list, err := x509.ParseRevocationList(get(t, http.DefaultClient, url))
	if err != nil {
		return false, fmt.Errorf("parse the CRL at %s: %w", url, err)
	}
	if err := list.CheckSignatureFrom(chain[1]); err != nil {
		return false, fmt.Errorf("the CRL at %s is not the issuer's: %w", url, err)
	}
	if now := time.Now(); now.Before(list.ThisUpdate) || now.After(list.NextUpdate) {
		return false, fmt.Errorf("the CRL at %s is for %s to %s", url, list.ThisUpdate, list.NextUpdate)
	}
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(cert.leaf.SerialNumber) == 0
	}), nil
}

// eventually asks again until it is so. It waits for another process, which has no
// other way to tell.
func eventually(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline.C:
			t.Fatalf("still waiting after %s for %s", limit, what)
		case <-again.C:
		}
	}
}

func get(t *testing.T, h *http.Client, url string) []byte {
	t.Helper()
	resp, err := h.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", url, resp.Status, err, body)
	}
	return body
}
