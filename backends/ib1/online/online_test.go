package online_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/backends/ib1/online"
)

// birth is when the trees of the tests are made.
var birth = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// place is a folder whose clock the test sets.
type place struct {
	t   *testing.T
	dir string
	now time.Time
}

func (p *place) keys() ceremony.Keys {
	return ceremony.FileKeys{Dir: p.dir, Iterations: 1000, Passphrase: func(string) ([]byte, error) { return []byte("correct horse"), nil }}
}

// do works in the folder as a command does.
func (p *place) do(work func(*ceremony.Folder) error) {
	p.t.Helper()
	cfg := ceremony.Config{Dir: p.dir, By: "test", Keys: p.keys(), Now: func() time.Time { return p.now }}
	if _, err := os.Stat(filepath.Join(p.dir, "framework.json")); err != nil {
		cfg.Settings = &ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"}
	}
	f, err := ceremony.Open(cfg)
	if err == nil {
		err = errors.Join(work(f), f.Close())
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// newPlace has one issuer, and the list of the root, in each of these trees.
func newPlace(t *testing.T, trees ...ib1.Tree) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), now: birth}
	for _, tree := range trees {
		p.do(func(f *ceremony.Folder) error {
			_, err1 := f.CreateRoot(tree)
			_, _, err2 := f.RotateIssuer(tree)
			_, err3 := f.SignList(tree, 0)
			return errors.Join(err1, err2, err3)
		})
	}
	return p
}

func (p *place) open(trees ...ib1.Tree) *online.CA {
	p.t.Helper()
	ca, err := online.Open(online.Config{Dir: p.dir, Keys: p.keys(), Trees: trees, Now: func() time.Time { return p.now }})
	if err != nil {
		p.t.Fatal(err)
	}
	return ca
}

func holder() ib1.Holder {
	return ib1.Holder{
		Country: "GB", Organization: "Example Company Ltd",
		Application: "https://directory.core.trust.ib1.org/a/883391", Member: "https://directory.core.trust.ib1.org/m/827252",
		Roles: []string{"https://registry.core.trust.ib1.org/scheme/energy/role/auditor"},
	}
}

// request is one with a key of its own.
func request(t *testing.T, n int, at time.Time) backends.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return backends.Request{Key: fmt.Sprintf("%032x", n), PublicKey: spki, At: at}
}

func parse(t *testing.T, chain [][]byte, err error) *x509.Certificate {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func revoked(c *x509.Certificate, at time.Time, reason acme.RevocationReason) backends.Revoked {
	return backends.Revoked{Serial: c.SerialNumber.Bytes(), AuthorityKeyID: c.AuthorityKeyId, At: at, Reason: reason, NotAfter: c.NotAfter}
}

// TestIssue: certificates come from the issuer of their tree, and a request that
// is signed again gives the same bytes.
func TestIssue(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client, ib1.Signing, ib1.Server)
	ca := p.open()
	serials := map[string]bool{}
	for n, tree := range ib1.Trees() {
		r := request(t, 1, birth)
		make := func() ([][]byte, error) {
			if tree == ib1.Server {
				return ca.IssueServer([]string{"api.example.org"}, r)
			}
			return ca.IssueMember(tree, holder(), r)
		}
		chain, err := make()
		leaf := parse(t, chain, err)
		again, err := make()
		if err != nil || !bytes.Equal(again[0], chain[0]) {
			t.Errorf("%s: signing again gave something else: %v", tree, err)
		}
		other, err := p.open().IssueMember(ib1.Client, holder(), request(t, 100+n, birth))
		serials[leaf.SerialNumber.String()], serials[parse(t, other, err).SerialNumber.String()] = true, true
		if len(chain) != 2 {
			t.Fatalf("%s: a chain of %d", tree, len(chain))
		}
		issuer := parse(t, chain[1:], nil)
		if err := leaf.CheckSignatureFrom(issuer); err != nil {
			t.Errorf("%s: %v", tree, err)
		}
	}
	if len(serials) != 6 {
		t.Errorf("six certificates have %d numbers", len(serials))
	}
	if _, err := p.open(ib1.Client).IssueMember(ib1.Signing, holder(), request(t, 2, birth)); err == nil {
		t.Error("a tree that is not served issued")
	}
	p.now = birth.Add(91 * day)
	if _, err := ca.IssueMember(ib1.Client, holder(), request(t, 3, p.now)); !errors.Is(err, ib1.ErrRotate) {
		t.Errorf("an issuer that does not cover a year: %v", err)
	}
}

