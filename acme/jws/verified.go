package jws

import (
	jose "github.com/go-jose/go-jose/v4"

	"acmebridge/acme"
)

// Verified is what the owner of a key signed. Only [Message.Verify] makes
// one (SP-2); the zero value holds no key, no payload and no URL, and every
// function here that takes one refuses it.
type Verified struct {
	key     *Key
	header  header
	payload []byte
}

// Payload returns what was signed; empty for a POST-as-GET. The caller must
// not change it.
func (v Verified) Payload() []byte { return v.payload }

// PostAsGet reports whether this is a signed read (R8555-6.3-2): the payload
// has no bytes at all, which `{}` is not.
func (v Verified) PostAsGet() bool { return v.key != nil && len(v.payload) == 0 }

// Key returns the key that the signature was made with.
func (v Verified) Key() *Key { return v.key }

// KeyID returns the account URL in `kid`, empty when the request brought its
// own key.
func (v Verified) KeyID() string { return v.header.kid }

// BroughtKey reports whether the request carried its key in `jwk`, which says
// nothing about who owns that key (R8555-6.2-12).
func (v Verified) BroughtKey() bool { return v.key != nil && v.header.key != nil }

// URL returns where the client meant to send the request (R8555-6.4-1).
func (v Verified) URL() string { return v.header.url }

// Nonce returns the anti-replay nonce, still to be redeemed.
func (v Verified) Nonce() string { return v.header.nonce }

// Verify checks the signature with k: the stored key of the account that
// [Message.KeyID] names, or the request's own [Message.Key]. A request that
// brings its own key verifies with no other.
func (m *Message) Verify(k *Key) (Verified, *acme.Problem) {
	if k == nil {
		return Verified{}, acme.Problemf(acme.ServerInternal, "jws: verify a request without a key")
	}
	if m.header.key != nil && m.header.key.Hash != k.Hash {
		return Verified{}, acme.Problemf(acme.Malformed, "the request is signed with the key in \"jwk\", another one was expected")
	}
	payload, p := verify(m.compact, m.header.alg, k)
	if p != nil {
		return Verified{}, p
	}
	return Verified{key: k, header: m.header, payload: payload}, nil
}

// verify has go-jose check the signature, with the one algorithm that suits
// the key (F-1).
func verify(compact, alg string, k *Key) ([]byte, *acme.Problem) {
	if p := k.suits(alg); p != nil {
		return nil, p
	}
	parsed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, acme.Problemf(acme.Malformed, "the JWS cannot be read; sign it again with a current library")
	}
	payload, err := parsed.Verify(k.Public)
	if err != nil {
		// R8555-6.2-1, R8555-6.2-21: an ECDSA signature has its full length.
		return nil, acme.Problemf(acme.Malformed, "the signature does not verify with the key of the account, or with the key that the request brought along")
	}
	return payload, nil
}
