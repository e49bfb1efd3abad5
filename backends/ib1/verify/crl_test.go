package verify_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/backends/ib1/verify"
)

// fetch takes the lists from a table in place of what was added.
func (b *built) fetch(from map[string][]byte) {
	b.trust.CRLs = verify.NewCRLs(verify.CRLConfig{Fetch: func(_ context.Context, _ *x509.Certificate, url string) ([]byte, error) {
		if der, ok := from[url]; ok {
			return der, nil
		}
		return nil, errors.New("nothing is there")
	}})
}

// site publishes lists, and can be broken.
type site struct {
	mu    sync.Mutex
	lists map[string][]byte
	asked atomic.Int64
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	der, ok := s.lists[r.URL.Path]
	if !ok {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(der)
}

func (s *site) set(path string, der []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists[path] = der; der == nil {
		delete(s.lists, path)
	}
}

// TestFetchedLists follows one list over HTTP: it is fetched once, renewed in
// time, serves on while the site is broken, and no longer when it ended.
func TestFetchedLists(t *testing.T) {
	t.Parallel()
	s := &site{lists: make(map[string][]byte)}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	w := newWorld(t)
	w.leafT.CRLDistributionPoints, w.issuerT.CRLDistributionPoints = []string{web.URL + "/1.crl"}, []string{web.URL + "/root.crl"}
	b := w.build(t)
	b.trust.CRLs = verify.NewCRLs(verify.CRLConfig{Fetch: verify.FetchHTTP(web.Client())})
	c := b.client(t)
	ask := func(want verify.Failure, asked int64) {
		t.Helper()
		before := s.asked.Load()
		_, err := c.Verify(t.Context(), b.presented)
		if verify.FailureOf(err) != want || (err == nil) != (want == "") {
			t.Fatalf("got %v, want %q", err, want)
		}
		if n := s.asked.Load() - before; n != asked {
			t.Fatalf("the site was asked %d times, want %d", n, asked)
		}
	}
	ask(verify.CRLUnavailable, 1)
	ask(verify.CRLUnavailable, 0) // a failure is left alone for a while
	w.now = w.now.Add(time.Minute)
	s.set("/1.crl", b.lists[leafList])
	s.set("/root.crl", b.lists[issuerList])
	ask("", 2)
	ask("", 0)
	w.now = w.now.Add(time.Hour)
	s.set("/1.crl", nil)
	ask("", 2) // one of the two fails, and the old list serves on
	w.now = w.now.Add(time.Minute)

	later := listTemplate(w.now, 20)
	later.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x53), RevocationTime: w.now}}
	s.set("/1.crl", revocations(t, later, b.issuer, w.issuerKey))
	ask(verify.Revoked, 1)

	// An older list that is brought again, by whoever is on the way, changes nothing.
	s.set("/1.crl", b.lists[leafList])
	w.now = w.now.Add(time.Hour)
	ask(verify.Revoked, 1)

	s.set("/1.crl", []byte("damaged"))
	w.now = w.now.AddDate(0, 0, 8)
	ask(verify.CRLStale, 1)
}

// TestFetchOnce: many who need a list at the same time wait for one fetch.
func TestFetchOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.build(t)
	var asked atomic.Int64
	arrived, release := make(chan struct{}), make(chan struct{})
	b.trust.CRLs = verify.NewCRLs(verify.CRLConfig{Fetch: func(_ context.Context, _ *x509.Certificate, url string) ([]byte, error) {
		if asked.Add(1) == 1 {
			close(arrived)
			<-release
		}
		return b.lists[url], nil
	}})
	c := b.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Verify(ctx, b.presented); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	cancel() // the one who asked went away; the others still want the list
	close(release)
	all.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("%d fetches of 2 lists", n)
	}
}

// TestGenerations: issuers share a name; each has its own list.
func TestGenerations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alter = func(b *built) {
		other := generation(t, w, b)
		// The same serial number is revoked on the list of the other generation.
		l := listTemplate(w.now, 99)
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x53), RevocationTime: w.now}}
		b.add(t, "other", revocations(t, l, other, key(t, w.issuerKey.Curve)))
	}
	b := w.build(t)
	if _, err := b.client(t).Verify(t.Context(), b.presented); err != nil {
		t.Error(err)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	c := verify.NewCRLs(verify.CRLConfig{})
	for _, der := range [][]byte{nil, []byte("-----BEGIN X509 CRL-----"), {0x30, 0}} {
		if c.Add(der) == nil {
			t.Errorf("%x is a list", der)
		}
	}
}
