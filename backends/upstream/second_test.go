package upstream_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
	"acmebridge/backends"
	"acmebridge/backends/upstream"
	"acmebridge/conformance/backendtest"
)

// second is another acmebridge, as a CA to ours.
type second struct {
	*servertest.Server
	cfg    upstream.Config
	solver *counted
}

// counted counts what is proved.
type counted struct {
	*upstream.Responder
	mu     sync.Mutex
	proofs map[string]int // by name
}

func (c *counted) Present(ctx context.Context, p upstream.Proof) error {
	c.mu.Lock()
	c.proofs[p.Name]++
	c.mu.Unlock()
	return c.Responder.Present(ctx, p)
}

func (c *counted) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proofs[name]
}

func startSecond(t *testing.T, o servertest.Options) *second {
	t.Helper()
	s := &second{Server: servertest.Start(t, o), solver: &counted{Responder: &upstream.Responder{}, proofs: map[string]int{}}}
	serve(t, s.HTTP01, s.solver)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.TLSRoot)
	s.cfg = upstream.Config{
		DirectoryURL: s.DirectoryURL("default"), RootCAs: roots, Dial: (&net.Dialer{}).DialContext,
		Dir: filepath.Join(t.TempDir(), "upstream"), AgreeToTerms: true, Roots: s.CA.Roots(), Solvers: []upstream.Solver{s.solver},
	}
	return s
}

// local is a request for names that a second acmebridge can reach.
func local(t *testing.T, names ...string) backends.Request {
	t.Helper()
	r := requestFor(t, names...)
	r.Contract.Usages = []acme.Usage{acme.ServerAuth, acme.ClientAuth}
	r.Contract.Subject, r.Contract.CommonName = acme.SubjectCommonName, names[0]
	return r
}

func TestContractSecond(t *testing.T) {
	t.Parallel()
	s := startSecond(t, servertest.Options{Queued: true, CrossSigned: true})
	s.cfg.Solvers = []upstream.Solver{refusing{s.solver}}
	backendtest.Run(t, func(t *testing.T) backendtest.Subject {
		cfg := s.cfg
		cfg.Dir = filepath.Join(t.TempDir(), "upstream")
		return backendtest.Subject{
			Backend: open(t, cfg),
			Request: func() backends.Request {
				host := strings.ToLower(rand.Text()) + ".localhost"
				return local(t, host, "www."+host)
			},
			Reopen: func() backends.Backend { return open(t, cfg) },
			Refuse: func() backends.Request { return local(t, "refused-"+strings.ToLower(rand.Text())+".localhost") },
		}
	})
}

