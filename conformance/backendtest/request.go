package backendtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// NewRequest returns a request for a new P-256 key and two new names below
// example.org, valid for 30 days or as long as the traits allow.
func NewRequest(at time.Time, traits backends.Traits) backends.Request {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	key := hex.EncodeToString(raw[:])
	host := "h" + key[:12] + ".example.org"
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("backendtest: no key from the standard library: %v", err))
	}
	names := []string{host, "www." + host}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: host}, DNSNames: names}, private)
	if err != nil {
		panic(fmt.Sprintf("backendtest: no CSR from the standard library: %v", err))
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		panic(fmt.Sprintf("backendtest: no public key from the standard library: %v", err))
	}
	validity := 30 * 24 * time.Hour
	if traits.MaxValidity > 0 {
		validity = min(validity, traits.MaxValidity)
	}
	at = at.UTC().Truncate(time.Second)
	r := backends.Request{
		Key: key, Order: acme.OrderID("order-" + key), Account: acme.AccountID("account-" + key),
		CSR: csr, PublicKey: spki, At: at,
		Contract: acme.Contract{
			Profile: "tls", KeyHash: sha256.Sum256(spki),
			Usages:  []acme.Usage{acme.ServerAuth, acme.ClientAuth},
			Subject: acme.SubjectCommonName, CommonName: host,
			NotBefore: at, NotAfter: at.Add(validity),
		},
	}
	for _, n := range names {
		r.Contract.Identifiers = append(r.Contract.Identifiers, acme.Identifier{Type: acme.DNSIdentifier, Value: n})
	}
	return r
}

// obtain submits and polls until the chain is there.
func obtain(ctx context.Context, s Subject, r backends.Request) (backends.Ticket, [][]byte, error) {
	t, err := submit(ctx, s, r)
	if err != nil {
		return "", nil, fmt.Errorf("submit: %w", err)
	}
	if t == "" || len(t) > 2048 {
		return "", nil, fmt.Errorf("the ticket has %d octets; 1 to 2048 are allowed", len(t))
	}
	chain, err := poll(ctx, s, s.Backend, t)
	return t, chain, err
}

// submit submits, and keeps what was submitted.
func submit(ctx context.Context, s Subject, r backends.Request) (backends.Ticket, error) {
	t, err := s.Backend.Submit(ctx, r)
	if err == nil {
		s.requests.Store(t, r)
	}
	return t, err
}

// ask continues or polls, as the engine would.
func ask(ctx context.Context, s Subject, b backends.Backend, t backends.Ticket) (backends.Result, error) {
	if c, ok := b.(backends.Continuer); ok {
		if r, ok := s.requests.Load(t); ok {
			return c.Continue(ctx, r.(backends.Request), t)
		}
	}
	return b.Poll(ctx, t)
}

// poll polls b until the chain is there.
func poll(ctx context.Context, s Subject, b backends.Backend, t backends.Ticket) ([][]byte, error) {
	for {
		s.Settle()
		got, err := ask(ctx, s, b, t)
		if err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
		if got.Chain != nil {
			return got.Chain, nil
		}
		if got.After < 0 {
			return nil, fmt.Errorf("poll wants to be asked again after %s", got.After)
		}
		// A CA in the same process is done at once; a real one is asked at
		// its own pace, but not slower than a test can bear.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no certificate; the CA says %q: %w", got.Note, ctx.Err())
		case <-time.After(min(max(got.After, 5*time.Millisecond), time.Second)):
		}
	}
}

func sameChain(a, b [][]byte) error {
	if len(a) != len(b) {
		return fmt.Errorf("chains of %d and %d certificates", len(a), len(b))
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return fmt.Errorf("certificate %d of the chain is another one", i)
		}
	}
	return nil
}

// refusedOnly reports whether err is a refusal and nothing else.
func refusedOnly(err error) error {
	detail, ok := backends.RefusalDetail(err)
	switch {
	case err == nil:
		return errors.New("it was granted")
	case !ok:
		return fmt.Errorf("the error is not a refusal: %w", err)
	case backends.IsNotSent(err):
		return fmt.Errorf("the error is a refusal and says that nothing was sent as well: %w", err)
	case detail == "":
		return errors.New("the refusal has no words for the client")
	}
	return nil
}
