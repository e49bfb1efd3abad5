package upstream_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/upstream"
	"acmebridge/conformance/backendtest"
	"acmebridge/conformance/pebbletest"
)

// patience is for a busy machine; nothing here takes that long.
const patience = 2 * time.Minute

// sometimes answers http-01, but for names that begin with "unproved".
type sometimes struct{ *upstream.Responder }

func (s sometimes) Present(ctx context.Context, p upstream.Proof) error {
	if strings.HasPrefix(p.Name, "unproved") {
		return nil
	}
	return s.Responder.Present(ctx, p)
}

// world is a Pebble and what it takes to be its client.
type world struct {
	pebble *pebbletest.Server
	roots  *x509.CertPool
	solver sometimes
	cfg    upstream.Config
}

func newWorld(t *testing.T, p pebbletest.Config) *world {
	t.Helper()
	w := &world{pebble: pebbletest.Start(t, p), roots: x509.NewCertPool(), solver: sometimes{&upstream.Responder{}}}
	w.roots.AppendCertsFromPEM(w.pebble.RootsPEM)
	if w.pebble.HTTP01Listener != nil {
		serve(t, w.pebble.HTTP01Listener, w.solver)
	}
	w.cfg = upstream.Config{
		DirectoryURL: w.pebble.DirectoryURL, RootCAs: w.roots, Dial: (&net.Dialer{}).DialContext,
		Dir: filepath.Join(t.TempDir(), "upstream"), Contacts: []string{"mailto:ca@example.org"}, AgreeToTerms: true,
		Roots: w.pebble.Issuing, Solvers: []upstream.Solver{w.solver},
	}
	return w
}

func serve(t *testing.T, l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }() // ends by Close
	t.Cleanup(func() { _ = s.Close(); <-ended })
}

func open(t *testing.T, cfg upstream.Config) *upstream.Backend {
	t.Helper()
	b, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request is for what Pebble issues: servers only, and nothing in the subject.
func request() backends.Request {
	// Pebble does not let certificates begin in the past, so the order has to be
	// from a moment later.
	r := backendtest.NewRequest(time.Now().Add(time.Minute), backends.Traits{})
	r.Contract.Usages = []acme.Usage{acme.ServerAuth}
	r.Contract.Subject, r.Contract.CommonName = acme.SubjectEmpty, ""
	return r
}

// requestFor is a request for these names.
func requestFor(t *testing.T, names ...string) backends.Request {
	t.Helper()
	r := request()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if r.CSR, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key); err != nil {
		t.Fatal(err)
	}
	if r.PublicKey, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	r.Contract.KeyHash, r.Contract.Identifiers = sha256.Sum256(r.PublicKey), nil
	for _, n := range names {
		r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: acme.DNSIdentifier, Value: n})
	}
	return r
}

// obtain does what the engine does: it submits once and continues until there is
// a chain.
func obtain(t *testing.T, b *upstream.Backend, r backends.Request) ([][]byte, backends.Ticket, error) {
	t.Helper()
	ticket, err := b.Submit(t.Context(), r)
	if err != nil {
		return nil, "", err
	}
	chain, err := carryOn(t, b, r, ticket)
	return chain, ticket, err
}

func carryOn(t *testing.T, b *upstream.Backend, r backends.Request, ticket backends.Ticket) ([][]byte, error) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		got, err := b.Continue(t.Context(), r, ticket)
		if err != nil || got.Chain != nil {
			return got.Chain, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatal("no certificate in time")
	return nil, nil
}

func TestContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{RejectNonces: 20, AlternateRoots: 1, ReuseProofs: 50, Strict: true})
	backendtest.Run(t, func(t *testing.T) backendtest.Subject {
		m := newMiddle(t, w)
		cfg := w.cfg
		cfg.Dir = filepath.Join(t.TempDir(), "upstream")
		cfg.DirectoryURL, cfg.RootCAs, cfg.Roots = m.directory, m.roots, append([][]byte{m.ca.Raw}, cfg.Roots...)
		return backendtest.Subject{
			Backend: open(t, cfg), Request: request,
			Reopen: func() backends.Backend { return open(t, cfg) },
			Refuse: func() backends.Request { return requestFor(t, "unproved.example.org") },
			Unreachable: func() backends.Backend {
				away := cfg
				away.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("the network is down") }
				return open(t, away)
			},
			Bought:    m.bought,
			LoseReply: func() { m.loseReply(finalizePath) },
			Misissue: map[string]func(){
				"an extra name": func() {
					m.misissue(func(leaf *x509.Certificate) { leaf.DNSNames = append(leaf.DNSNames, "extra.example.org") })
				},
				"a missing name": func() { m.misissue(func(leaf *x509.Certificate) { leaf.DNSNames = leaf.DNSNames[:1] }) },
				"an extra usage": func() {
					m.misissue(func(leaf *x509.Certificate) { leaf.ExtKeyUsage = append(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) })
				},
			},
			Damage: map[string]func(){
				"a certificate cut off":      func() { m.damage(certificatePath, func(b []byte) []byte { return b[:len(b)/3] }) },
				"an HTML page":               func() { m.damage("/", func([]byte) []byte { return []byte("<html>sorry</html>") }) },
				"an order without end":       func() { m.damage(orderPath, func([]byte) []byte { return bytes.Repeat([]byte("["), 5<<20) }) },
				"links to somewhere else":    func() { m.damage(orderPath, elsewhere) },
				"every nonce refused":        func() { m.refuse(400, "badNonce") },
				"an error of the server":     func() { m.refuse(500, "serverInternal") },
				"too many requests":          func() { m.refuse(429, "rateLimited") },
				"the account is not let in":  func() { m.refuse(403, "unauthorized") },
				"a certificate with nothing": func() { m.damage(certificatePath, func([]byte) []byte { return nil }) },
			},
			Mend: m.mend,
		}
	})
}

