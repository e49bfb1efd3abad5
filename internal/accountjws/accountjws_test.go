package accountjws_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"acmebridge/internal/accountjws"
)

// TestSign: a library of others reads what was signed. Often enough for halves of
// signatures that begin with zeros.
func TestSign(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 600 {
		for _, payload := range []string{"", `{"replaces":"AQ.Ag"}`} {
			text, err := accountjws.Sign(key, "https://ca.example/account/1", "https://ca.example/order", "n1", []byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jose.ParseSigned(string(text), []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got, err := parsed.Verify(key.Public())
			if err != nil || string(got) != payload {
				t.Fatalf("%s says %q: %v", text, got, err)
			}
			if h := parsed.Signatures[0].Protected; h.KeyID != "https://ca.example/account/1" || h.Nonce != "n1" || h.ExtraHeaders["url"] != "https://ca.example/order" {
				t.Fatalf("the header is %+v", h)
			}
		}
	}
}

// TestSignRefused: the algorithm is for one curve.
func TestSignRefused(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := accountjws.Sign(key, "a", "u", "n", nil); err == nil {
		t.Errorf("signed: %s", text)
	}
}
