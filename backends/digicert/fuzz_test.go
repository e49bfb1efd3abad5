package digicert_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"testing"

	"acmebridge/backends"
	"acmebridge/backends/digicert"
)

// FuzzTicket: whatever is stored, reading it never panics, and what is read is
// written the same way again.
func FuzzTicket(f *testing.F) {
	for _, seed := range []string{
		"", "d1.1.2.3.4", "d1.900001.1772366400.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.0",
		"d1.900001.1772366400.47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.1.sc.", "b1.1.1.1.1",
		"d2.900001.1772366400.47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.0.1f00", "d2.1.1.AAAA.0.-1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again, err := digicert.RereadTicket(backends.Ticket(text))
		if err != nil {
			return
		}
		third, err := digicert.RereadTicket(again)
		if err != nil || third != again {
			t.Errorf("%q became %q and then %q: %v", text, again, third, err)
		}
	})
}

// FuzzCSR: a key in PEM is read alike with and without its line breaks.
func FuzzCSR(f *testing.F) {
	f.Add([]byte{0x30, 0x00})
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) == 0 {
			return
		}
		wrapped := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		flat := digicert.Armoured("PUBLIC KEY", der)
		a, errA := digicert.PublicKeyOf(wrapped)
		b, errB := digicert.PublicKeyOf(flat)
		if errA != nil || errB != nil || !bytes.Equal(a, der) || !bytes.Equal(b, der) {
			t.Errorf("%x became %x (%v) and %x (%v)", der, a, errA, b, errB)
		}
		_, _ = digicert.PublicKeyOf(string(der))
	})
}

// TestTolerance: numbers, moments and objects in each way in which the CA has
// been seen to write them.
func TestTolerance(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]digicert.Number{"7": 7, `"7"`: 7, "null": 0, `""`: 0} {
		var n digicert.Number
		if err := json.Unmarshal([]byte(text), &n); err != nil || n != want {
			t.Errorf("%s is %d, %v", text, n, err)
		}
	}
	var n digicert.Number
	if err := json.Unmarshal([]byte(`"seven"`), &n); err == nil {
		t.Errorf("a word is the number %d", n)
	}
	for text, want := range map[string]digicert.Number{`{"id":7}`: 7, `[]`: 0, ` [ ]`: 0, `{"id":"7"}`: 7} {
		var o digicert.Object[digicert.ID]
		if err := json.Unmarshal([]byte(text), &o); err != nil || o.Value.ID != want {
			t.Errorf("%s is %+v, %v", text, o, err)
		}
	}
	for text, known := range map[string]bool{`"2026-03-01"`: true, `"2026-03-01T12:00:00+00:00"`: true, `"2026-03-01 12:00:00"`: true, `"soon"`: false, "null": false} {
		var m digicert.Moment
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.IsZero() == known {
			t.Errorf("%s is %s, %v", text, m, err)
		}
	}
}
