package pebbletest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"

	"golang.org/x/crypto/acme"

	"acmebridge/conformance/pebbletest"
)

func client(t *testing.T, server *pebbletest.Server) *acme.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(server.RootsPEM) {
		t.Fatalf("RootsPEM is no PEM: %s", server.RootsPEM)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &acme.Client{
		Key: key, DirectoryURL: server.DirectoryURL,
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
}

func TestStart(t *testing.T) {
	server := pebbletest.Start(t, pebbletest.Config{})
	if server.HTTP01Listener.Addr().String() != server.HTTP01Addr {
		t.Errorf("the listener is at %s, HTTP01Addr is %s", server.HTTP01Listener.Addr(), server.HTTP01Addr)
	}
	if _, err := client(t, server).Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Errorf("register: %v", err)
	}
}

func TestStartWithExternalAccounts(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	server := pebbletest.Start(t, pebbletest.Config{
		ExternalAccounts: map[string]string{"kid-1": base64.RawURLEncoding.EncodeToString(secret)},
	})
	c := client(t, server)
	var refused *acme.Error
	if _, err := c.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); !errors.As(err, &refused) {
		t.Errorf("register without binding: %v, want a refusal", err)
	}
	bound := &acme.Account{ExternalAccountBinding: &acme.ExternalAccountBinding{KID: "kid-1", Key: secret}}
	if _, err := c.Register(t.Context(), bound, acme.AcceptTOS); err != nil {
		t.Errorf("register with binding: %v", err)
	}
}
