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
// Methods cannot help where package fmt prints an unexported field that holds a
// Secret, because it does not call them there. What it then shows is an address:
// it follows pointers to structs, slices and maps, and none to a string. The
// pointer also makes == compare places and not contents, so that it never says
// yes by accident; use Equal.
type Secret struct{ value *string }

// New returns a secret with a copy of value.
func New(value []byte) Secret {
	if len(value) == 0 {
		return Secret{}
	}
	text := string(value)
	return Secret{value: &text}
}

// Reveal returns a copy of the value. The name is long to be found by a search:
// every use is a place from which the secret could leak.
func (s Secret) Reveal() []byte {
	if s.value == nil {
		return nil
	}
	return []byte(*s.value)
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