// TestIssueLinted: what only the linter objects to is refused for good. The
// client learns that, and the operator which lint it was.
func TestIssueLinted(t *testing.T) {
	t.Parallel()
	h := holder()
	h.Organization = "Fish &amp; Chips Ltd"
	_, err := newPlace(t, ib1.Client).open().IssueMember(ib1.Client, h, request(t, 1, birth))
	detail, refused := backends.RefusalDetail(err)
	if !refused || backends.RefusalType(err) != acme.ServerInternal || strings.Contains(detail, "lint") || strings.Contains(detail, "key") {
		t.Errorf("the client is told %q of %v", detail, err)
	}
	if !errors.Is(err, ib1.ErrLint) || !strings.Contains(err.Error(), "e_subj_contains_html_entities") {
		t.Errorf("the operator is told %v", err)
	}
}

// TestRehearse: what could get no certificate is known before anybody asks for
// one, without the key of the issuer.
func TestRehearse(t *testing.T) {
	t.Parallel()
	ca, err := online.Open(online.Config{Dir: newPlace(t, ib1.Client, ib1.Signing).dir})
	if err != nil {
		t.Fatal(err)
	}
	holder := acme.IB1Holder{Tree: acme.IB1Client, Country: "GB", Organization: "Fish & Chips Ltd", Application: holder().Application, Member: holder().Member, Roles: holder().Roles}
	for name, c := range map[string]struct {
		change func(*acme.IB1Holder)
		want   string
	}{
		"good":          {func(*acme.IB1Holder) {}, ""},
		"good, signing": {func(h *acme.IB1Holder) { h.Tree = acme.IB1Signing }, ""},
		"servers":       {func(h *acme.IB1Holder) { *h = acme.IB1Holder{Tree: acme.IB1Server} }, ""},
		"underscore in path": {func(h *acme.IB1Holder) {
			h.Tree, h.Application = acme.IB1Signing, "https://directory.example.org/a/my_app"
		}, ""},
		"markup":      {func(h *acme.IB1Holder) { h.Organization = "Fish &amp; Chips Ltd" }, "e_subj_contains_html_entities"},
		"no words":    {func(h *acme.IB1Holder) { h.Tree, h.Organization = acme.IB1Signing, "--" }, "e_subject_contains_noninformational_value"},
		"mixed up":    {func(h *acme.IB1Holder) { h.Organization = "BjÃ¶rk AB" }, "e_utf8_latin1_mixup"},
		"one label":   {func(h *acme.IB1Holder) { h.Application = "https://localhost/a/1" }, "e_ext_san_uri_host_not_fqdn_or_ip"},
		"empty label": {func(h *acme.IB1Holder) { h.Application = "https://a..b/a/1" }, "invalid domain"},
		"long":        {func(h *acme.IB1Holder) { h.Application += strings.Repeat("1", 64) }, "64"},
		"no role":     {func(h *acme.IB1Holder) { h.Roles = nil }, "role"},
	} {
		h := holder
		c.change(&h)
		if err := ca.Rehearse(h); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestSignCRL: entries are those of the list's own key, whatever else is revoked
// or odd about them, and what was noted in the folder.
func TestSignCRL(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client, ib1.Signing)
	ca := p.open()
	chain, err := ca.IssueMember(ib1.Client, holder(), request(t, 1, birth))
	client := parse(t, chain, err)
	chain, err = ca.IssueMember(ib1.Signing, holder(), request(t, 2, birth))
	signing := parse(t, chain, err)
	p.do(func(f *ceremony.Folder) error {
		return f.Revoke(ib1.Client, 1, ib1.Revocation{Serial: big.NewInt(77), At: birth, Reason: 4})
	})
	all := []backends.Revoked{
		revoked(client, birth.Add(time.Second+time.Millisecond), acme.KeyCompromise), revoked(signing, birth, acme.CACompromise),
		{Serial: []byte{9}, AuthorityKeyID: []byte("another"), At: birth},
	}
	names := ca.CRLNames()
	if len(names) != 2 || !strings.HasPrefix(names[0], "crl/ib1-client-") || !strings.HasPrefix(names[1], "crl/ib1-signing-") {
		t.Fatalf("lists %q", names)
	}
	at := birth.Add(time.Second)
	want := []string{"77/4 " + client.SerialNumber.String() + "/1", signing.SerialNumber.String() + "/0"}
	for i, name := range names {
		der, next, err := ca.SignCRL(name, 5, at, all)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list.RevokedCertificateEntries {
			got = append(got, fmt.Sprintf("%s/%d", e.SerialNumber, e.ReasonCode))
		}
		if strings.Join(got, " ") != want[i] || list.Number.Int64() != 5 || !list.ThisUpdate.Equal(at) || !next.Equal(list.NextUpdate) {
			t.Errorf("%s: %v, want %s; number %s", name, got, want[i], list.Number)
		}
	}
	// Kept for ever in the Signing tree, and there alone.
	if kept, _ := filepath.Glob(filepath.Join(p.dir, "*", "list-*-5.crl")); len(kept) != 1 || filepath.Base(filepath.Dir(kept[0])) != "signing" {
		t.Errorf("kept %q", kept)
	}
	// What is signed here is no change of the folder: else the next list would
	// follow at once, and so on.
	if changed, err := ca.Refresh(); !changed || err != nil { // what was noted above
		t.Errorf("a revocation was noted: %v, %v", changed, err)
	}
	for number := range int64(3) {
		for _, name := range names {
			if _, _, err := ca.SignCRL(name, 6+number, at, all); err != nil {
				t.Fatal(err)
			}
		}
		if changed, err := ca.Refresh(); changed || err != nil {
			t.Errorf("our own lists were taken for a change of the folder: %v, %v", changed, err)
		}
	}
	for i, forget := range []bool{true, false} {
		if rule, err := ca.CRLRule(names[i]); err != nil || rule.Forget != forget || rule.After != 0 {
			t.Errorf("%s: %+v, %v", names[i], rule, err)
		}
	}
	if _, _, err := ca.SignCRL("crl/other.crl", 1, at, nil); err == nil {
		t.Error("a list of an unknown name was signed")
	}
}

// TestParts: every part is a list of its own, and all are in the bundle.
func TestParts(t *testing.T) {
	t.Parallel()
	p := &place{t: t, dir: t.TempDir(), now: birth}
	f, err := ceremony.Open(ceremony.Config{Dir: p.dir, Keys: p.keys(), Settings: &ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org", ListParts: 3}})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	p.do(func(f *ceremony.Folder) error {
		_, err1 := f.CreateRoot(ib1.Client)
		_, _, err2 := f.RotateIssuer(ib1.Client)
		if _, err := f.SignList(ib1.Client, 1); err == nil || !strings.Contains(err.Error(), "in 3 lists") {
			t.Errorf("signed offline: %v", err)
		}
		return errors.Join(err1, err2)
	})
	ca := p.open()
	chain, err := ca.IssueMember(ib1.Client, holder(), request(t, 1, birth))
	leaf := parse(t, chain, err)
	names, listed := ca.CRLNames(), 0
	for _, name := range names {
		der, _, err := ca.SignCRL(name, 1, birth, []backends.Revoked{revoked(leaf, birth, acme.Superseded)})
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(list.RevokedCertificateEntries); n > 0 {
			listed++
			if leaf.CRLDistributionPoints[0] != "http://pki.example.org/"+name {
				t.Errorf("it is on %s and says %q", name, leaf.CRLDistributionPoints)
			}
		}
	}
	if len(names) != 3 || listed != 1 || len(ca.CRLBundles()[0].Lists) != 4 {
		t.Errorf("lists %q, %d with the entry, bundles %+v", names, listed, ca.CRLBundles())
	}
}

// TestAfter: numbers go on above those of lists that were signed in the folder.
func TestAfter(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client)
	for range 3 {
		p.do(func(f *ceremony.Folder) error { _, err := f.SignList(ib1.Client, 1); return err })
	}
	ca := p.open()
	if rule, err := ca.CRLRule(ca.CRLNames()[0]); err != nil || rule.After != 3 {
		t.Errorf("%+v, %v", rule, err)
	}
}

