package backendtest

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// registry is a small CA that remembers its orders, as those that cost money
// do: what was submitted is done after the next release, and a repeated
// submission is a second order.
type registry struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu       sync.Mutex
	orders   []*order
	byKey    map[string]int
	loseNext bool
	misissue string // a fault of sign, for the next order
	damaged  bool   // what is delivered

	misissueAgain string // a fault of sign, for what is issued again of the next order
	loseAgain     bool
	again         int // how often something was issued again
}

type order struct {
	request  backends.Request
	misissue string
	chain    [][]byte
	again    string // the fault of what is issued again
	second   [][]byte
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &registry{root: root, key: key, byKey: map[string]int{}}
}

// release grants everything that waits.
func (g *registry) release(fault string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.orders {
		if o.chain == nil {
			o.chain = g.sign(o.request, cmp.Or(o.misissue, fault))
		}
	}
}

func (g *registry) sign(r backends.Request, fault string) [][]byte {
	spki := r.PublicKey
	if fault == "another's" && len(g.orders) > 1 {
		return g.orders[len(g.orders)-2].chain
	}
	if fault == "wrong key" {
		spki, _ = x509.MarshalPKIXPublicKey(g.key.Public())
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: r.Contract.CommonName},
		NotBefore: r.At.Add(-time.Minute), NotAfter: r.Contract.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, id := range r.Contract.Identifiers {
		template.DNSNames = append(template.DNSNames, id.Value)
	}
	switch fault {
	case "extra name":
		template.DNSNames = append(template.DNSNames, "extra.example")
	case "missing name":
		template.DNSNames = template.DNSNames[:1]
	case "usage dropped":
		template.ExtKeyUsage = template.ExtKeyUsage[:1]
	case "no common name":
		template.Subject = pkix.Name{}
	case "own end":
		template.NotAfter = r.Contract.NotAfter.Add(-time.Hour)
	case "begins late":
		template.NotBefore = r.At.Add(time.Hour)
	case "serial repeated":
		template.SerialNumber = big.NewInt(7)
	case "leaf is a CA":
		template.BasicConstraintsValid, template.IsCA = true, true
	}
	der, err := x509.CreateCertificate(rand.Reader, template, g.root, public, g.key)
	if err != nil {
		return nil
	}
	if fault == "broken signature" {
		der[len(der)-1] ^= 1
	}
	return [][]byte{der}
}

// client is a backend for a registry. fault is the one thing that it, or its
// CA, does wrong.
type client struct {
	*registry
	fault string
	down  bool
}

