package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/keyfile"
)

const (
	tlsRootFile    = "tls-root.pem"
	tlsRootKeyFile = "tls-root.key"

	ownRootValidity = 10 * 365 * 24 * time.Hour
	// A leaf is renewed when a third of its life is left. The key and the leaf
	// are never written anywhere.
	ownLeafValidity = 30 * 24 * time.Hour
)

// useOwnRoot has the certificate issued by a root that lives in the data
// folder and certifies this server and nothing else. Clients trust it by its
// file, so it is made once and kept.
func (s *serverCertificate) useOwnRoot(cfg *config.Config) error {
	root, err := loadOwnRoot(cfg.DataDir, s.now())
	if errors.Is(err, fs.ErrNotExist) {
		root, err = makeOwnRoot(cfg.DataDir, s.now())
	}
	if err != nil {
		return fmt.Errorf("the server's own TLS root: %w", err)
	}
	names := ownNames(cfg)
	s.private = root.cert.Raw
	s.renew = func() (*tls.Certificate, error) { return root.issue(names, s.now()) }
	s.stale = func(now time.Time) bool {
		return s.current.Load().Leaf.NotAfter.Sub(now) < ownLeafValidity/3
	}
	return nil
}

type ownRoot struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// loadOwnRoot returns fs.ErrNotExist when there is no root at all; half a root
// is an error that a person has to look at, because clients trust the old one.
func loadOwnRoot(dataDir string, now time.Time) (ownRoot, error) {
	certFile, keyFile := filepath.Join(dataDir, tlsRootFile), filepath.Join(dataDir, tlsRootKeyFile)
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return ownRoot{}, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		// Not wrapped: a key that does not exist is not a root that does not.
		return ownRoot{}, fmt.Errorf("%s and %s do not belong together: restore both, or remove both and give clients the new root: %v", certFile, keyFile, err) //nolint:errorlint // see above
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if block, _ := pem.Decode(certPEM); !ok || block == nil || !pair.Leaf.IsCA {
		return ownRoot{}, fmt.Errorf("%s is no root that this program made; remove it and %s, or configure tls.cert and tls.key", certFile, keyFile)
	}
	if now.Add(ownLeafValidity).After(pair.Leaf.NotAfter) {
		return ownRoot{}, fmt.Errorf("%s ends at %s: remove it and %s, and give clients the new root", certFile, pair.Leaf.NotAfter.Format(time.DateOnly), keyFile)
	}
	return ownRoot{pair.Leaf, key}, nil
}

func makeOwnRoot(dataDir string, now time.Time) (ownRoot, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return ownRoot{}, err
	}
	serial := newSerial()
	template := &x509.Certificate{
		SerialNumber: serial,
		// Two roots of one name confuse clients that trust both.
		Subject:   pkix.Name{CommonName: fmt.Sprintf("acmebridge server root %x", serial.Bytes()[:4])},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownRootValidity),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := sign(template, template, key, key)
	if err != nil {
		return ownRoot{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return ownRoot{}, err
	}
	// The key first: a crash in between leaves a key that the next start
	// replaces, and no root that anybody could have taken.
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := keyfile.Replace(filepath.Join(dataDir, tlsRootKeyFile), 0o600, keyPEM); err != nil {
		return ownRoot{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return ownRoot{cert, key}, keyfile.Replace(filepath.Join(dataDir, tlsRootFile), 0o644, certPEM)
}

// issue makes a leaf with a key of its own.
func (r ownRoot) issue(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownLeafValidity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	if len(names[0]) > 64 {
		template.Subject = pkix.Name{} // X.520 has no room for it; clients look at the other names anyhow
	}
	leaf, err := sign(template, r.cert, key, r.key)
	if err != nil {
		return nil, fmt.Errorf("issue the server's certificate: %w", err)
	}
	return pair(leaf, key), nil
}

// ownNames are all by which clients may call this server: those of its URLs,
// and those of this machine for a first try.
func ownNames(cfg *config.Config) []string {
	var names []string
	add := func(n string) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if u, err := url.Parse(cfg.BaseURL); err == nil {
		add(u.Hostname())
	}
	for _, d := range cfg.AcmeDirectories() {
		if host, _, err := net.SplitHostPort(d.Host); err == nil {
			add(host)
		} else {
			add(d.Host)
		}
	}
	add("localhost")
	add("127.0.0.1")
	add("::1")
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			add(ip.String())
		}
	}
	return names
}

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // ends the process when the system has no randomness
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
