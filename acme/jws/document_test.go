package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"acmebridge/acme/jws"
)

// TestVerifyDocument: a document is what one of the trusted keys has signed, and
// nothing that it says of itself.
func TestVerifyDocument(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(alg jose.SignatureAlgorithm, with any, embed bool) (compact, detached string) {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: with}, &jose.SignerOptions{EmbedJWK: embed})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign([]byte("- id: m1\n"))
		if err != nil {
			t.Fatal(err)
		}
		compact, err1 := signed.CompactSerialize()
		detached, err2 := signed.DetachedCompactSerialize()
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return compact, detached
	}
	compact, detached := sign(jose.ES256, key, false)
	edwards, _ := sign(jose.EdDSA, private, false)
	embedded, _ := sign(jose.EdDSA, private, true)
	secret, _ := sign(jose.HS256, []byte(strings.Repeat("k", 32)), false)
	trusted := []crypto.PublicKey{key.Public()}
	for name, c := range map[string]struct {
		compact, detached string
		keys              []crypto.PublicKey
		want              string
	}{
		"compact":               {compact + "\n", "", trusted, "- id: m1\n"},
		"detached":              {detached, "- id: m1\n", trusted, "- id: m1\n"},
		"the second key":        {edwards, "", []crypto.PublicKey{key.Public(), public}, "- id: m1\n"},
		"another text":          {detached, "- id: m2\n", trusted, ""},
		"detached, not given":   {detached, "", trusted, ""},
		"compact, and a text":   {compact, "- id: m1\n", trusted, ""},
		"another's":             {edwards, "", trusted, ""},
		"with a key of its own": {embedded, "", trusted, ""},
		"a shared secret":       {secret, "", trusted, ""},
		"nobody is trusted":     {compact, "", nil, ""},
		"no signature":          {"- id: m1\n", "", trusted, ""},
		"an algorithm of none":  {"eyJhbGciOiJub25lIn0.LSBpZDogbTEK.", "", trusted, ""},
	} {
		var text []byte
		if c.detached != "" {
			text = []byte(c.detached)
		}
		got, err := jws.VerifyDocument([]byte(c.compact), text, c.keys)
		if string(got.Payload) != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, jws.ErrDocument) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestDocumentDate: the date is from what the signature covers, and one that
// cannot be read is not passed over.
func TestDocumentDate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		iat  any
		want int64
		ok   bool
	}{
		"none":         {nil, -62135596800, true},
		"a date":       {1_795_000_000, 1_795_000_000, true},
		"a text":       {"1795000000", 0, false},
		"a fraction":   {1_795_000_000.5, 0, false},
		"before all":   {-5, 0, false},
		"beyond years": {1e300, 0, false},
	} {
		o := &jose.SignerOptions{}
		if c.iat != nil {
			o.WithHeader("iat", c.iat)
		}
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, o)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign([]byte("- id: m1\n"))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		got, err := jws.VerifyDocument([]byte(compact), nil, []crypto.PublicKey{key.Public()})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, jws.ErrDocument) || c.ok && (got.IssuedAt.Unix() != c.want || got.Key != key.Public()) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
