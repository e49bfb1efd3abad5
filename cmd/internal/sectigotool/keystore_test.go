package sectigotool

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"acmebridge/internal/secret"
)

func selfSigned(t *testing.T, name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// TestOpenKeyStore: the encryption that the service was seen to use, RC2 of 40
// bits, and the ones that it may move to.
func TestOpenKeyStore(t *testing.T) {
	t.Parallel()
	key, leaf := selfSigned(t, "leaf.example")
	_, ca := selfSigned(t, "ca")
	right := secret.New([]byte("right"))
	for name, encoder := range map[string]*pkcs12.Encoder{"RC2": pkcs12.LegacyRC2, "3DES": pkcs12.LegacyDES, "AES": pkcs12.Modern2023} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := encoder.Encode(key, leaf, []*x509.Certificate{ca}, "right")
			if err != nil {
				t.Fatal(err)
			}
			pem, err := openKeyStore(store, right)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.X509KeyPair(pem, pem)
			if err != nil {
				t.Fatal(err)
			}
			if len(pair.Certificate) != 2 || string(pair.Certificate[0]) != string(leaf.Raw) {
				t.Errorf("%d certificates came out, or another one first", len(pair.Certificate))
			}
			if _, err := openKeyStore(store, secret.New([]byte("wrong"))); err == nil || !strings.Contains(err.Error(), "password is wrong") {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
	other, _ := selfSigned(t, "other")
	store, err := pkcs12.Modern2023.Encode(other, leaf, nil, "right")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openKeyStore(store, right); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("the key of another: %v", err)
	}
	if _, err := openKeyStore([]byte("no such thing"), right); err == nil {
		t.Error("something else was opened")
	}
}