// TestOwners: what was proved for one owner is taken back before another one
// could have a certificate by it, and the order of the first survives that.
func TestOwners(t *testing.T) {
	t.Parallel()
	s := startSecond(t, servertest.Options{Profile: func(p *acme.Profile) { p.ReuseAuthorizations = 30 * 24 * time.Hour }})
	now := time.Now()
	s.cfg.Now = func() time.Time { return now }
	b := open(t, s.cfg)
	const name = "shared.localhost"
	of := func(member acme.MemberID) backends.Request {
		r := local(t, name)
		r.Member = member
		return r
	}

	first := of("first")
	_, ticket, err := obtain(t, b, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := obtain(t, b, of("first")); err != nil || s.solver.of(name) != 1 {
		t.Errorf("the same owner again: %v; %d proofs, want that of the order that is still claimed", err, s.solver.of(name))
	}
	for _, b := range []*upstream.Backend{b, open(t, s.cfg)} { // the second one has the claims from the disk
		if _, err := b.Submit(t.Context(), of("second")); !backends.IsNotSent(err) || !strings.Contains(err.Error(), upstream.ErrInUse.Error()) {
			t.Errorf("another owner, while the engine may not have stored the first one's certificate: %v", err)
		}
	}
	if chain, err := b.Continue(t.Context(), first, ticket); err != nil || chain.Chain == nil {
		t.Errorf("the first owner's certificate once more: %v", err)
	}
	now = now.Add(3 * time.Hour)
	proofs := s.solver.of(name)
	if _, _, err := obtain(t, b, of("second")); err != nil || s.solver.of(name) != proofs+1 {
		t.Errorf("another owner, later: %v; %d proofs before, %d after", err, proofs, s.solver.of(name))
	}
	if chain, err := b.Continue(t.Context(), first, ticket); err != nil || chain.Chain == nil {
		t.Errorf("the first owner's certificate, when its proof is gone: %v", err)
	}
}

// TestPrevalidated: a CA that wants nothing proved is left its authorizations,
// and one that does needs an operator and not a refusal.
func TestPrevalidated(t *testing.T) {
	t.Parallel()
	trusting := startSecond(t, servertest.Options{Profile: func(p *acme.Profile) { p.ReuseAuthorizations = 30 * 24 * time.Hour }})
	const name = "vetted.localhost"
	if _, _, err := obtain(t, open(t, trusting.cfg), local(t, name)); err != nil {
		t.Fatal(err)
	}
	trusting.cfg.Solvers = nil // as if the portal had done it
	for range 2 {
		if _, _, err := obtain(t, open(t, trusting.cfg), local(t, name)); err != nil {
			t.Errorf("without a solver: %v", err)
		}
	}
	b := open(t, trusting.cfg)
	r := local(t, "unvetted.localhost")
	ticket, err := b.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Continue(t.Context(), r, ticket)
	if _, refused := backends.RefusalDetail(err); err == nil || refused || !strings.Contains(err.Error(), "unvetted.localhost") {
		t.Errorf("a name that was not vetted: %v", err)
	}
}

// heard keeps everything that a client was told.
type heard struct {
	http.RoundTripper
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = resp.Header.Write(&h.text) // a buffer
	h.text.Write(body)
	return resp, nil
}

// TestThroughTwo: a standard client orders at one acmebridge, which orders at
// another one. The client hears nothing of the other, also when that says no
// (SC-17, SC-18).
func TestThroughTwo(t *testing.T) {
	t.Parallel()
	behind := startSecond(t, servertest.Options{Queued: true, CrossSigned: true})
	behind.cfg.Solvers = []upstream.Solver{refusing{behind.solver}}
	front := servertest.Start(t, servertest.Options{Backend: open(t, behind.cfg)})
	responder := &upstream.Responder{}
	serve(t, front.HTTP01, responder)
	h := &heard{RoundTripper: front.Client().Transport}
	key := newKey(t)
	client := &xacme.Client{Key: key, DirectoryURL: front.DirectoryURL("default"), HTTPClient: &http.Client{Transport: h}}
	if _, err := client.Register(t.Context(), &xacme.Account{}, xacme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	order := func(name string) ([][]byte, string, error) {
		o, err := client.AuthorizeOrder(t.Context(), xacme.DomainIDs(name))
		if err != nil {
			t.Fatal(err)
		}
		prove(t, client, responder, o)
		if o, err = client.WaitOrder(t.Context(), o.URI); err != nil {
			t.Fatal(err)
		}
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		return client.CreateOrderCert(t.Context(), o.FinalizeURL, csr, true)
	}

	chain, at, err := order("through.localhost")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	pool, uppers := x509.NewCertPool(), x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: behind.CA.Roots()[0]}))
	for _, der := range chain[1:] {
		uppers.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "through.localhost", Roots: pool, Intermediates: uppers}); err != nil {
		t.Error(err)
	}
	_ = at
	if err := client.RevokeCert(t.Context(), nil, chain[0], xacme.CRLReasonSuperseded); err != nil {
		t.Error(err)
	}
	if _, _, err := order("refused.localhost"); err == nil || !strings.Contains(err.Error(), "invalid") {
		t.Errorf("what the CA cannot verify: %v", err)
	}
	u, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !strings.Contains(h.text.String(), "could not verify control of refused.localhost") {
		t.Errorf("the client was not told why:\n%s", h.text.String())
	}
	if strings.Contains(h.text.String(), u.Host) {
		t.Error("the client was told of the CA behind")
	}
}

// refusing leaves names that begin with "refused" unproved.
type refusing struct{ *counted }

func (r refusing) Present(ctx context.Context, p upstream.Proof) error {
	if strings.HasPrefix(p.Name, "refused") {
		return nil
	}
	return r.counted.Present(ctx, p)
}

// prove answers the http-01 challenges of an order.
func prove(t *testing.T, client *xacme.Client, responder *upstream.Responder, o *xacme.Order) {
	t.Helper()
	for _, u := range o.AuthzURLs {
		a, err := client.GetAuthorization(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range a.Challenges {
			if c.Type != "http-01" {
				continue
			}
			content, err := client.HTTP01ChallengeResponse(c.Token)
			if err != nil {
				t.Fatal(err)
			}
			if err := responder.Present(t.Context(), upstream.Proof{Token: c.Token, Content: content}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Accept(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
