package localcatest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Authority is somebody else's root.
type Authority struct {
	Root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a root that is valid from a day before now to ten years
// after. As OpenSSL makes them, it says nothing of its key usage.
func NewAuthority(tb testing.TB, name string, now time.Time) *Authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	a := &Authority{key: key}
	template := authority(now.AddDate(10, 0, 0), now)
	template.Subject, template.KeyUsage = pkix.Name{CommonName: name}, 0
	template.SubjectKeyId = []byte(name)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	a.Root = parse(tb, der)
	return a
}

// CrossSign certifies the key of a CA certificate under its own name, until end.
func (a *Authority) CrossSign(tb testing.TB, of []byte, end, now time.Time) *x509.Certificate {
	tb.Helper()
	subject := parse(tb, of)
	template := authority(end, now)
	template.RawSubject, template.SubjectKeyId = subject.RawSubject, subject.SubjectKeyId
	der, err := x509.CreateCertificate(rand.Reader, template, a.Root, subject.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	return parse(tb, der)
}

func authority(end, now time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // of crypto/rand, which does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial, NotBefore: now.Add(-24 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}
}

func parse(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// PEM writes certificates one below the other.
func PEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, cert := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return b.Bytes()
}
