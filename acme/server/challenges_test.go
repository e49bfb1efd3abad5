package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/netip"
	"testing"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
	"acmebridge/challenges/tlsalpn01test"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

// TestChallengeTypes lets a standard client prove names by each challenge type
// that a profile can offer, against a name server and a TLS server that behave
// (R8555-8.4-1, R8737-3-1).
func TestChallengeTypes(t *testing.T) {
	t.Parallel()
	names := dnstest.New(t, "")
	names.Add(t, "a.example.test. 60 IN A 127.0.0.1")
	tlsHost := tlsalpn01test.New(t, "127.0.0.1:0")
	s := servertest.Start(t, servertest.Options{
		Profile: func(p *acme.Profile) {
			p.Challenges = []acme.ChallengeType{acme.DNS01, acme.TLSALPN01, acme.DNSAccount01}
			p.Identifiers.Wildcard = true
		},
		Engine: func(c *engine.Config) { c.Validators = validators(t, names.Addr(), tlsHost.Addr()) },
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &xacme.Client{Key: key, DirectoryURL: s.DirectoryURL("default"), HTTPClient: s.Client()}
	account, err := c.Register(t.Context(), &xacme.Account{}, xacme.AcceptTOS)
	if err != nil {
		t.Fatal(err)
	}
	txt := func(name string) func(*testing.T, *xacme.Challenge) {
		return func(t *testing.T, ch *xacme.Challenge) {
			value, err := c.DNS01ChallengeRecord(ch.Token)
			if err != nil {
				t.Fatal(err)
			}
			names.AddTXT(name, "some other record")
			names.AddTXT(name, value)
		}
	}
	for _, tt := range []struct {
		order, challenge string
		provide          func(*testing.T, *xacme.Challenge)
	}{
		{"b.example.test", "dns-01", txt("_acme-challenge.b.example.test.")},
		{"*.wild.example.test", "dns-01", txt("_acme-challenge.wild.example.test.")},
		{"c.example.test", "dns-account-01", txt(challenges.AccountLabel(account.URI) + "._acme-challenge.c.example.test.")},
		{"a.example.test", "tls-alpn-01", func(t *testing.T, ch *xacme.Challenge) {
			cert, err := c.TLSALPN01ChallengeCert(ch.Token, "a.example.test")
			if err != nil {
				t.Fatal(err)
			}
			tlsHost.Show(cert)
		}},
	} {
		t.Run(tt.challenge+" of "+tt.order, func(t *testing.T) {
			issueBy(t, c, tt.order, tt.challenge, tt.provide)
		})
	}
}

// issueBy orders a certificate for one name and proves it by one challenge.
func issueBy(t *testing.T, c *xacme.Client, name, challenge string, provide func(*testing.T, *xacme.Challenge)) {
	t.Helper()
	ctx := t.Context()
	o, err := c.AuthorizeOrder(ctx, xacme.DomainIDs(name))
	if err != nil {
		t.Fatal(err)
	}
	authz, err := c.GetAuthorization(ctx, o.AuthzURLs[0])
	if err != nil {
		t.Fatal(err)
	}
	var chosen *xacme.Challenge
	for _, ch := range authz.Challenges {
		if ch.Type == challenge {
			chosen = ch
		}
		if authz.Wildcard && ch.Type == "tls-alpn-01" {
			t.Error("a wildcard can be proved by tls-alpn-01") // R8737-3-10
		}
	}
	if chosen == nil {
		t.Fatalf("no %s is offered: %+v", challenge, authz.Challenges)
	}
	provide(t, chosen)
	if _, err := c.Accept(ctx, chosen); err != nil {
		t.Fatal(err)
	}
	if o, err = c.WaitOrder(ctx, o.URI); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := c.CreateOrderCert(ctx, o.FinalizeURL, csr, true)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil || len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != name {
		t.Errorf("the certificate names %v, %v", leaf.DNSNames, err)
	}
}

// validators are those of the program, with a name server and a port of the test's.
func validators(t *testing.T, nameServer string, tlsHost netip.AddrPort) []challenges.Validator {
	t.Helper()
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := egress.NewResolver(egress.ResolverConfig{Servers: []string{nameServer}})
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	dns01, err := challenges.NewDNS01(challenges.DNSConfig{Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	dnsAccount01, err := challenges.NewDNSAccount01(challenges.DNSConfig{Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	tlsALPN01, err := challenges.NewTLSALPN01(challenges.TLSALPN01Config{Dialer: dialer, Port: tlsHost.Port()})
	if err != nil {
		t.Fatal(err)
	}
	return []challenges.Validator{dns01, dnsAccount01, tlsALPN01}
}
