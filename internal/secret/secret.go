package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

// redacted stands for every secret, also for an empty one: whether there is
// one at all is nobody's business.
const redacted = "[redacted]"

// Secret holds bytes that nothing prints (SK-1). The zero value is the empty
// secret. A Secret is copied like a string; its bytes never change.
//
// The value is hidden behind a pointer to keep it out of reach of packages that
// print unexported fields by reflection. That also makes == compare places
// and not contents, so it never says yes by accident; use Equal.
type Secret struct{ value *[]byte }

// New returns a secret with a copy of value.
func New(value []byte) Secret {
	if len(value) == 0 {
		return Secret{}
	}
	b := append([]byte(nil), value...)
	return Secret{value: &b}
}

// Reveal returns a copy of the value. The name is long to be found by a search:
// every use is a place from which the secret could leak.
func (s Secret) Reveal() []byte {
	if s.value == nil {
		return nil
	}
	return append([]byte(nil), *s.value...)
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// Equal compares in constant time, the lengths included.
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256(s.Reveal()), sha256.Sum256(other.Reveal())
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder.
func (Secret) GoString() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalYAML returns a placeholder.
func (Secret) MarshalYAML() (any, error) { return redacted, nil }

// MarshalBinary returns a placeholder, for encodings such as gob and CBOR.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }
