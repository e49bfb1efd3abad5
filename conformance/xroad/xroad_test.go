package xroad_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"testing"
	"time"

	"acmebridge/conformance/pebbletest"
	"acmebridge/conformance/xroad"
)

// TestPebble proves the Security Server on a server that others test their clients
// against.
func TestPebble(t *testing.T) {
	t.Parallel()
	mac := []byte("external account key of a member")
	server := pebbletest.Start(t, pebbletest.Config{ExternalAccounts: map[string]string{"kid-1": base64.RawURLEncoding.EncodeToString(mac)}})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.RootsPEM)
	challenges := xroad.Listen(server.HTTP01Listener)
	defer challenges.Close()
	s, err := xroad.New(xroad.Config{
		DirectoryURL: server.DirectoryURL, Challenges: challenges,
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(min(d, time.Second)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := []xroad.Attribute{{Type: xroad.CommonName, Value: "ss1.localhost"}}
	key := xroad.AuthKey(signer, subject, "ss1.localhost", "ss1.localhost")

	var seen *xroad.Error
	if _, err := s.Order(t.Context(), key); !errors.As(err, &seen) || seen.Code != "eab_credentials_missing" {
		t.Errorf("without a credential: %v", err)
	}
	var refusal *xroad.Refusal
	if _, err := s.Login(t.Context(), false); !errors.As(err, &refusal) {
		t.Errorf("without a binding: %v", err)
	}
	s.Use(xroad.Credential{KID: "kid-1", MAC: mac})
	issued, err := s.Order(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := s.Planned(); err != nil || !at.Before(issued.Leaf.NotAfter) {
		t.Errorf("its renewal is planned for %s: %v", at, err)
	}
	if _, due, err := s.Renew(t.Context(), issued.Leaf, xroad.Key{}); due || err != nil {
		t.Errorf("the renewal job: due %t, %v", due, err)
	}
	if len(issued.Chain) < 2 || issued.Leaf.DNSNames[0] != "ss1.localhost" {
		t.Errorf("chain of %d, names %v", len(issued.Chain), issued.Leaf.DNSNames)
	}
	// A certificate with a key that is on no token is of no use.
	if err := xroad.Import(issued.Chain[1], key, time.Now()); err == nil {
		t.Error("the CA's certificate was imported")
	}
	sign := xroad.SignKey(signer, subject, "ss1.localhost", "ss1.localhost")
	if err := xroad.Import(issued.Leaf, sign, time.Now()); err == nil {
		t.Error("an authentication certificate was imported for signing")
	}
}

// TestRenewalID: a serial number whose first bit is set has a zero before it. Hardly
// any of the CA that the cases are run with has.
func TestRenewalID(t *testing.T) {
	t.Parallel()
	id, err := xroad.RenewalID(&x509.Certificate{
		AuthorityKeyId: []byte{0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4},
		SerialNumber:   big.NewInt(0x87654321),
	})
	if want := "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"; err != nil || id != want {
		t.Errorf("got %s, %v, want %s", id, err, want)
	}
}
