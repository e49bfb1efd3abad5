package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"io"
	"sync/atomic"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"acmebridge/internal/ocsp"
)

// counting is a key that knows how often it signed.
type counting struct {
	crypto.Signer
	made *atomic.Int64
}

func (c counting) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.made.Add(1)
	return c.Signer.Sign(random, digest, opts)
}

// TestSignaturesAreBounded: who asks for more certificates in turn than answers
// are kept does not have one signed each time. A certificate that is new, or was
// revoked just now, has its answer at once all the same, and never an older one
// that says something else.
func TestSignaturesAreBounded(t *testing.T) {
	t.Parallel()
	const perSecond, atOnce, kept, certificates = 10, 100, 20, 200
	c, other := newCA(t, "one"), newCA(t, "another")
	var made atomic.Int64
	c.signer = c.delegate(counting{newKey(t, elliptic.P256()), &made}, time.Now().Add(500*time.Hour))
	now := time.Now().Truncate(time.Second)
	r := responder(t, ocsp.Config{Entries: kept, SharedSignatures: perSecond, Now: func() time.Time { return now }}, c, other)
	var all []*x509.Certificate
	var questions [][]byte
	for i := range int64(certificates) {
		cert := c.unregistered(1000 + i)
		c.set(cert, ocsp.Status{State: ocsp.Good, Since: now.Add(-24 * time.Hour)})
		all, questions = append(all, cert), append(questions, ask(t, c, cert, crypto.SHA1))
	}
	round := func(rounds int) (signed int64, answers, refused int) {
		before := made.Load()
		for range rounds {
			for i, q := range questions {
				switch a := r.Answer(t.Context(), q); failed(a) {
				case -1:
					answers++
					if read(t, c, all[i], a).Status != xocsp.Good {
						t.Error("a good one is not")
					}
				case 3:
					refused++
				default:
					t.Fatalf("%x", a.Body)
				}
			}
		}
		return made.Load() - before, answers, refused
	}
	if signed, answers, refused := round(5); signed != atOnce || answers < atOnce || refused == 0 {
		t.Errorf("at first: %d signatures, %d answers, %d times to come back", signed, answers, refused)
	}
	now = now.Add(2 * time.Second)
	if signed, _, _ := round(5); signed != 2*perSecond {
		t.Errorf("two seconds later: %d signatures", signed)
	}

	fresh := c.unregistered(1)
	c.set(fresh, ocsp.Status{State: ocsp.Good, Since: now})
	q := ask(t, c, fresh, crypto.SHA1)
	if got := read(t, c, fresh, r.Answer(t.Context(), q)); got.Status != xocsp.Good {
		t.Errorf("a new certificate: status %d", got.Status)
	}
	c.set(fresh, ocsp.Status{State: ocsp.Revoked, At: now, Reason: 1})
	if got := read(t, c, fresh, r.Answer(t.Context(), q)); got.Status != xocsp.Revoked {
		t.Errorf("revoked just now: status %d", got.Status)
	}
	// A revocation that nobody knows to be recent is not covered up by what is kept.
	c.set(fresh, ocsp.Status{State: ocsp.Revoked, At: now.Add(-24 * time.Hour)})
	if got := failed(r.Answer(t.Context(), q)); got != 3 {
		t.Errorf("a change beyond the bound: status %d", got)
	}
	// The others' budget is their own.
	theirs := other.issue(7)
	if got := failed(r.Answer(t.Context(), ask(t, other, theirs, crypto.SHA1))); got != -1 {
		t.Errorf("another CA: status %d", got)
	}
}

// TestOlderAnswer: beyond the bound clients get an answer that is older than
// usual, as long as it is fresh for them, and no longer.
func TestOlderAnswer(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	now := time.Now().Truncate(time.Second)
	r := responder(t, ocsp.Config{SharedSignatures: 1, Now: func() time.Time { return now }}, c)
	cert := c.issue(7)
	q := ask(t, c, cert, crypto.SHA1)
	first := r.Answer(t.Context(), q)
	read(t, c, cert, first)
	serial := int64(100)
	drain := func() {
		for range 20 {
			serial++
			r.Answer(t.Context(), ask(t, c, c.issue(serial), crypto.SHA1))
		}
	}
	now = now.Add(40 * time.Minute)
	drain()
	if a := r.Answer(t.Context(), q); !bytes.Equal(a.Body, first.Body) {
		t.Errorf("after 40 minutes: %x", a.Body)
	}
	now = now.Add(5 * time.Minute)
	drain()
	if got := failed(r.Answer(t.Context(), q)); got != 3 {
		t.Errorf("after 45 minutes: status %d", got)
	}
	now = now.Add(time.Second)
	if a := r.Answer(t.Context(), q); !a.At.Equal(now) {
		t.Errorf("with a signature left: an answer of %s", a.At)
	}
}

// TestSignerAboutToEnd: while its successor is on the way, a signer goes on, and
// nothing that it signs lasts longer than itself.
func TestSignerAboutToEnd(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	cert := c.issue(7)
	now := time.Now().Truncate(time.Second)
	end := now.Add(time.Hour - 20*time.Second)
	c.signer = c.delegate(newKey(t, elliptic.P256()), end)
	r := responder(t, ocsp.Config{Now: func() time.Time { return now }}, c)
	plain := ask(t, c, cert, crypto.SHA1)
	for _, q := range [][]byte{plain, request(t, plain, 1, []byte("nonce"))} {
		if a := r.Answer(t.Context(), q); !read(t, c, cert, a).NextUpdate.Equal(end) {
			t.Errorf("an answer until %s by a signer until %s", a.Until, end)
		}
	}
	now = now.Add(time.Minute)
	if got := failed(r.Answer(t.Context(), request(t, plain, 1, []byte("nonce")))); got != 3 {
		t.Errorf("a minute later: status %d", got)
	}
}
