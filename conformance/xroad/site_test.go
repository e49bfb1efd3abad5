package xroad_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"acmebridge/conformance/xroad"
)

// member is whose Security Server it is, unless a case says otherwise.
const member = "EX:COM:5550001"

// site is a server, wherever it runs, as a case sees it: by its directories.
type site struct {
	directory  func(name string) string // its URL
	client     *http.Client
	challenges *xroad.Challenges
	sleep      func(context.Context, time.Duration) error
	// credential makes an external account key that any number of accounts may be
	// bound by, for the profiles.
	credential func(t testing.TB, directory, member string, profiles ...string) xroad.Credential
	// Where it is a process: that, and the CA behind its directory "remote".
	bridge *bridge
	behind *gate
	// In a bubble: how often its CA was asked for a certificate.
	asked func() int
}

func (s *site) config(directory string) xroad.Config {
	return xroad.Config{DirectoryURL: s.directory(directory), HTTP: s.client, Challenges: s.challenges, Contact: "member1@example.org", Sleep: s.sleep}
}

// securityServer is a member's, for one usage.
func (s *site) securityServer(t testing.TB, directory, usage, member string) *xroad.SecurityServer {
	t.Helper()
	return with(t, s.config(directory), s.credential(t, directory, member, directory+"-"+usage))
}

func with(t testing.TB, cfg xroad.Config, c xroad.Credential) *xroad.SecurityServer {
	t.Helper()
	s, err := xroad.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Use(c)
	return s
}

func authSubject(host string) []xroad.Attribute {
	return []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.SerialNumber, Value: "5550001"}, {Type: xroad.CommonName, Value: host}}
}

func signSubject() []xroad.Attribute { return signSubjectOf("5550001") }

func signSubjectOf(code string) []xroad.Attribute {
	return []xroad.Attribute{
		{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.BusinessCategory, Value: "COM"},
		{Type: xroad.SerialNumber, Value: code}, {Type: xroad.CommonName, Value: "Member One"},
	}
}

func signer(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// obtained orders and imports, and wants the CA's word on when to renew at once.
func obtained(t testing.TB, s *xroad.SecurityServer, k xroad.Key) *xroad.Issued {
	t.Helper()
	issued, err := s.Order(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	imported(t, s, issued, k)
	return issued
}

func imported(t testing.TB, s *xroad.SecurityServer, issued *xroad.Issued, k xroad.Key) {
	t.Helper()
	if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
		t.Fatal(err)
	}
	if at, err := s.Planned(); err != nil || !at.Before(issued.Leaf.NotAfter) {
		t.Errorf("its renewal is planned for %s: %v", at, err)
	}
}