// TestServed: once lists are signed here, the folder signs none of issuers,
// which would lack what was revoked here; those of roots it does.
func TestServed(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client)
	ca := p.open()
	p.do(func(f *ceremony.Folder) error { _, err := f.SignList(ib1.Client, 1); return err })
	for n := range int64(2) {
		if _, _, err := ca.SignCRL(ca.CRLNames()[0], 7+n, birth, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.do(func(f *ceremony.Folder) error {
		if _, err := f.SignList(ib1.Client, 1); !errors.Is(err, ceremony.ErrServed) {
			t.Errorf("signed in the folder: %v", err)
		}
		_, err := f.SignList(ib1.Client, 0)
		return err
	})
}

// TestRotation: what a ceremony adds is taken up while the CA is open, and what
// retires signs lists on and certificates no more.
func TestRotation(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client)
	ca := p.open()
	if changed, err := ca.Refresh(); changed || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}
	p.now = birth.Add(85 * day)
	alarms := ca.Alarms()
	if len(alarms) != 1 || alarms[0].Urgent || !alarms[0].Due.Equal(birth.Add(90*day)) || !strings.Contains(alarms[0].Text, "rotate the issuer before") {
		t.Errorf("alarms before: %+v", alarms)
	}
	if got := ca.Covered()[ib1.Client]; !got.Equal(birth.Add(90 * day)) {
		t.Errorf("covered until %s", got)
	}
	if err := ca.Check(t.Context()); err != nil {
		t.Errorf("nothing is urgent: %v", err)
	}
	p.now = birth.Add(90*day + time.Hour)
	if err := ca.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "no certificate can be issued") {
		t.Errorf("an uncovered tree: %v", err)
	}
	p.do(func(f *ceremony.Folder) error { _, _, err := f.RotateIssuer(ib1.Client); return err })
	if changed, err := ca.Refresh(); !changed || err != nil {
		t.Errorf("the folder has changed: %v, %v", changed, err)
	}
	if got := ca.Alarms(); len(got) != 0 {
		t.Errorf("alarms after: %+v", got)
	}
	if names := ca.CRLNames(); len(names) != 2 {
		t.Errorf("lists %q", names)
	}
	if b := ca.CRLBundles(); len(b) != 1 || b[0].Name != "crl/ib1-client.pem" || len(b[0].Lists) != 3 {
		t.Errorf("bundles %+v", b)
	}
	chain, err := ca.IssueMember(ib1.Client, holder(), request(t, 1, p.now))
	if leaf := parse(t, chain, err); !bytes.Equal(leaf.AuthorityKeyId, parse(t, ca.Intermediates()[1:], nil).SubjectKeyId) {
		t.Error("the old issuer has signed")
	}
	p.now = birth.Add((365 + 90 + 1) * day)
	if names := ca.CRLNames(); len(names) != 1 {
		t.Errorf("lists after the end of the first issuer: %q", names)
	}
	if all := ca.Publications(); len(all) != 5 {
		t.Errorf("%d publications, want root, two issuers, bundle and list of the root", len(all))
	}
}

