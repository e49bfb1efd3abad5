package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"acmebridge/acme/jws"
)

func benchmarkVerify(b *testing.B, signer crypto.Signer) {
	key, p := jws.NewKey(signer.Public())
	if p != nil {
		b.Fatal(p)
	}
	body := sign(b, signer, headers{"kid": "https://ca.example/acme/account/1", "nonce": "q83vEjRWeJA", "url": "https://ca.example/acme/new-order"},
		`{"identifiers":[{"type":"dns","value":"www.example.org"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		stored, err := jws.ParseSPKI(key.SPKI, key.Thumbprint)
		if err != nil {
			b.Fatal(err)
		}
		m, p := jws.Parse(body)
		if p != nil {
			b.Fatal(p)
		}
		if _, p := m.Verify(stored); p != nil {
			b.Fatal(p)
		}
	}
}

func BenchmarkVerifyES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, key)
}

func BenchmarkVerifyRS256(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, key)
}

func BenchmarkVerifyEdDSA(b *testing.B) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkVerify(b, key)
}

// BenchmarkCryptoES256 is the floor: nothing but the signature.
func BenchmarkCryptoES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := make([]byte, 32)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest, signature) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkParseSPKI(b *testing.B) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	key, p := jws.NewKey(signer.Public())
	if p != nil {
		b.Fatal(p)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jws.ParseSPKI(key.SPKI, key.Thumbprint); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	_, signer, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	body := sign(b, signer, headers{"kid": "https://ca.example/acme/account/1", "nonce": "q83vEjRWeJA", "url": "https://ca.example/acme/new-order"},
		`{"identifiers":[{"type":"dns","value":"www.example.org"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, p := jws.Parse(body); p != nil {
			b.Fatal(p)
		}
	}
}

func BenchmarkDecodePayload(b *testing.B) {
	payload := []byte(`{"identifiers":[{"type":"dns","value":"www.example.org"},{"type":"dns","value":"example.org"}],"notAfter":"2030-01-02T03:04:05Z"}`)
	b.ReportAllocs()
	for b.Loop() {
		var order newOrder
		if p := jws.DecodePayload(payload, &order); p != nil {
			b.Fatal(p)
		}
	}
}
