package jws

import (
	"bytes"
	"errors"
	"slices"

	"acmebridge/acme"
)

// header is a protected header: the only one there is (F-7).
type header struct {
	alg    string
	kid    string
	hasKid bool
	key    *Key
	// jwk is the raw member, kept until the algorithm has been looked at.
	jwk      []byte
	nonce    string
	hasNonce bool
	url      string
}

// algorithmRule says whether alg may be used, and the problem when not.
type algorithmRule func(alg string) *acme.Problem

// Algorithms lists the signature algorithms that are accepted (EK-11).
func Algorithms() []string { return []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} }

// signatureAlgorithm refuses `none` and MACs along with everything else that
// is not on the list, and says what is (R8555-6.2-8, R8555-6.2-14).
func signatureAlgorithm(alg string) *acme.Problem {
	if slices.Contains(Algorithms(), alg) {
		return nil
	}
	p := acme.Problemf(acme.BadSignatureAlgorithm, "signature algorithm %q is not supported; use one that suits the account key of RS256, ES256, ES384, ES512, EdDSA", shown([]byte(alg)))
	p.Algorithms = Algorithms()
	return p
}

// headerNames are those that mean something here. A spelling in another case
// is refused, as some other reader might take it for the same.
var headerNames = [...]string{"alg", "jwk", "kid", "nonce", "url", "b64", "crit", "jku", "x5u", "x5c"}

// parseHeader reads the members and checks what holds for every JWS in ACME,
// in the order algorithm, then key (SP-4). Which members must be there
// differs: see the want methods.
func parseHeader(encoded []byte, rule algorithmRule) (header, *acme.Problem) {
	var h header
	raw, err := decodeBase64(encoded)
	if err != nil {
		return h, acme.Problemf(acme.Malformed, "the protected header is %v", err)
	}
	s := scanner{data: raw, longest: maxString}
	err = s.scanObject(nil, h.member)
	var p errProblem
	switch {
	case errors.As(err, &p):
		return h, p.Problem
	case err != nil:
		return h, acme.Problemf(acme.Malformed, "the protected header is not acceptable JSON: %v", err)
	case h.alg == "":
		return h, acme.Problemf(acme.Malformed, "the protected header has no \"alg\"")
	}
	if p := rule(h.alg); p != nil {
		return h, p
	}
	if h.jwk != nil {
		if h.hasKid {
			// R8555-6.2-11, before any work on the key.
			return h, acme.Problemf(acme.Malformed, "the protected header has both \"jwk\" and \"kid\"; send one of them (RFC 8555, section 6.2)")
		}
		var p *acme.Problem
		if h.key, p = parseJWK(h.jwk, h.alg); p != nil {
			return h, p
		}
		if p := h.key.suits(h.alg); p != nil {
			return h, p
		}
	}
	return h, nil
}

// member takes one member of the header.
func (h *header) member(name, value []byte) error {
	var into *string
	switch string(name) {
	case "alg":
		into = &h.alg
	case "kid":
		into, h.hasKid = &h.kid, true
	case "nonce":
		into, h.hasNonce = &h.nonce, true
	case "url":
		into = &h.url
	case "jwk":
		if value[0] != '{' {
			return errProblem{acme.Problemf(acme.Malformed, "\"jwk\" in the protected header must be an object")}
		}
		h.jwk = value
		return nil
	case "b64", "crit":
		// R8555-6.2-4. go-jose would go along with b64 (F-2), and no other
		// extension is understood here, which is what crit demands.
		return errProblem{acme.Problemf(acme.Malformed, "the protected header has %q, which ACME does not allow", name)}
	case "jku", "x5u", "x5c":
		// R8555-6.2-7: the key comes from jwk or kid.
		return errProblem{acme.Problemf(acme.Malformed, "the protected header has %q; name the key with \"jwk\" or \"kid\"", name)}
	default:
		for _, known := range headerNames {
			if bytes.EqualFold(name, []byte(known)) {
				return errProblem{acme.Problemf(acme.Malformed, "%q in the protected header must be spelled %q", shown(name), known)}
			}
		}
		return nil
	}
	var ok bool
	if *into, ok = text(value); !ok {
		return errProblem{acme.Problemf(acme.Malformed, "%q in the protected header must be a string", name)}
	}
	return nil
}

// wantOneKeySource wants jwk or kid; both were refused before (R8555-6.2-7).
func (h *header) wantOneKeySource() *acme.Problem {
	if h.key == nil && h.kid == "" {
		return acme.Problemf(acme.Malformed, "the protected header must have \"kid\" with the account URL, or \"jwk\" to create an account or to revoke with the certificate key")
	}
	return nil
}

// wantURL wants the URL that the request is for (R8555-6.4-3).
func (h *header) wantURL() *acme.Problem {
	if h.url == "" {
		return acme.Problemf(acme.Malformed, "the protected header must have \"url\", the URL that the request is sent to (RFC 8555, section 6.4)")
	}
	return nil
}

// wantNonce tells a missing nonce, which the client may retry with the fresh
// one (R8555-6.5-4), from one that no server can have issued (R8555-6.5-8).
func (h *header) wantNonce() *acme.Problem {
	switch {
	case h.nonce == "":
		// The first words are what acme.sh recognises (C-SH-1).
		return acme.Problemf(acme.BadNonce, "JWS has an invalid anti-replay nonce: it has none; repeat the request with the one in the Replay-Nonce header of this answer")
	case !spelledBase64([]byte(h.nonce)):
		// Stray bits in the last character are no reason to be strict: such a
		// nonce is not ours, and the client may retry with one that is.
		return acme.Problemf(acme.Malformed, "the nonce is %v", errEncoding)
	}
	return nil
}

// wantNoNonce holds for the inner JWS of a key change and of an external
// account binding (R8555-7.3.5-7, R8555-7.3.4-5).
func (h *header) wantNoNonce(what string) *acme.Problem {
	if h.hasNonce {
		return acme.Problemf(acme.Malformed, "%s must not have a \"nonce\"; it belongs into the outer JWS only", what)
	}
	return nil
}
