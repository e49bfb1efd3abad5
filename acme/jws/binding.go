package jws

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strings"

	"acmebridge/acme"
)

// Binding is an external account binding whose MAC nobody has checked yet
// (RFC 8555, section 7.3.4).
type Binding struct {
	outer     Verified
	kid       string
	alg       string
	signed    string // protected, dot, payload: what the MAC is over
	payload   []byte
	signature []byte
}

// ParseBinding reads the member externalAccountBinding of the newAccount
// request outer. It does all that needs no MAC key, so that whatever it
// refuses tells nothing about which keys exist.
func ParseBinding(raw []byte, outer Verified) (*Binding, *acme.Problem) {
	if outer.key == nil {
		return nil, acme.Problemf(acme.ServerInternal, "jws: parse the binding of a request that was not verified")
	}
	const what = "the external account binding"
	// R8555-7.3.4-2
	parts, p := parseFlattened(what, raw)
	if p != nil {
		return nil, p
	}
	// R8555-7.3.4-3
	h, p := parseHeader(parts.protected, macAlgorithm)
	if p != nil {
		return nil, p
	}
	if p := parts.wantSignature(what); p != nil {
		return nil, p
	}
	if h.jwk != nil || h.kid == "" || !ascii(h.kid) {
		// R8555-7.3.4-4
		return nil, acme.Problemf(acme.Malformed, "%s must name its key with an ASCII \"kid\", and have no \"jwk\"", what)
	}
	if p := h.wantNoNonce(what); p != nil {
		// R8555-7.3.4-5
		return nil, p
	}
	if h.url == "" || h.url != outer.URL() {
		// R8555-7.3.4-6
		return nil, acme.Problemf(acme.Malformed, "%s must have the same \"url\" as the request around it", what)
	}
	payload, err := decodeBase64(parts.payload)
	if err != nil {
		return nil, acme.Problemf(acme.Malformed, "the payload of %s is %v", what, err)
	}
	signature, err := decodeBase64(parts.signature)
	if err != nil {
		return nil, acme.Problemf(acme.Malformed, "the signature of %s is %v", what, err)
	}
	compact := parts.compact()
	return &Binding{
		outer:     outer,
		kid:       h.kid,
		alg:       h.alg,
		signed:    compact[:strings.LastIndexByte(compact, '.')],
		payload:   payload,
		signature: signature,
	}, nil
}

// KeyID returns which external account key the binding claims to know.
func (b *Binding) KeyID() acme.KeyID { return acme.KeyID(b.kid) }

// Verify checks that whoever holds macKey bound the key of the outer request.
// An empty macKey stands for a key that does not exist: it never verifies,
// takes as long, and gives the same answer as a wrong one (R8555-7.3.4-11).
func (b *Binding) Verify(macKey []byte) *acme.Problem {
	mac := hmac.New(macHash(b.alg), macKey)
	mac.Write([]byte(b.signed))
	// R8555-7.3.4-7, SP-10. Not by go-jose, which asks for HS512 keys of 64
	// bytes, where 32 are handed out.
	if !hmac.Equal(mac.Sum(nil), b.signature) || len(macKey) == 0 {
		return acme.UnknownExternalKey()
	}
	bound, p := parseJWK(b.payload, "")
	if p != nil && p.Type == acme.Malformed {
		return p
	}
	// R8555-7.3.4-8
	if p != nil || subtle.ConstantTimeCompare([]byte(bound.Thumbprint), []byte(b.outer.key.Thumbprint)) != 1 {
		return acme.Problemf(acme.Unauthorized, "the external account binding is for another account key than the one that signed the request")
	}
	return nil
}

// macAlgorithm admits MACs only. The type is malformed rather than
// badSignatureAlgorithm, whose list is about account keys.
func macAlgorithm(alg string) *acme.Problem {
	if macHash(alg) == nil {
		return acme.Problemf(acme.Malformed, "the external account binding must use HS256, HS384 or HS512, not %q", shown([]byte(alg)))
	}
	return nil
}

func macHash(alg string) func() hash.Hash {
	switch alg {
	case "HS256":
		return sha256.New
	case "HS384":
		return sha512.New384
	case "HS512":
		return sha512.New
	}
	return nil
}

func ascii(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
