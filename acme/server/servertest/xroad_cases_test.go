package servertest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/xroad"
)

// instance is a server and the Security Servers of an X-Road instance before it.
type instance struct {
	*servertest.Server
	client     *http.Client
	challenges *xroad.Challenges
}

const member = acme.MemberID("EX:COM:5550001")

func newInstance(t *testing.T, o servertest.Options) *instance {
	t.Helper()
	o = visited(o)
	o.Directories = append(o.Directories,
		acme.Directory{Name: "fivrk", Path: "/fivrk/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"fivrk-auth", "fivrk-sign"}, PlainContacts: true},
		acme.Directory{Name: "is", Path: "/is/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"is-auth"}, PlainContacts: true},
		acme.Directory{Name: "ejbca", Path: "/ejbca/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"ejbca-auth"}, PlainContacts: true},
		acme.Directory{Name: "products", Path: "/", Host: "xroad.example.com", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"products-auth", "gold-auth", "products-sign", "silver-sign"}, PlainContacts: true},
		acme.Directory{Name: "instances", Path: "/instances/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"test-auth", "home-auth"}, PlainContacts: true},
		acme.Directory{Name: "test", Path: "/test/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"test-auth"}, PlainContacts: true},
		acme.Directory{Name: "public", Path: "/public/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"public-auth"}, PlainContacts: true})
	before := o.Engine
	o.Engine = func(c *engine.Config) {
		before(c)
		for _, usage := range []string{"auth", "sign"} {
			p := c.Profiles[acme.ProfileName("xroad-"+usage)]
			p.Name, p.XRoad.Subject = acme.ProfileName("fivrk-"+usage), acme.XRoadFinnish
			c.Profiles[p.Name] = p
		}
		for _, subject := range []acme.XRoadSubject{acme.XRoadIceland, acme.XRoadEJBCA} {
			p := c.Profiles["xroad-auth"]
			p.Name, p.XRoad.Subject = acme.ProfileName(subject+"-auth"), subject
			c.Profiles[p.Name] = p
		}
		for name, id := range map[acme.ProfileName]string{"products-auth": "", "gold-auth": "gold", "products-sign": "", "silver-sign": "silver"} {
			_, usage, _ := strings.Cut(string(name), "-")
			p := c.Profiles[acme.ProfileName("xroad-"+usage)]
			p.Name, p.XRoad.ProfileID = name, id
			c.Profiles[name] = p
		}
		for name, instance := range map[acme.ProfileName]string{"test-auth": "EX-TEST", "home-auth": "EX"} {
			p := c.Profiles["xroad-auth"]
			p.Name, p.XRoad.Instance = name, instance
			c.Profiles[name] = p
		}
		p := c.Profiles["xroad-auth"]
		p.Name, p.Identifiers.SingleLabel = "public-auth", false
		c.Profiles[p.Name] = p
	}
	i := &instance{Server: servertest.Start(t, o)}
	i.client, i.challenges = i.Client(), xroad.Listen(i.HTTP01)
	// One directory has a host of its own, of which no DNS knows.
	i.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(i.URL, "https://"))
	}
	t.Cleanup(func() { _ = i.challenges.Close() })
	return i
}

// credential makes an external account key; a directory and a usage are its kind.
func (i *instance) credential(t *testing.T, directory, usage string, of acme.MemberID) xroad.Credential {
	t.Helper()
	k, mac, err := i.Engine.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{
		Directory: acme.DirectoryName(directory), Member: of, Profiles: []acme.ProfileName{acme.ProfileName(directory + "-" + usage)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return xroad.Credential{KID: string(k.ID), MAC: mac}
}

func (i *instance) config(directory string) xroad.Config {
	return xroad.Config{
		// As the Central Server has it: a directory at the root has no path.
		DirectoryURL: strings.TrimSuffix(i.DirectoryURL(acme.DirectoryName(directory)), "/"), HTTP: i.client, Challenges: i.challenges, Contact: "member1@example.org",
		Sleep: func(ctx context.Context, d time.Duration) error { // pauses are shorter here, and as many
			select {
			case <-time.After(min(d, 300*time.Millisecond)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

func (i *instance) securityServer(t *testing.T, directory, usage string, of acme.MemberID) *xroad.SecurityServer {
	t.Helper()
	return i.with(t, i.config(directory), i.credential(t, directory, usage, of))
}

func (i *instance) with(t *testing.T, cfg xroad.Config, c xroad.Credential) *xroad.SecurityServer {
	t.Helper()
	s, err := xroad.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Use(c)
	return s
}

func basicAuth(host string) []xroad.Attribute {
	return []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.SerialNumber, Value: "5550001"}, {Type: xroad.CommonName, Value: host}}
}

func basicSign(code string) []xroad.Attribute {
	return []xroad.Attribute{
		{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.BusinessCategory, Value: "COM"},
		{Type: xroad.SerialNumber, Value: code}, {Type: xroad.CommonName, Value: "Member One"},
	}
}

func finnish(server, cn string) []xroad.Attribute {
	return []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.SerialNumber, Value: server}, {Type: xroad.CommonName, Value: cn}}
}

func newSigner(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRSA(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// obtained orders and imports.
func obtained(t *testing.T, s *xroad.SecurityServer, k xroad.Key) *xroad.Issued {
	t.Helper()
	issued, err := s.Order(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
		t.Fatal(err)
	}
	return issued
}

// wantRefusal wants the phase that the operator sees and the problem behind it.
func wantRefusal(t *testing.T, err error, code, kind string) {
	t.Helper()
	var seen *xroad.Error
	var refusal *xroad.Refusal
	if code != "" && (!errors.As(err, &seen) || seen.Code != code) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want the problem %s", err, kind)
	}
	if got, detail := refusal.Problem(); got != kind || len(detail) < 20 {
		t.Errorf("the problem is %s (%s), want %s with a detail that explains itself", got, detail, kind)
	}
}

func wantLogin(t *testing.T, s *xroad.SecurityServer, renewal bool, status int) string {
	t.Helper()
	a, err := s.Login(t.Context(), renewal)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status {
		t.Fatalf("newAccount: HTTP %d, want %d", a.Status, status)
	}
	return s.Account()
}

// TestXRoadAccounts are the acceptance cases 1 to 10: set-up and account.
func TestXRoadAccounts(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	t.Run("1 and 2 the directory is kept and a stale nonce replaced", func(t *testing.T) {
		t.Parallel()
		s := i.securityServer(t, "xroad", "auth", member)
		wantLogin(t, s, false, http.StatusCreated)
		before, _ := s.Requests()
		s.UseNonce("c3RhbGU")
		if _, _, err := s.Begin(t.Context(), "stale.localhost", ""); err != nil {
			t.Fatal(err)
		}
		after, directories := s.Requests()
		if directories != 1 || after-before != 2 {
			t.Errorf("the directory was read %d times, and a stale nonce cost %d requests; want 1 and 2", directories, after-before)
		}
	})
	t.Run("3 and 4 a known key is answered first", func(t *testing.T) {
		t.Parallel()
		s := i.securityServer(t, "xroad", "auth", member)
		first := wantLogin(t, s, false, http.StatusCreated)
		for _, renewal := range []bool{false, true, true} {
			if again := wantLogin(t, s, renewal, http.StatusOK); again != first {
				t.Errorf("the account became %s", again)
			}
		}
	})
	t.Run("5 another key of the member changes nothing", func(t *testing.T) {
		t.Parallel()
		s := i.securityServer(t, "xroad", "auth", member)
		first := wantLogin(t, s, false, http.StatusCreated)
		s.Use(i.credential(t, "xroad", "sign", member))
		if again := wantLogin(t, s, false, http.StatusOK); again != first {
			t.Errorf("the account became %s", again)
		}
	})
	t.Run("6 and 7 an external account key binds again and again", func(t *testing.T) {
		t.Parallel()
		c, seen := i.credential(t, "xroad", "auth", member), map[string]bool{}
		for n := range 20 {
			s := i.with(t, i.config("xroad"), c)
			seen[wantLogin(t, s, n%2 == 1, http.StatusCreated)] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d accounts, want 20", len(seen))
		}
	})
	t.Run("8 no contact, no binding, a wrong one", func(t *testing.T) {
		t.Parallel()
		cfg := i.config("xroad")
		cfg.Contact = ""
		good := i.credential(t, "xroad", "auth", member)
		wantLogin(t, i.with(t, cfg, good), false, http.StatusCreated)
		for want, c := range map[string]xroad.Credential{
			"externalAccountRequired": {},
			"unauthorized":            {KID: good.KID, MAC: []byte("another key, of the same length!")},
		} {
			_, err := i.with(t, cfg, c).Login(t.Context(), false)
			wantRefusal(t, err, "", want)
		}
	})
	t.Run("9 the key as text", func(t *testing.T) {
		t.Parallel()
		for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding} {
			c := i.credential(t, "xroad", "auth", member)
			mac, err := xroad.DecodeMAC(encoding.EncodeToString(c.MAC))
			if err != nil {
				t.Fatal(err)
			}
			wantLogin(t, i.with(t, i.config("xroad"), xroad.Credential{KID: c.KID, MAC: mac}), false, http.StatusCreated)
		}
		// Without mac-key-base64-encoded the text is the key.
		c := i.credential(t, "xroad", "auth", member)
		text := base64.RawURLEncoding.EncodeToString(c.MAC)
		if len(text) != 43 {
			t.Errorf("the key has %d characters, want 43", len(text))
		}
		wantLogin(t, i.with(t, i.config("xroad"), xroad.Credential{KID: c.KID, MAC: []byte(text)}), false, http.StatusCreated)
		for _, wrong := range []string{"", text[1:], text + "=", strings.ToUpper(text)} {
			_, err := i.with(t, i.config("xroad"), xroad.Credential{KID: c.KID, MAC: []byte(wrong)}).Login(t.Context(), false)
			wantRefusal(t, err, "", "unauthorized")
		}
	})
	t.Run("10 one key at two directories is two accounts", func(t *testing.T) {
		t.Parallel()
		a, b := i.securityServer(t, "xroad", "sign", member), i.securityServer(t, "fivrk", "sign", member)
		b.Key = a.Key
		if wantLogin(t, a, false, http.StatusCreated) == wantLogin(t, b, false, http.StatusCreated) {
			t.Error("they are one")
		}
	})
}

// TestXRoadOrders are the cases 11 to 19: ordering and proving.
func TestXRoadOrders(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	t.Run("11 to 13 and 15 to 18 the same name twice, proved twice", func(t *testing.T) {
		t.Parallel()
		s := i.securityServer(t, "xroad", "auth", member)
		for range 2 { // an authorization that is reused would leave it waiting
			obtained(t, s, xroad.AuthKey(newSigner(t), basicAuth("twice.localhost"), "twice.localhost", "twice.localhost"))
		}
	})
	t.Run("14 names without a dot are for directories that want them", func(t *testing.T) {
		t.Parallel()
		s := i.securityServer(t, "xroad", "auth", member)
		wantLogin(t, s, false, http.StatusCreated)
		if _, _, err := s.Begin(t.Context(), "ss0", ""); err != nil {
			t.Error(err)
		}
		public := i.securityServer(t, "public", "auth", member)
		_, err := public.Order(t.Context(), xroad.AuthKey(newSigner(t), basicAuth("ss0"), "ss0"))
		wantRefusal(t, err, "order_creation_failure", "rejectedIdentifier")
	})
}

// TestXRoadWrongAnswer is case 19; the listener is its own, because all of it lies.
func TestXRoadWrongAnswer(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{Engine: func(c *engine.Config) { c.Attempts = 1 }})
	s := i.securityServer(t, "xroad", "auth", member)
	i.challenges.Garble(true)
	k := xroad.AuthKey(newSigner(t), basicAuth("lie.localhost"), "lie.localhost")
	_, err := s.Order(t.Context(), k)
	var seen *xroad.Error
	if !errors.As(err, &seen) || seen.Code != "authorization_failure" || !strings.Contains(err.Error(), "invalid") {
		t.Fatalf("got %v", err)
	}
	i.challenges.Garble(false)
	obtained(t, s, k)
}

// TestXRoadCertificates are the cases 23 to 30 and 39: CSR and certificate.
func TestXRoadCertificates(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	const inFinland = acme.MemberID("FI-TEST:GOV:5550001")
	const serial = "FI-TEST/ss1/GOV"
	for _, tt := range []struct {
		name, directory, usage string
		member                 acme.MemberID
		key                    func(host string) xroad.Key
		refused                string
	}{
		{"23 authentication, Finnish, name in capitals", "fivrk", "auth", inFinland, func(h string) xroad.Key {
			return xroad.AuthKey(newRSA(t, 2048), finnish(serial, h), h, strings.ToUpper(h[:3])+h[3:])
		}, ""},
		{"24 signing, Finnish", "fivrk", "sign", inFinland, func(h string) xroad.Key { return xroad.SignKey(newRSA(t, 2048), finnish(serial, "5550001"), h, h) }, ""},
		{"25 authentication, BasicACME", "xroad", "auth", member, func(h string) xroad.Key { return xroad.AuthKey(newRSA(t, 2048), basicAuth(h), h, h) }, ""},
		{"25 signing, BasicACME", "xroad", "sign", member, func(h string) xroad.Key { return xroad.SignKey(newRSA(t, 2048), basicSign("5550001"), h, h) }, ""},
		{"26 and 39 authentication without SAN", "xroad", "auth", member, func(h string) xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth(h), h) }, ""},
		{"23 authentication, Iceland", "is", "auth", "IS:GOV:5550001", func(h string) xroad.Key {
			return xroad.AuthKey(newSigner(t), []xroad.Attribute{{Type: xroad.Country, Value: "IS"}, {Type: xroad.CommonName, Value: h}, {Type: xroad.SerialNumber, Value: "IS/GOV/5550001/ss1"}}, h)
		}, ""},
		{"23 authentication, EJBCA, whose country is an instance", "ejbca", "auth", inFinland, func(h string) xroad.Key {
			return xroad.AuthKey(newSigner(t), []xroad.Attribute{{Type: xroad.Country, Value: "FI-TEST"}, {Type: xroad.CommonName, Value: h}}, h)
		}, ""},
		{"27 another instance, EJBCA", "ejbca", "auth", inFinland, func(h string) xroad.Key {
			return xroad.AuthKey(newSigner(t), []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.CommonName, Value: h}}, h)
		}, "unauthorized"},
		{"28 RSA 3072", "xroad", "sign", member, func(h string) xroad.Key { return xroad.SignKey(newRSA(t, 3072), basicSign("5550001"), h, h) }, ""},
		{"28 P-256", "xroad", "sign", member, func(h string) xroad.Key { return xroad.SignKey(newSigner(t), basicSign("5550001"), h, h) }, ""},
		{"27 a signing key by the other account", "xroad", "auth", member, func(h string) xroad.Key { return xroad.SignKey(newSigner(t), basicSign("5550001"), h, h) }, "badCSR"},
		{"27 an authentication key by the other account", "xroad", "sign", member, func(h string) xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth(h), h, h) }, "badCSR"},
		{"27 another member", "xroad", "sign", member, func(h string) xroad.Key { return xroad.SignKey(newSigner(t), basicSign("5550002"), h, h) }, "unauthorized"},
		{"27 another instance", "fivrk", "sign", inFinland, func(h string) xroad.Key {
			return xroad.SignKey(newSigner(t), finnish("FI/ss1/GOV", "5550001"), h, h)
		}, "unauthorized"},
		{"28 a name that was not ordered", "xroad", "auth", member, func(h string) xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth(h), h, "evil.localhost") }, "badCSR"},
		{"28 two names", "xroad", "auth", member, func(h string) xroad.Key {
			return xroad.AuthKey(newSigner(t), basicAuth(h), h, h, "evil.localhost")
		}, "badCSR"},
		{"28 no SAN and a foreign CN", "xroad", "auth", member, func(h string) xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth("evil.localhost"), h) }, "badCSR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := i.securityServer(t, tt.directory, tt.usage, tt.member)
			k := tt.key("s" + strings.ToLower(rand.Text()[:10]) + ".localhost")
			if tt.refused != "" {
				_, err := s.Order(t.Context(), k)
				wantRefusal(t, err, "order_finalization_failure", tt.refused)
				return
			}
			got := obtained(t, s, k)
			wantUsage(t, got.Leaf, tt.usage)
			if len(got.Leaf.DNSNames) != 1 || !strings.HasSuffix(got.Leaf.DNSNames[0], ".localhost") || len(got.Leaf.AuthorityKeyId) == 0 {
				t.Errorf("names %v, authority key %x", got.Leaf.DNSNames, got.Leaf.AuthorityKeyId)
			}
			// No leaf begins before the issuer, which is a minute older than the test.
			if got.Leaf.Issuer.String() != got.Chain[1].Subject.String() || time.Since(got.Leaf.NotBefore) < 30*time.Second {
				t.Errorf("issued by %s from %s", got.Leaf.Issuer, got.Leaf.NotBefore)
			}
		})
	}
}

