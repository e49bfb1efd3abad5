package jws

import (
	"errors"

	"acmebridge/acme"
)

// Message is a request whose signature nobody has checked yet. What it says
// about itself may be used to find the key, and for nothing else.
type Message struct {
	header header
	// compact is the compact serialization, which is what gets signed plus
	// the signature, so go-jose need not read the outer JSON again.
	compact string
}

// Parse does all of reading a request that needs no key. The caller has
// bounded the size of body (R8555-6.2-19).
func Parse(body []byte) (*Message, *acme.Problem) {
	if len(body) == 0 {
		return nil, acme.Problemf(acme.Malformed, "the request has no body; sign it as a JWS (RFC 8555, section 6.2)")
	}
	parts, p := parseFlattened("the request", body)
	if p != nil {
		return nil, p
	}
	h, p := parseHeader(parts.protected, signatureAlgorithm)
	if p != nil {
		return nil, p
	}
	if p := parts.wantSignature("the request"); p != nil {
		return nil, p
	}
	if p := h.wantOneKeySource(); p != nil {
		return nil, p
	}
	if p := h.wantURL(); p != nil {
		return nil, p
	}
	if p := h.wantNonce(); p != nil {
		return nil, p
	}
	return &Message{header: h, compact: parts.compact()}, nil
}

// Alg returns the signature algorithm.
func (m *Message) Alg() string { return m.header.alg }

// KeyID returns the account URL in `kid`, empty when the request brings its
// own key.
func (m *Message) KeyID() string { return m.header.kid }

// Key returns the key in `jwk`, nil when the request names one with `kid`.
func (m *Message) Key() *Key { return m.header.key }

// Nonce returns the anti-replay nonce; it is well-formed base64url.
func (m *Message) Nonce() string { return m.header.nonce }

// URL returns where the client meant to send the request.
func (m *Message) URL() string { return m.header.url }

// flattened is the three members of a JWS, still encoded, but known to be
// base64url in its one spelling.
type flattened struct {
	protected, payload, signature []byte
}

func (f flattened) compact() string {
	b := make([]byte, 0, len(f.protected)+len(f.payload)+len(f.signature)+2)
	b = append(append(b, f.protected...), '.')
	b = append(append(b, f.payload...), '.')
	return string(append(b, f.signature...))
}

// errProblem carries a Problem out of a scan.
type errProblem struct{ *acme.Problem }

// parseFlattened reads the flattened JSON serialization and no other
// (R8555-6.2-2, F-6). The text of a problem calls the JWS by what it is.
func parseFlattened(what string, body []byte) (flattened, *acme.Problem) {
	var f flattened
	var seen int
	// The payload may be as long as the request: its strings are bounded when
	// it is decoded.
	s := scanner{data: body, longest: maxString, wide: func(name []byte) int {
		if string(name) == "payload" {
			return len(body)
		}
		return 0
	}}
	err := s.scanObject(nil, func(name, value []byte) error {
		var into *[]byte
		switch string(name) {
		case "protected":
			into = &f.protected
		case "payload":
			into = &f.payload
		case "signature":
			into = &f.signature
		case "signatures":
			// R8555-6.2-3
			return errProblem{acme.Problemf(acme.Malformed, "%s has a member \"signatures\"; sign once, in the flattened JSON serialization", what)}
		case "header":
			// R8555-6.2-5: not even an empty one
			return errProblem{acme.Problemf(acme.Malformed, "%s has an unprotected \"header\"; put everything into \"protected\"", what)}
		default:
			return errProblem{acme.Problemf(acme.Malformed, "%s has a member %q; a flattened JWS has \"protected\", \"payload\" and \"signature\" only", what, shown(name))}
		}
		decoded, ok := textBytes(value)
		if !ok {
			return errProblem{acme.Problemf(acme.Malformed, "member %q of %s must be a string", name, what)}
		}
		if !validBase64(decoded) {
			return errProblem{acme.Problemf(acme.Malformed, "member %q of %s is %v", name, what, errEncoding)}
		}
		*into = decoded
		seen++
		return nil
	})
	var p errProblem
	switch {
	case errors.As(err, &p):
		return f, p.Problem
	case err != nil:
		return f, acme.Problemf(acme.Malformed, "%s is not an acceptable JWS in flattened JSON: %v", what, err)
	case seen < 3:
		// R8555-6.2-6: a missing payload is not an empty one.
		return f, acme.Problemf(acme.Malformed, "%s must have all of \"protected\", \"payload\" and \"signature\"; the payload of a POST-as-GET is \"\"", what)
	case len(f.protected) == 0:
		return f, acme.Problemf(acme.Malformed, "%s must not have an empty \"protected\"", what)
	}
	return f, nil
}

// wantSignature is asked after the header: an empty signature goes with the
// algorithm "none", and it is the algorithm that the client should hear of
// (R8555-6.2-14).
func (f flattened) wantSignature(what string) *acme.Problem {
	if len(f.signature) == 0 {
		return acme.Problemf(acme.Malformed, "%s must not have an empty \"signature\"", what)
	}
	return nil
}
