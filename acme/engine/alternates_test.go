package engine_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/backends/localca"
	"acmebridge/backends/localca/localcatest"
)

// crossed is a CA that claims more chains than hold.
type crossed struct {
	*localca.CA
	more [][][]byte
}

func (c crossed) AlternateChains() [][][]byte { return append(c.more, c.CA.AlternateChains()...) }

// TestAlternates: of the chains that a CA offers beside the usual one, those
// are kept that lead from this very leaf to a trusted root (D10, R8555-7.4.2-2,
// -8), and a bad one costs nobody a certificate.
func TestAlternates(t *testing.T) {
	born := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg := localca.Config{Dir: t.TempDir(), Name: "local", Now: func() time.Time { return born }}
	ca, err := localca.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := localcatest.NewAuthority(t, "known", born), localcatest.NewAuthority(t, "unknown", born)
	end := born.AddDate(5, 0, 0)
	cfg.Alternates = []string{filepath.Join(t.TempDir(), "known.pem")}
	if err := os.WriteFile(cfg.Alternates[0], localcatest.PEM(known.CrossSign(t, ca.Roots()[0], end, born), known.Root), 0o600); err != nil {
		t.Fatal(err)
	}
	if ca, err = localca.Open(cfg); err != nil {
		t.Fatal(err)
	}
	issuer := ca.Intermediates()[0]
	der := func(file []byte) []byte {
		block, _ := pem.Decode(file)
		return block.Bytes
	}
	w := newWorld(t)
	w.backend = crossed{ca, [][][]byte{
		{},
		{[]byte("no certificate")},
		{der(localcatest.PEM(unknown.Root))}, // of another CA altogether
		{issuer, der(localcatest.PEM(unknown.CrossSign(t, ca.Roots()[0], end, born)))},               // a root that nobody trusts
		{issuer, der(localcatest.PEM(known.CrossSign(t, ca.Roots()[0], born.Add(time.Hour), born)))}, // over since an hour
		{der(localcatest.PEM(known.CrossSign(t, issuer, end, born)))},                                // good: the issuer itself, certified
	}}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		time.Sleep(2 * time.Hour)
		a, o := r.finalized("a.example.org")
		o = r.wantStatus(a, o.ID, acme.OrderValid)
		seen := map[acme.ChainHash]bool{}
		for n := range 3 {
			c, chain, err := r.CertificateChain(t.Context(), a.ID, o.Certificate, n)
			if err != nil || len(c.Alternates) != 2 || len(chain.Certificates) == 0 || seen[chain.Hash] {
				t.Fatalf("chain %d of %d: %v, seen %t", n, len(c.Alternates), err, seen[chain.Hash])
			}
			seen[chain.Hash] = true
		}
		for _, n := range []int{-1, 3} {
			_, _, err := r.CertificateChain(t.Context(), a.ID, o.Certificate, n)
			if p := problemOf(t, err, acme.Malformed); p.Status != 404 {
				t.Errorf("chain %d: status %d", n, p.Status)
			}
		}
	})
}