// wantUsage wants the key usage that the issuing rules of 4.3 call safe, to the bit.
func wantUsage(t *testing.T, leaf *x509.Certificate, usage string) {
	t.Helper()
	want := x509.KeyUsageContentCommitment
	if usage == "auth" {
		want = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
		if _, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
			want = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
		}
	}
	if leaf.KeyUsage != want {
		t.Errorf("key usage %b, want %b", leaf.KeyUsage, want)
	}
	if usage == "sign" && len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 {
		t.Errorf("extended key usage %v", leaf.ExtKeyUsage)
	}
}

// TestXRoadRenewals are the cases 32 to 36 and 38: the hourly job.
func TestXRoadRenewals(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	ctx := t.Context()
	s := i.securityServer(t, "xroad", "sign", member)
	key := func(subject []xroad.Attribute) xroad.Key {
		return xroad.SignKey(newSigner(t), subject, "renewed.localhost", "renewed.localhost")
	}
	old := obtained(t, s, key(basicSign("5550001"))).Leaf

	t.Run("32 the window is there at once", func(t *testing.T) {
		start, end, err := s.RenewalInfo(ctx, old)
		if err != nil || end.Before(start) || !start.Before(old.NotAfter) {
			t.Errorf("from %s to %s, %v", start, end, err)
		}
		unknown := *old
		unknown.AuthorityKeyId = []byte("nobody")
		_, _, err = s.RenewalInfo(ctx, &unknown)
		var r *xroad.Refusal
		if !errors.As(err, &r) || r.Status != http.StatusNotFound {
			t.Errorf("an unknown certificate: %v", err)
		}
	})
	t.Run("33 a cycle that has nothing to do", func(t *testing.T) {
		for range 5 {
			if _, due, err := s.Renew(ctx, old, xroad.Key{}); due || err != nil {
				t.Fatal(due, err)
			}
		}
	})
	t.Run("34 and 35 renewed, and again with the same replaces", func(t *testing.T) {
		for range 2 {
			k := key(xroad.Reversed(basicSign("5550001")))
			issued, err := s.RenewNow(ctx, old, k)
			if err != nil {
				t.Fatal(err)
			}
			if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
				t.Error(err)
			}
			if _, _, err := s.RenewalInfo(ctx, issued.Leaf); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("36 replaces of another account, and of nobody", func(t *testing.T) {
		lost := i.securityServer(t, "xroad", "sign", member) // a new keystore
		unknown := *old
		unknown.AuthorityKeyId = []byte("nobody")
		for _, c := range []*struct{ name string }{{"another account"}, {"nobody"}} {
			from := old
			if c.name == "nobody" {
				from = &unknown
			}
			if _, err := lost.RenewNow(ctx, from, key(basicSign("5550001"))); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
	t.Run("36 the other usage of the member", func(t *testing.T) {
		auth := i.securityServer(t, "xroad", "auth", member)
		k := xroad.AuthKey(newSigner(t), basicAuth("renewed.localhost"), "renewed.localhost", "renewed.localhost")
		issued, err := auth.RenewNow(ctx, old, k) // the key says more than what is replaced
		if err != nil {
			t.Fatal(err)
		}
		if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
			t.Error(err)
		}
	})
	t.Run("38 a rollover is refused and nothing is lost", func(t *testing.T) {
		before := wantLogin(t, s, true, http.StatusOK)
		wantRefusal(t, s.RollOver(ctx), "", "unauthorized")
		if after := wantLogin(t, s, true, http.StatusOK); after != before {
			t.Errorf("the account became %s", after)
		}
	})
	t.Run("38 a rollover that is allowed, and forgotten", func(t *testing.T) {
		f := i.securityServer(t, "fivrk", "auth", member)
		before := wantLogin(t, f, true, http.StatusCreated)
		if err := f.RollOver(ctx); err != nil {
			t.Fatal(err)
		}
		if after := wantLogin(t, f, true, http.StatusCreated); after == before {
			t.Error("the old key still opens the account")
		}
	})
}