// TestExternalAccount: the binding is used once, and then the account key is
// enough. Without it, or with a wrong one, an operator has to act.
func TestExternalAccount(t *testing.T) {
	t.Parallel()
	hmac := []byte("0123456789abcdef0123456789abcdef")
	w := newWorld(t, pebbletest.Config{ExternalAccounts: map[string]string{"kid-1": base64.RawURLEncoding.EncodeToString(hmac)}})
	w.cfg.Passphrase = func() ([]byte, error) { return []byte("a passphrase"), nil }
	w.cfg.KeyIterations = 1000

	for name, bound := range map[string]*upstream.ExternalAccount{
		"none":      nil,
		"wrong key": {KeyID: "kid-1", HMAC: func() ([]byte, error) { return []byte("abcdefabcdefabcdefabcdefabcdefab"), nil }},
	} {
		cfg := w.cfg
		cfg.ExternalAccount = bound
		_, err := open(t, cfg).Submit(t.Context(), request())
		if !errors.Is(err, backends.ErrCredentials) || !backends.IsNotSent(err) {
			t.Errorf("%s: %v, want that the credentials are not accepted", name, err)
		}
	}

	w.cfg.ExternalAccount = &upstream.ExternalAccount{KeyID: "kid-1", HMAC: func() ([]byte, error) { return hmac, nil }}
	if err := open(t, w.cfg).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cfg.ExternalAccount.HMAC = func() ([]byte, error) { t.Error("the binding is used a second time"); return hmac, nil }
	if _, _, err := obtain(t, open(t, w.cfg), request()); err != nil {
		t.Errorf("by another instance: %v", err)
	}
	w.cfg.Passphrase = func() ([]byte, error) { return []byte("another passphrase"), nil }
	if err := open(t, w.cfg).Check(t.Context()); err == nil {
		t.Error("the account key opens with any passphrase")
	}
}

// TestNonceStorm: every other good nonce is refused.
func TestNonceStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{RejectNonces: 50})
	if _, _, err := obtain(t, open(t, w.cfg), request()); err != nil {
		t.Error(err)
	}
}

// TestReusedProofs: a CA that gives each order whatever proof it has gives nobody a
// certificate by somebody else's (SC-17).
func TestReusedProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{ReuseProofs: 100, RejectNonces: 20})
	solver := &counted{Responder: w.solver.Responder, proofs: map[string]int{}}
	w.cfg.Solvers = []upstream.Solver{solver}
	now := time.Now()
	w.cfg.Now = func() time.Time { return now }
	b := open(t, w.cfg)
	const name = "shared.example.org"
	of := func(member acme.MemberID) backends.Request {
		r := requestFor(t, name)
		r.Member = member
		return r
	}
	for _, step := range []struct {
		member acme.MemberID
		proofs int
	}{{"first", 1}, {"first", 1}, {"second", 2}, {"second", 2}, {"first", 3}} {
		r := of(step.member)
		if step.proofs > solver.of(name) && step.proofs > 1 {
			if _, err := b.Submit(t.Context(), r); !backends.IsNotSent(err) || !errors.Is(err, upstream.ErrInUse) {
				t.Errorf("%s, while another owner's certificate may not be stored: %v", step.member, err)
			}
			now = now.Add(3 * time.Hour)
		}
		if _, _, err := obtain(t, b, r); err != nil || solver.of(name) != step.proofs {
			t.Errorf("%s: %v; %d proofs, want %d", step.member, err, solver.of(name), step.proofs)
		}
	}
}

// TestAccountDeactivated: no other account is made, nothing is called refused,
// and the orders wait for an operator.
func TestAccountDeactivated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{})
	b := open(t, w.cfg)
	r := request()
	ticket, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	operator := &xacme.Client{
		Key: accountKey(t, w.cfg.Dir), DirectoryURL: w.pebble.DirectoryURL,
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}}},
	}
	if err := operator.DeactivateReg(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is remembered of the account, and what is looked at anew
		_, err := b.Continue(t.Context(), r, ticket)
		if _, refused := backends.RefusalDetail(err); refused || !errors.Is(err, backends.ErrCredentials) {
			t.Errorf("continue: %v", err)
		}
		if _, err := b.Submit(t.Context(), request()); !errors.Is(err, backends.ErrCredentials) || !backends.IsNotSent(err) {
			t.Errorf("submit: %v", err)
		}
	}
}

// TestAlternates: further chains are learned, and certify the leaf.
func TestAlternates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pebbletest.Config{AlternateRoots: 2})
	b := open(t, w.cfg)
	chain, _, err := obtain(t, b, request())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	found := b.AlternateChains()
	if len(found) != 2 {
		t.Fatalf("%d alternate chains, want 2", len(found))
	}
	for _, up := range found {
		issuer, err := x509.ParseCertificate(up[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := leaf.CheckSignatureFrom(issuer); err != nil {
			t.Errorf("an alternate chain: %v", err)
		}
	}
}