func (c *client) Traits() backends.Traits {
	t := backends.Traits{HonoursNotAfter: true, MaxValidity: 365 * 24 * time.Hour, Private: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == "traits change" && len(c.orders) > 0 {
		t.Private = false
	}
	return t
}

var errConnect = errors.New("connection refused")

func (c *client) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if c.down {
		if c.fault == "unsure when down" {
			return "", errConnect
		}
		return "", backends.NotSent(errConnect)
	}
	if err := ctx.Err(); err != nil {
		if c.fault == "refuses when cancelled" {
			return "", backends.Refused("gave up", err)
		}
		return "", backends.NotSent(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Contract.NotAfter.Sub(r.At) > 365*24*time.Hour && c.fault != "any validity" {
		if c.fault == "refusal unsaid" {
			return "", errors.New("no")
		}
		return "", backends.Refused("too long", nil)
	}
	if c.fault == "spoils the request" {
		r.Contract.Identifiers[0].Value = "spoilt.example"
	}
	if _, again := c.byKey[r.Key]; again && c.fault == "refuses the second" {
		return "", backends.Refused("you have that already", nil)
	}
	c.byKey[r.Key] = len(c.orders)
	c.orders = append(c.orders, &order{request: r, misissue: c.misissue, again: c.misissueAgain})
	if c.misissueAgain = ""; c.fault != "wrong for ever" {
		c.misissue = ""
	}
	if c.fault == "buys two" {
		c.orders = append(c.orders, &order{request: r})
	}
	if c.loseNext {
		c.loseNext = false
		if c.fault == "lost is not sent" {
			return "", backends.NotSent(errConnect)
		}
		return "", errors.New("connection reset")
	}
	if c.fault == "long ticket" {
		return backends.Ticket(fmt.Sprintf("%03000d", len(c.orders)-1)), nil
	}
	return backends.Ticket(fmt.Sprint("o", len(c.orders)-1)), nil
}

func (c *client) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	if err := ctx.Err(); err != nil {
		return backends.Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var n int
	if _, err := fmt.Sscanf(string(t), "o%d", &n); err != nil || n < 0 || n >= len(c.orders) {
		if c.fault == "waits for the unknown" {
			return backends.Result{Note: "waiting"}, nil
		}
		return backends.Result{}, fmt.Errorf("no order %q", t)
	}
	o := c.orders[n]
	switch {
	case o.chain == nil && c.fault == "impatient":
		return backends.Result{}, errors.New("not ready")
	case o.chain != nil && n < len(c.orders)-1 && c.fault == "forgets the first" && c.orders[len(c.orders)-1].request.Key == o.request.Key:
		return backends.Result{}, errors.New("replaced")
	case c.damaged && c.fault == "damage is a refusal":
		return backends.Result{}, backends.Refused("there is nothing to fetch", nil)
	case c.damaged && c.fault == "damage is handed on" && o.chain != nil:
		return backends.Result{Chain: [][]byte{o.chain[0][:20]}}, nil
	case c.damaged:
		return backends.Result{}, errors.New("the delivery is damaged")
	}
	if c.fault == "signs each time" && o.chain != nil {
		return backends.Result{Chain: c.sign(o.request, "")}, nil
	}
	return backends.Result{Chain: o.chain, Note: "waiting for the registrar"}, nil
}

func (c *client) Find(_ context.Context, r backends.Request) (backends.Ticket, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.byKey[r.Key]
	if c.fault == "finds nothing" {
		ok = false
	}
	if c.fault == "finds anything" {
		ok = true
	}
	if !ok {
		return "", false, nil
	}
	return backends.Ticket(fmt.Sprint("o", n)), true, nil
}

func (c *client) Revoke(_ context.Context, cert acme.Certificate, _ acme.RevocationReason) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.byKey[string(cert.ID)]
	if !ok {
		return errors.New("no such certificate")
	}
	if c.fault == "revokes once" && c.orders[n].request.Order == "" {
		return errors.New("already revoked")
	}
	if c.fault == "revokes once" {
		c.orders[n].request.Order = ""
	}
	return nil
}

func (c *client) RenewalInfo(_ context.Context, cert acme.Certificate) (backends.RenewalInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.byKey[string(cert.ID)]
	if !ok {
		return backends.RenewalInfo{}, errors.New("no such certificate")
	}
	end := c.orders[n].request.Contract.NotAfter
	w := acme.Window{Start: end.Add(-48 * time.Hour), End: end.Add(-24 * time.Hour)}
	switch c.fault {
	case "window backwards":
		w.Start, w.End = w.End, w.Start
	case "window after the end":
		w = acme.Window{Start: end.Add(24 * time.Hour), End: end.Add(48 * time.Hour)}
	case "advice only once":
		delete(c.byKey, string(cert.ID))
	}
	return backends.RenewalInfo{Window: w, After: 6 * time.Hour}, nil
}

func (c *client) Check(context.Context) error {
	if c.fault == "always alarmed" {
		return errors.New("something may happen")
	}
	return nil
}

func (c *client) Roots() [][]byte         { return [][]byte{c.root.Raw} }
func (c *client) Intermediates() [][]byte { return nil }
func (c *client) CRLNames() []string      { return []string{"crl/registry.crl"} }

func (c *client) SignCRL(name string, number int64, thisUpdate time.Time, revoked []backends.Revoked) ([]byte, time.Time, error) {
	if name != "crl/registry.crl" && c.fault != "any list" {
		return nil, time.Time{}, errors.New("no such list")
	}
	if c.fault == "own numbers" {
		number++
	}
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: thisUpdate, NextUpdate: thisUpdate.Add(48 * time.Hour)}
	for _, r := range revoked {
		if string(r.AuthorityKeyID) == string(c.root.SubjectKeyId) || c.fault == "lists all" {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: new(big.Int).SetBytes(r.Serial), RevocationTime: r.At, ReasonCode: int(r.Reason),
			})
		}
	}
	e := list.RevokedCertificateEntries
	for i := range e {
		for j := range i {
			if c.fault != "unsorted list" && e[i].SerialNumber.Cmp(e[j].SerialNumber) < 0 {
				e[i], e[j] = e[j], e[i]
			}
		}
	}
	if c.fault == "reason said" && len(e) > 0 {
		for i := range e {
			if e[i].ReasonCode == 0 {
				e[i].ReasonCode = int(acme.CessationOfOperation)
			}
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, c.root, c.key)
	next := thisUpdate.Add(24 * time.Hour)
	if c.fault == "next too late" {
		next = thisUpdate.Add(72 * time.Hour)
	}
	return der, next, err
}

// mending is a client of a registry that issues again for nothing, at once.
type mending struct{ *client }

func (c mending) Reissue(_ context.Context, r backends.Request, t backends.Ticket, _ []byte) (backends.Ticket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.orders[c.byKey[r.Key]]
	o.second = c.sign(o.request, o.again)
	if c.again++; c.fault == "buys what it issues again" {
		c.orders = append(c.orders, &order{request: r})
	}
	if c.loseAgain {
		c.loseAgain = false
		if c.fault == "lost again is not sent" {
			return "", backends.NotSent(errConnect)
		}
		return "", errors.New("connection reset")
	}
	return t + "+", nil
}

func (c mending) FindReissue(_ context.Context, r backends.Request, t backends.Ticket, _ []byte) (backends.Ticket, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.orders[c.byKey[r.Key]].second != nil
	switch c.fault {
	case "finds nothing again":
		found = false
	case "finds any reissue":
		found = true
	}
	return t + "+", found, nil
}

func (c mending) Poll(ctx context.Context, t backends.Ticket) (backends.Result, error) {
	first, again := strings.CutSuffix(string(t), "+")
	got, err := c.client.Poll(ctx, backends.Ticket(first))
	if !again || err != nil || c.fault == "delivers the wrong one" {
		return got, err
	}
	var n int
	if _, err := fmt.Sscanf(first, "o%d", &n); err != nil {
		return got, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return backends.Result{Chain: c.orders[n].second}, nil
}

// issuing is a client that claims to be a function, and is one only with care.
type issuing struct{ *client }

func (c issuing) Issue(r backends.Request) ([][]byte, error) {
	c.mu.Lock()
	n, ok := c.byKey[r.Key]
	c.mu.Unlock()
	if !ok || c.fault == "issues anew" {
		if _, err := c.Submit(context.Background(), r); err != nil {
			return nil, err
		}
		c.release(c.fault)
		c.mu.Lock()
		n = c.byKey[r.Key]
		c.mu.Unlock()
	}
	return c.orders[n].chain, nil
}

// Submit repeats the ticket of what was issued, which makes the two agree.
func (c issuing) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if t, ok, _ := c.Find(ctx, r); ok && c.fault == "" {
		return t, nil
	}
	return c.client.Submit(ctx, r)
}

// misissues returns what makes the registry issue its next order wrongly.
func (g *registry) misissues(fault string) func() {
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.misissue = fault
	}
}
