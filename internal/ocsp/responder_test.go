package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"acmebridge/internal/ocsp"
)

func TestStates(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	r := responder(t, ocsp.Config{}, newCA(t, "another"), c)
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	for i, tt := range []struct {
		status ocsp.Status
		want   int
		reason int
	}{
		{ocsp.Status{State: ocsp.Good}, xocsp.Good, 0},
		{ocsp.Status{State: ocsp.Revoked, At: at.Add(time.Millisecond), Reason: 1}, xocsp.Revoked, 1},
		{ocsp.Status{State: ocsp.Revoked, At: at, Reason: 0}, xocsp.Revoked, 0},
		{ocsp.Status{State: ocsp.Revoked, At: at, Reason: 10}, xocsp.Revoked, 10},
		// Neither reason has a meaning here; the certificate stays revoked.
		{ocsp.Status{State: ocsp.Revoked, At: at, Reason: 8}, xocsp.Revoked, 0},
		{ocsp.Status{State: ocsp.Revoked, At: at, Reason: -3}, xocsp.Revoked, 0},
		{ocsp.Status{}, xocsp.Unknown, 0},
	} {
		cert := c.unregistered(int64(0x80 + i))
		c.set(cert, tt.status)
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			t.Run(fmt.Sprint(i, hash), func(t *testing.T) {
				got := read(t, c, cert, r.Answer(t.Context(), ask(t, c, cert, hash)))
				if got.Status != tt.want || got.RevocationReason != tt.reason || tt.want == xocsp.Revoked && !got.RevokedAt.Equal(at) {
					t.Errorf("status %d, reason %d at %s; want %d, %d at %s", got.Status, got.RevocationReason, got.RevokedAt, tt.want, tt.reason, at)
				}
				if got.IssuerHash != hash || got.Certificate == nil {
					t.Errorf("hash %v, signer %v", got.IssuerHash, got.Certificate)
				}
			})
		}
	}
}

