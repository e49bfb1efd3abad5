package acme

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// NameSet stands for a set of identifiers, in whatever order they were sent:
// two certificates of one NameSet serve the same names (SL-17, SL-21).
type NameSet [16]byte

// NameSetOf returns the set of some identifiers. Spelling and repetition do
// not matter, because an identifier has one normal form.
func NameSetOf(identifiers []Identifier) NameSet {
	names := make([]string, len(identifiers))
	for i, id := range identifiers {
		names[i] = string(id.Type) + ":" + id.Value
	}
	slices.Sort(names)
	// No identifier has a zero byte, so no two sets make one text.
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(names), "\x00")))
	return NameSet(sum[:16])
}
