package localca

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// movable is a configuration whose clock the test sets.
func movable(t testing.TB) (Config, *time.Time) {
	now := birth
	cfg := testConfig(t)
	cfg.Now = func() time.Time { return now }
	return cfg, &now
}

func TestInitRefusesWhatIsThere(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := Rotate(cfg); err == nil || !strings.Contains(err.Error(), "make one with init") {
		t.Errorf("rotated nothing: %v", err)
	}
	if err := Init(cfg); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(filepath.Join(cfg.Dir, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Init(cfg); err == nil || !strings.Contains(err.Error(), "holds a CA already") {
		t.Errorf("got %v, want that there is a CA already", err)
	}
	open(t, cfg)
	if after, err := os.ReadFile(filepath.Join(cfg.Dir, "root.pem")); err != nil || !bytes.Equal(root, after) {
		t.Errorf("the root changed: %v", err)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	cfg.Queued = true
	ca := open(t, cfg)
	old := newRequest(*now)
	before, err := ca.Issue(old)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := ca.Submit(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}

	*now = now.Add(30 * day)
	if err := ca.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := newRequest(*now)
	after, err := ca.Issue(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before[1], after[1]) {
		t.Fatal("after the rotation the old key still issues")
	}
	if _, err := acme.CheckChain(fresh.Contract, after, ca.Roots(), *now); err != nil {
		t.Errorf("a certificate of the new key: %v", err)
	}
	if !slices.EqualFunc(ca.Intermediates(), [][]byte{before[1], after[1]}, bytes.Equal) {
		t.Error("the intermediates are not both issuers, oldest first")
	}

	// An order from before the rotation gets the certificate that it would
	// have got then, here and in another process.
	for name, b := range map[string]*CA{"rotated": ca, "reopened": open(t, cfg)} {
		again, err := b.Issue(old)
		if err != nil || !bytes.Equal(again[0], before[0]) {
			t.Errorf("%s: the old request now gives another certificate: %v", name, err)
		}
		polled, err := b.Poll(t.Context(), ticket)
		if err != nil || !slices.EqualFunc(polled.Chain, before, bytes.Equal) {
			t.Errorf("%s: the old ticket now gives another certificate: %v", name, err)
		}
	}

	// Each key has a list of its own, at the place that its certificates name.
	names := ca.CRLNames()
	if !slices.Equal(names, []string{"crl/local.crl", "crl/local.2.crl"}) {
		t.Fatalf("the lists are %q", names)
	}
	var published []string
	for _, p := range ca.Publications() {
		published = append(published, p.Name)
	}
	if !slices.Equal(published, []string{"ca/local.root.cer", "ca/local.cer", "ca/local.2.cer"}) {
		t.Errorf("published are %q", published)
	}
	oldLeaf, newLeaf := leafOf(t, before), leafOf(t, after)
	revoked := []backends.Revoked{
		{Serial: newLeaf.SerialNumber.Bytes(), AuthorityKeyID: newLeaf.AuthorityKeyId, At: *now, Reason: acme.Superseded},
		{Serial: oldLeaf.SerialNumber.Bytes(), AuthorityKeyID: oldLeaf.AuthorityKeyId, At: *now, Reason: acme.KeyCompromise},
	}
	for i, leaf := range []*x509.Certificate{oldLeaf, newLeaf} {
		der, _, err := ca.SignCRL(names[i], 7, *now, revoked)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		issuer, err := x509.ParseCertificate(ca.Intermediates()[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(issuer); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
		if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(leaf.SerialNumber) != 0 {
			t.Errorf("%s lists %v, want %x alone", names[i], list.RevokedCertificateEntries, leaf.SerialNumber)
		}
		if !slices.Equal(leaf.CRLDistributionPoints, []string{"http://pki.example.org/" + names[i]}) {
			t.Errorf("the certificate points at %q, its list is %q", leaf.CRLDistributionPoints, names[i])
		}
		if !slices.Equal(leaf.IssuingCertificateURL, []string{"http://pki.example.org/" + published[i+1]}) {
			t.Errorf("the certificate points at %q, its issuer is %q", leaf.IssuingCertificateURL, published[i+1])
		}
	}

	// When the old issuer has ended, so has all that it issued: its list and
	// its key are no longer needed.
	*now = oldLeaf.NotBefore.Add(5*year + day)
	if names := ca.CRLNames(); !slices.Equal(names, []string{"crl/local.2.crl"}) {
		t.Errorf("with the old issuer ended the lists are %q", names)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "issuer-1.key")); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
}

func TestRotateRescuesAnEndedIssuer(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	open(t, cfg)
	*now = now.Add(5*year + day)
	if _, err := Open(cfg); err == nil {
		t.Fatal("a CA whose issuer has ended was opened")
	}
	if all, err := Inspect(cfg); err != nil || len(all) != 2 {
		t.Errorf("inspected: %+v, %v", all, err)
	}
	if err := Rotate(cfg); err != nil {
		t.Fatal(err)
	}
	r := newRequest(*now)
	chain, err := open(t, cfg).Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if leaf := leafOf(t, chain); leaf.NotAfter.Sub(*now) != 30*day {
		t.Errorf("valid until %s", leaf.NotAfter)
	}
	// The second issuer ends with the root, and nothing can follow it.
	*now = birth.Add(10*year - 60*day)
	if err := Rotate(cfg); err == nil || !strings.Contains(err.Error(), "make a new CA in another folder") {
		t.Errorf("got %v, want that the root ends too soon", err)
	}
}

// TestRotateWhileIssuing is for the race detector, and for what every chain
// must be all the while: a leaf with its own issuer.
func TestRotateWhileIssuing(t *testing.T) {
	t.Parallel()
	ca := open(t, testConfig(t))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				r := newRequest(birth.Add(time.Hour))
				chain, err := ca.Issue(r)
				if err == nil {
					_, err = acme.CheckChain(r.Contract, chain, ca.Roots(), r.At)
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 3 {
		if err := ca.Rotate(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestRotateWithinASecond: orders of the second in which the CA is rotated are
// those where rounding could change the issuer of what was issued before.
func TestRotateWithinASecond(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	ca := open(t, cfg)
	*now = now.Add(day + 700*time.Millisecond)
	r := newRequest(*now)
	r.At = now.Add(-100 * time.Millisecond)
	before, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Rotate(); err != nil {
		t.Fatal(err)
	}
	after, err := ca.Issue(r)
	if err != nil || !slices.EqualFunc(before, after, bytes.Equal) {
		t.Errorf("the rotation changed the certificate of an order before it: %v", err)
	}
	r.At = now.Add(time.Second)
	if later, err := ca.Issue(r); err != nil || bytes.Equal(later[1], before[1]) {
		t.Errorf("a second after the rotation the old key still issues: %v", err)
	}
}

func TestAuthorityCertificates(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	root, issuer := ca.state.Load().root, ca.state.Load().current().cert
	for name, c := range map[string]*x509.Certificate{"root": root, "issuer": issuer} {
		if c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || !c.IsCA || len(c.SubjectKeyId) != 20 {
			t.Errorf("%s: key usage %b, CA %v, key id %x", name, c.KeyUsage, c.IsCA, c.SubjectKeyId)
		}
		if n := c.SerialNumber; n.Sign() <= 0 || n.BitLen() > 127 || n.BitLen() < 64 {
			t.Errorf("%s: serial number %x", name, n)
		}
		if !c.NotBefore.Equal(birth.Add(-time.Minute)) {
			t.Errorf("%s: valid from %s", name, c.NotBefore)
		}
	}
	if issuer.MaxPathLen != 0 || !issuer.MaxPathLenZero {
		t.Error("the issuer may certify further CAs")
	}
	if !root.NotAfter.Equal(birth.Add(10*year)) || !issuer.NotAfter.Equal(birth.Add(5*year)) {
		t.Errorf("the root ends at %s, the issuer at %s", root.NotAfter, issuer.NotAfter)
	}
	if want := []string{"http://pki.example.org/ca/local.root.cer"}; !slices.Equal(issuer.IssuingCertificateURL, want) {
		t.Errorf("the issuer points at %q, want %q", issuer.IssuingCertificateURL, want)
	}
	if got := ca.Publications()[0]; got.Name != "ca/local.root.cer" || !bytes.Equal(got.DER, root.Raw) {
		t.Errorf("there is %q", got.Name)
	}
}