// Every kind of key that a signer may have makes signatures that verify; the CA
// itself is one, and sends no certificate along.
func TestSigners(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	cert := c.issue(7)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"P-256": newKey(t, elliptic.P256()), "P-384": newKey(t, elliptic.P384()), "P-521": newKey(t, elliptic.P521()), "RSA": rsaKey,
	} {
		c.signer = c.delegate(key, time.Now().Add(time.Hour+time.Minute))
		if got := read(t, c, cert, responder(t, ocsp.Config{}, c).Answer(t.Context(), ask(t, c, cert, crypto.SHA1))); got.Status != xocsp.Good {
			t.Errorf("%s: status %d", name, got.Status)
		}
	}
	if c.signer, err = ocsp.NewSigner(c.cert, c.cert, c.key); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, cert, responder(t, ocsp.Config{}, c).Answer(t.Context(), ask(t, c, cert, crypto.SHA1))); got.Certificate != nil {
		t.Error("the CA sends its own certificate along")
	}

	key, other := newKey(t, elliptic.P256()), newCA(t, "other")
	until := time.Now().Add(time.Hour)
	for name, make := range map[string]func() (*ocsp.Signer, error){
		"another's key": func() (*ocsp.Signer, error) {
			return ocsp.NewSigner(c.cert, c.delegateCertificate(key, until, x509.ExtKeyUsageOCSPSigning), newKey(t, elliptic.P256()))
		},
		"no usage": func() (*ocsp.Signer, error) { return ocsp.NewSigner(c.cert, c.delegateCertificate(key, until), key) },
		"another usage": func() (*ocsp.Signer, error) {
			return ocsp.NewSigner(c.cert, c.delegateCertificate(key, until, x509.ExtKeyUsageServerAuth), key)
		},
		"another CA": func() (*ocsp.Signer, error) {
			return ocsp.NewSigner(c.cert, other.delegateCertificate(key, until, x509.ExtKeyUsageOCSPSigning), key)
		},
		"a curve that is too small": func() (*ocsp.Signer, error) {
			small := newKey(t, elliptic.P224())
			return ocsp.NewSigner(c.cert, c.delegateCertificate(small, until, x509.ExtKeyUsageOCSPSigning), small)
		},
		"nothing": func() (*ocsp.Signer, error) { return ocsp.NewSigner(nil, nil, nil) },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: makes a signer", name)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	c, stranger := newCA(t, "one"), newCA(t, "stranger")
	cert, foreign := c.issue(7), stranger.issue(7)
	good := ask(t, c, cert, crypto.SHA1)
	const malformed, internal, later, unauthorized = 1, 2, 3, 6

	r := responder(t, ocsp.Config{RefuseUnknown: true}, c)
	for name, tt := range map[string]struct {
		der  []byte
		want int
	}{
		"nothing":         {nil, malformed},
		"not DER":         {[]byte("hello"), malformed},
		"cut off":         {good[:len(good)-1], malformed},
		"more behind":     {append(bytes.Clone(good), 0), malformed},
		"too long":        {make([]byte, ocsp.MaxRequest+1), malformed},
		"no certificate":  {[]byte{0x30, 0x04, 0x30, 0x02, 0x30, 0x00}, malformed},
		"version 2":       {mustHex(t, "3009 3007 a003020101 3000"), malformed},
		"many":            {request(t, good, 17, nil), malformed},
		"foreign issuer":  {ask(t, stranger, foreign, crypto.SHA256), unauthorized},
		"unknown hash":    {bytes.Replace(good, []byte{0x2b, 0x0e, 3, 2, 26}, []byte{0x2b, 0x0e, 3, 2, 27}, 1), unauthorized},
		"never issued":    {ask(t, c, c.unregistered(99), crypto.SHA1), unauthorized},
		"an empty nonce":  {request(t, good, 1, []byte{}), malformed},
		"a long nonce":    {request(t, good, 1, make([]byte, 129)), malformed},
		"critical":        {extended(t, good, 1, asn1.ObjectIdentifier{1, 2, 3}, true, []byte{5, 0}), malformed},
		"two nonces":      {extended(t, good, 2, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, false, []byte{4, 1, 1}), malformed},
		"no octet string": {extended(t, good, 1, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, false, []byte{1, 2, 3}), malformed},
	} {
		if got := failed(r.Answer(t.Context(), tt.der)); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	// What is not critical is nobody's business.
	if got := failed(r.Answer(t.Context(), extended(t, good, 1, asn1.ObjectIdentifier{1, 2, 3}, false, []byte{5, 0}))); got != -1 {
		t.Errorf("an extension that is not critical: status %d", got)
	}

	c.broken = true
	if got := failed(r.Answer(t.Context(), good)); got != later {
		t.Errorf("without a register: status %d, want %d", got, later)
	}
	c.broken = false
	c.signer = c.delegate(newKey(t, elliptic.P256()), time.Now().Add(59*time.Minute)) // ends before the answer would
	if got := failed(responder(t, ocsp.Config{}, c).Answer(t.Context(), good)); got != later {
		t.Errorf("with a signer that ends: status %d, want %d", got, later)
	}
	c.signer = nil
	if got := failed(responder(t, ocsp.Config{}, c).Answer(t.Context(), good)); got != later {
		t.Errorf("without a signer: status %d, want %d", got, later)
	}
	none := responder(t, ocsp.Config{Issuers: func(context.Context) ([]ocsp.Issuer, error) { return nil, errors.New("no disk") }})
	if got := failed(none.Answer(t.Context(), good)); got != internal {
		t.Errorf("without issuers: status %d, want %d", got, internal)
	}
	for name, cfg := range map[string]ocsp.Config{
		"no issuers": {}, "too fresh": {Freshness: time.Second, Issuers: none2}, "negative": {Issuers: none2, Entries: -1},
	} {
		if _, err := ocsp.New(cfg); err == nil {
			t.Errorf("%s: makes a responder", name)
		}
	}
}

func none2(context.Context) ([]ocsp.Issuer, error) { return nil, nil }

// A revocation is in the next answer, whatever is kept.
func TestRevocationAtOnce(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	cert := c.issue(7)
	r := responder(t, ocsp.Config{}, c)
	q := ask(t, c, cert, crypto.SHA1)
	before := r.Answer(t.Context(), q)
	if again := r.Answer(t.Context(), q); !bytes.Equal(before.Body, again.Body) || !again.Shared {
		t.Error("the answer was signed twice")
	}
	c.set(cert, ocsp.Status{State: ocsp.Revoked, At: time.Now(), Reason: 4})
	if got := read(t, c, cert, r.Answer(t.Context(), q)); got.Status != xocsp.Revoked {
		t.Errorf("status %d after the revocation", got.Status)
	}
	c.set(cert, ocsp.Status{State: ocsp.Good})
	if got := read(t, c, cert, r.Answer(t.Context(), q)); got.Status != xocsp.Good {
		t.Errorf("status %d after a hold", got.Status)
	}
}

// TestFreshness goes through two days with a client that asks now and then, and
// lets the signer change in between.
func TestFreshness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCA(t, "one")
		cert := c.issue(7)
		const freshness = time.Hour
		r := responder(t, ocsp.Config{Freshness: freshness}, c)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		q := ask(t, c, cert, crypto.SHA1)
		signatures := map[string]bool{}
		for i := range 200 {
			a := r.Answer(t.Context(), q)
			read(t, c, cert, a)
			if age := time.Since(a.At); age >= freshness/2 || age < 0 {
				t.Fatalf("an answer of %s, %s old", a.At, age)
			}
			if !a.Until.Equal(a.At.Add(freshness)) {
				t.Fatalf("an answer until %s", a.Until)
			}
			signatures[string(a.Body)] = true
			if i == 100 {
				c.mu.Lock()
				c.signer = c.delegate(newKey(t, elliptic.P256()), time.Now().Add(400*time.Hour))
				c.mu.Unlock()
			}
			time.Sleep(time.Duration(i%40) * time.Minute)
		}
		if len(signatures) < 40 {
			t.Errorf("%d signatures in two days", len(signatures))
		}
		stop()
		<-ended
	})
}

