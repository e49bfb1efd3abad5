package ocsp_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"acmebridge/internal/ocsp"
)

// ca is an issuer with a register of what it has issued.
type ca struct {
	t      testing.TB
	cert   *x509.Certificate
	key    crypto.Signer
	signer *ocsp.Signer

	mu     sync.Mutex
	states map[string]ocsp.Status
	broken bool
	reads  int
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCA(t testing.TB, name string) *ca {
	t.Helper()
	c := &ca{t: t, key: newKey(t, elliptic.P256()), states: map[string]ocsp.Status{}}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: []byte(name),
	}
	c.cert = c.make(template, template, c.key.Public())
	c.signer = c.delegate(newKey(t, elliptic.P256()), time.Now().Add(500*time.Hour))
	return c
}

func (c *ca) make(template, parent *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

func (c *ca) delegateCertificate(key crypto.Signer, until time.Time, usages ...x509.ExtKeyUsage) *x509.Certificate {
	return c.make(&x509.Certificate{
		SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: "responder"}, ExtKeyUsage: usages,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}},
	}, c.cert, key.Public())
}

func (c *ca) delegate(key crypto.Signer, until time.Time) *ocsp.Signer {
	c.t.Helper()
	s, err := ocsp.NewSigner(c.cert, c.delegateCertificate(key, until, x509.ExtKeyUsageOCSPSigning), key)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// issue returns a certificate that is good.
func (c *ca) issue(serial int64) *x509.Certificate {
	cert := c.unregistered(serial)
	c.set(cert, ocsp.Status{State: ocsp.Good})
	return cert
}

func (c *ca) unregistered(serial int64) *x509.Certificate {
	return c.make(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, c.cert, c.key.Public())
}

func (c *ca) set(cert *x509.Certificate, s ocsp.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[cert.SerialNumber.String()] = s
}

func (c *ca) status(_ context.Context, serial []byte) (ocsp.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if c.broken {
		return ocsp.Status{}, errors.New("the disk is gone")
	}
	return c.states[new(big.Int).SetBytes(serial).String()], nil
}

func (c *ca) issuer() ocsp.Issuer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ocsp.Issuer{Name: c.cert.Subject.CommonName, Certificate: c.cert, Signer: c.signer, Status: c.status}
}

func responder(t testing.TB, cfg ocsp.Config, cas ...*ca) *ocsp.Responder {
	t.Helper()
	if cfg.Issuers == nil {
		cfg.Issuers = func(context.Context) (all []ocsp.Issuer, _ error) {
			for _, c := range cas {
				all = append(all, c.issuer())
			}
			return all, nil
		}
	}
	r, err := ocsp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ask(t testing.TB, c *ca, cert *x509.Certificate, hash crypto.Hash) []byte {
	t.Helper()
	der, err := xocsp.CreateRequest(cert, c.cert, &xocsp.RequestOptions{Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// read checks an answer as a client does: signature, delegation, CertID.
func read(t testing.TB, c *ca, cert *x509.Certificate, a ocsp.Answer) *xocsp.Response {
	t.Helper()
	got, err := xocsp.ParseResponseForCert(a.Body, cert, c.cert)
	if err != nil {
		t.Fatalf("%v in %x", err, a.Body)
	}
	if !got.ThisUpdate.Equal(a.At) || !got.NextUpdate.Equal(a.Until) || !got.ProducedAt.Equal(a.At) {
		t.Errorf("%s, %s to %s is not what the answer says, %s to %s", got.ProducedAt, got.ThisUpdate, got.NextUpdate, a.At, a.Until)
	}
	return got
}

// failed is the status of an answer that is an error, -1 for one that is none.
func failed(a ocsp.Answer) int {
	var e xocsp.ResponseError
	if _, err := xocsp.ParseResponse(a.Body, nil); errors.As(err, &e) {
		return int(e.Status)
	}
	return -1
}