// TestRootList: a root's list comes from elsewhere, and its end is announced.
func TestRootList(t *testing.T) {
	t.Parallel()
	p := newPlace(t, ib1.Client)
	if err := os.RemoveAll(filepath.Join(p.dir, "public", "crl")); err != nil {
		t.Fatal(err)
	}
	ca := p.open()
	if a := ca.Alarms(); len(a) != 1 || !a[0].Urgent || !strings.Contains(a[0].Text, "no revocation list of the root") {
		t.Errorf("without: %+v", a)
	}
	p.do(func(f *ceremony.Folder) error { _, err := f.SignList(ib1.Client, 0); return err })
	if _, err := ca.Refresh(); err != nil || len(ca.Alarms()) != 0 {
		t.Errorf("with: %+v, %v", ca.Alarms(), err)
	}
	found := false
	for _, x := range ca.Publications() {
		if x.ContentType == "application/pkix-crl" {
			found = x.At.Equal(birth) && x.Next.After(birth.Add(364*day))
		}
	}
	if !found {
		t.Errorf("the list of the root is not published: %+v", ca.Publications())
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	if _, err := online.Open(online.Config{Dir: t.TempDir()}); !errors.Is(err, ceremony.ErrNoFramework) {
		t.Errorf("an empty folder: %v", err)
	}
	p := newPlace(t, ib1.Client)
	if _, err := online.Open(online.Config{Dir: p.dir, Keys: p.keys(), Trees: []ib1.Tree{ib1.Signing}}); !errors.Is(err, online.ErrNoTree) {
		t.Errorf("a tree that is not there: %v", err)
	}
	wrong := ceremony.FileKeys{Dir: p.dir, Passphrase: func(string) ([]byte, error) { return []byte("wrong"), nil }}
	if _, err := online.Open(online.Config{Dir: p.dir, Keys: wrong}); err == nil {
		t.Error("a wrong passphrase was not noticed")
	}
	looking, err := online.Open(online.Config{Dir: p.dir})
	if err != nil || len(looking.CRLNames()) != 0 || len(looking.Roots()) != 1 {
		t.Errorf("without keys: %v, %v", looking, err)
	}
}
