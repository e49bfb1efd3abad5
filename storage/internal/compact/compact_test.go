package compact_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"acmebridge/storage/internal/compact"
)

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const minted = "06b1l2m3n4o5p6q7r8s9t0u1v2a3b4c5d6eg"

// TestShrink checks what gets shorter, and that everything comes back.
func TestShrink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   any
		want int // the length of the short form
	}{
		{"id", minted, 24},
		{"id with a bit too many", minted[:35] + "h", 38},
		{"id in capitals", "06B1L2M3N4O5P6Q7R8S9T0U1V2A3B4C5D6EG", 38},
		{"id and a character", minted + "0", 39},
		{"time with nanoseconds", "2026-11-20T20:44:00.123456789Z", 10},
		{"time in whole seconds", "2026-11-20T20:44:00Z", 10},
		{"trailing zero in the fraction", "2026-11-20T20:44:00.10Z", 24},
		{"no such day", "2026-02-30T20:44:00Z", 21},
		{"lower case", "2026-11-20t20:44:00z", 21},
		{"before 1970", "1969-12-31T23:59:59Z", 21},
		{"the last day of X.509", "9999-12-31T23:59:59Z", 21},
		{"first", "1970-01-01T00:00:00Z", 10},
		{"ordinary text", "hello", 6},
		{"bytes like a time", []byte("2026-11-20T20:44:00Z"), 21},
		{"numbers", []any{1, -1, 300, 70000, 1 << 40, 1.5, true, nil}, len(encode(t, []any{1, -1, 300, 70000, 1 << 40, 1.5, true, nil}))},
		{"in a map in an array", []any{map[int]string{1: minted}, minted}, 1 + 2 + 24 + 24},
	} {
		in := encode(t, c.in)
		short, err := compact.Shrink(nil, in)
		if err != nil || len(short) != c.want {
			t.Errorf("%s: %d bytes, %v; want %d", c.name, len(short), err, c.want)
		}
		if back, err := compact.Expand(nil, short); err != nil || !bytes.Equal(back, in) {
			t.Errorf("%s: came back as %x, %v; want %x", c.name, back, err, in)
		}
	}
}

// TestPackedIDsSort checks that packing keeps the order.
func TestPackedIDsSort(t *testing.T) {
	t.Parallel()
	ids := []string{minted, "1" + minted[1:], "v" + minted[1:], minted[:35] + "0", "000000000000000000000000000000000000", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvg"}
	slices.Sort(ids)
	var before [compact.IDBytes]byte
	for i, id := range ids {
		p, ok := compact.PackID(id)
		if !ok || string(compact.AppendID(nil, p[:])) != id {
			t.Errorf("%s does not come back: %x, %t", id, p, ok)
		}
		if i > 0 && bytes.Compare(before[:], p[:]) >= 0 {
			t.Errorf("%s does not sort behind %s", id, ids[i-1])
		}
		before = p
	}
}

// FuzzExpand checks that nothing makes Expand panic, and that whatever CBOR
// there is comes back from Shrink.
func FuzzExpand(f *testing.F) {
	for _, v := range []any{minted, "2026-11-20T20:44:00.123456789Z", []any{1, "x", nil, time.Second}, map[string]int{"a": 1}} {
		b := encode(f, v)
		f.Add(b)
		short, err := compact.Shrink(nil, b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(short)
	}
	f.Add([]byte{0xc6, 0x1b})
	f.Add([]byte{0xc7, 0x56, 1})
	f.Add([]byte{0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if long, err := compact.Expand(nil, b); err == nil && len(long) > 4*len(b) {
			t.Errorf("%d bytes became %d", len(b), len(long))
		}
		if short, err := compact.Shrink(nil, b); err == nil {
			back, err := compact.Expand(nil, short)
			if err != nil || !bytes.Equal(back, b) {
				t.Errorf("%x came back as %x, %v", b, back, err)
			}
		}
	})
}
