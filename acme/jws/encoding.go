package jws

import (
	"encoding/base64"
	"errors"
)

// strictBase64 refuses stray bits in the last character (F-5), so that each
// value has one spelling.
var strictBase64 = base64.RawURLEncoding.Strict()

var errEncoding = errors.New("not base64url without padding (RFC 8555, section 6.1)")

// decodeBase64 decodes base64url without padding (R8555-6.1-6).
func decodeBase64(s []byte) ([]byte, error) {
	// The standard decoder skips line breaks even when strict.
	for _, c := range s {
		if !base64Character(c) {
			return nil, errEncoding
		}
	}
	out := make([]byte, strictBase64.DecodedLen(len(s)))
	n, err := strictBase64.Decode(out, s)
	if err != nil {
		return nil, errEncoding
	}
	return out[:n], nil
}

// spelledBase64 reports whether s has the characters and a length of base64url.
func spelledBase64(s []byte) bool {
	for _, c := range s {
		if !base64Character(c) {
			return false
		}
	}
	return len(s)%4 != 1
}

// validBase64 reports whether decodeBase64 would accept s, without decoding.
func validBase64(s []byte) bool {
	if !spelledBase64(s) {
		return false
	}
	switch len(s) % 4 {
	case 2:
		return base64Value(s[len(s)-1])&0x0f == 0
	case 3:
		return base64Value(s[len(s)-1])&0x03 == 0
	}
	return true
}

func base64Character(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// base64Value is the six bits of a character of the alphabet.
func base64Value(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 26
	case c == '_':
		return 63
	case c >= 'A':
		return c - 'A'
	case c >= '0':
		return c - '0' + 52
	}
	return 62
}
