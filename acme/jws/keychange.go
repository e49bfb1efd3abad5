package jws

import (
	"encoding/json"

	"acmebridge/acme"
)

// KeyChange is a request to replace an account's key, signed with both the
// old and the new one (RFC 8555, section 7.3.5).
type KeyChange struct {
	// Account is the account URL, known to equal the kid of the outer request.
	Account string
	// OldKey is the key that the outer request was verified with, which the
	// inner one names too.
	OldKey *Key
	// NewKey is proved to be in the hands of whoever signed. Whether policy
	// admits it and no other account has it is for the caller.
	NewKey *Key
}

// ParseKeyChange reads and verifies the JWS within the verified request outer.
func ParseKeyChange(outer Verified) (KeyChange, *acme.Problem) {
	if outer.key == nil {
		return KeyChange{}, acme.Problemf(acme.ServerInternal, "jws: parse the key change of a request that was not verified")
	}
	const what = "the inner JWS"
	// R8555-7.3.5-2
	parts, p := parseFlattened(what, outer.payload)
	if p != nil {
		return KeyChange{}, p
	}
	h, p := parseHeader(parts.protected, signatureAlgorithm)
	if p != nil {
		return KeyChange{}, p
	}
	if p := parts.wantSignature(what); p != nil {
		return KeyChange{}, p
	}
	if h.key == nil {
		// R8555-7.3.5-3
		return KeyChange{}, acme.Problemf(acme.Malformed, "%s must carry the new key in \"jwk\"", what)
	}
	if p := h.wantNoNonce(what); p != nil {
		// R8555-7.3.5-7
		return KeyChange{}, p
	}
	if h.url == "" || h.url != outer.URL() {
		// R8555-7.3.5-6
		return KeyChange{}, acme.Problemf(acme.Malformed, "%s must have the same \"url\" as the request around it", what)
	}
	// R8555-7.3.5-4
	payload, p := verify(parts.compact(), h.alg, h.key)
	if p != nil {
		return KeyChange{}, p
	}
	// R8555-7.3.5-5
	var said struct {
		Account string          `json:"account"`
		OldKey  json.RawMessage `json:"oldKey"`
	}
	if p := DecodePayload(payload, &said); p != nil {
		return KeyChange{}, p
	}
	if said.Account == "" || said.OldKey == nil {
		return KeyChange{}, acme.Problemf(acme.Malformed, "the payload of %s must have \"account\" and \"oldKey\"", what)
	}
	old, p := parseJWK(said.OldKey, "")
	if p != nil {
		// badPublicKey would be about the new key.
		return KeyChange{}, acme.Problemf(acme.Malformed, "\"oldKey\" in %s is not a public key: %s", what, p.Detail)
	}
	switch {
	case said.Account != outer.KeyID():
		// R8555-7.3.5-8; no account equals the kid that is not there.
		return KeyChange{}, acme.Problemf(acme.Malformed, "\"account\" in %s must be the account URL of the request around it", what)
	case old.Hash != outer.key.Hash:
		// R8555-7.3.5-9
		return KeyChange{}, acme.Problemf(acme.Malformed, "\"oldKey\" in %s is not the current key of the account", what)
	case h.key.Hash == outer.key.Hash:
		// R8555-7.3.5-11
		return KeyChange{}, acme.Problemf(acme.Malformed, "the new key is the current key of the account; make a new one")
	}
	return KeyChange{Account: said.Account, OldKey: outer.key, NewKey: h.key}, nil
}