// Whoever asks often never waits for a signature: Run has made it before.
func TestAheadOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCA(t, "one")
		cert := c.issue(7)
		r := responder(t, ocsp.Config{}, c)
		ctx, stop := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer stop()
		q := ask(t, c, cert, crypto.SHA1)
		r.Answer(t.Context(), q)
		for range 50 {
			time.Sleep(10*time.Minute + time.Second)
			now := time.Now()
			if a := r.Answer(t.Context(), q); now.Sub(a.At) < time.Second && a.At.Unix() == now.Unix() {
				t.Fatalf("the answer was signed while the client waited")
			}
		}
	})
}

// What nobody asks for any more is forgotten, and not signed for ever.
func TestForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCA(t, "one")
		r := responder(t, ocsp.Config{}, c)
		ctx, stop := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer stop()
		r.Answer(t.Context(), ask(t, c, c.issue(7), crypto.SHA1))
		time.Sleep(10 * time.Hour)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.reads > 3 {
			t.Errorf("the state was read %d times for one question", c.reads)
		}
	})
}

func TestNonce(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	cert := c.issue(7)
	now := time.Now()
	plain := ask(t, c, cert, crypto.SHA1)
	nonce := []byte("0123456789abcdef0123456789abcdef")
	q := request(t, plain, 1, nonce)
	r := responder(t, ocsp.Config{Signatures: 2, Now: func() time.Time { return now }}, c)
	for i := range 2 {
		a := r.Answer(t.Context(), q)
		read(t, c, cert, a)
		if !bytes.Contains(a.Body, nonce) || a.Shared {
			t.Errorf("%d: no nonce, or an answer for everybody", i)
		}
	}
	// Beyond the limit there is an answer, but not one's own.
	if a := r.Answer(t.Context(), q); bytes.Contains(a.Body, nonce) || !a.Shared || read(t, c, cert, a).Status != xocsp.Good {
		t.Error("the third in a second has its nonce signed")
	}
	unknown := ask(t, c, c.unregistered(8), crypto.SHA1)
	for name, q := range map[string][]byte{"unknown": unknown, "unknown with a nonce": request(t, unknown, 1, nonce), "several": request(t, plain, 2, nil)} {
		if got := failed(r.Answer(t.Context(), q)); got != 3 {
			t.Errorf("%s beyond the limit: status %d", name, got)
		}
	}
	now = now.Add(time.Second)
	if a := r.Answer(t.Context(), q); !bytes.Contains(a.Body, nonce) {
		t.Error("a second later there is no nonce")
	}
	ignoring := responder(t, ocsp.Config{IgnoreNonce: true}, c)
	if a := ignoring.Answer(t.Context(), q); bytes.Contains(a.Body, nonce) || !a.Shared {
		t.Error("the nonce was not ignored")
	}
}

// Several certificates are answered in one message, but one CA does not speak
// for another.
func TestSeveral(t *testing.T) {
	t.Parallel()
	c, other := newCA(t, "one"), newCA(t, "another")
	mine, gone, theirs := c.issue(7), c.issue(8), other.issue(9)
	c.issue(9) // a number says nothing without its CA
	c.set(gone, ocsp.Status{State: ocsp.Revoked, At: time.Now(), Reason: 1})
	q := joined(t, ask(t, c, mine, crypto.SHA1), ask(t, c, gone, crypto.SHA256), ask(t, other, theirs, crypto.SHA1))
	a := responder(t, ocsp.Config{}, c, other).Answer(t.Context(), q)
	for _, tt := range []struct {
		cert *x509.Certificate
		want int
	}{{mine, xocsp.Good}, {gone, xocsp.Revoked}, {theirs, xocsp.Unknown}} {
		if got := read(t, c, tt.cert, a); got.Status != tt.want {
			t.Errorf("serial %d: status %d, want %d", tt.cert.SerialNumber, got.Status, tt.want)
		}
	}
}

// An issuer that appears, and one whose signer does, are found without a restart.
func TestNewIssuer(t *testing.T) {
	t.Parallel()
	c, later := newCA(t, "one"), newCA(t, "later")
	signer := later.signer
	later.signer = nil
	cas := []*ca{c}
	now := time.Now()
	r := responder(t, ocsp.Config{Now: func() time.Time { return now }, Issuers: func(context.Context) (all []ocsp.Issuer, _ error) {
		for _, c := range cas {
			all = append(all, c.issuer())
		}
		return all, nil
	}})
	q := ask(t, later, later.issue(1), crypto.SHA1)
	for i, want := range []int{6, 3, -1} {
		if got := failed(r.Answer(t.Context(), q)); got != want {
			t.Errorf("step %d: status %d, want %d", i, got, want)
		}
		now = now.Add(2 * time.Second)
		cas = []*ca{c, later}
		if i == 1 {
			later.signer = signer
		}
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
