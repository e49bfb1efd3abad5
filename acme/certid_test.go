package acme

import (
	"bytes"
	"strings"
	"testing"
)

// The example of RFC 9773, section 4.1.
var (
	exampleKeyID  = []byte{0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4}
	exampleSerial = []byte{0x00, 0x87, 0x65, 0x43, 0x21}
)

const exampleCertID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"

func TestCertID(t *testing.T) { // R9773-4.1-1, -3
	t.Parallel()
	if got := CertID(exampleKeyID, exampleSerial); got != exampleCertID {
		t.Errorf("CertID = %s, want %s", got, exampleCertID)
	}
	if got := CertID(nil, exampleSerial); got != "" {
		t.Errorf("without a key identifier: %q", got)
	}
	if got := CertID(exampleKeyID, nil); got != "" {
		t.Errorf("without a serial: %q", got)
	}
}

func TestParseCertID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		exampleCertID,
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ",   // R9773-4.1-2: no sign octet
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AACHZUMh", // one too many
	} {
		aki, serial, p := ParseCertID(id)
		if p != nil || !bytes.Equal(aki, exampleKeyID) || !bytes.Equal(serial, exampleSerial) {
			t.Errorf("%s: got %x, %x, %v", id, aki, serial, p)
		}
	}
	for _, id := range []string{
		"", ".", "a", "aYhba4dGQEHhs3uEe6CuLN4ByNQ", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.", ".AIdlQyE",
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE=",
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyF",   // stray bits
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdl\nQyE", // the decoder would skip it
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdl.QyE", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AI+lQyE",
		strings.Repeat("A", 4000) + ".AIdlQyE",
	} {
		if _, _, p := ParseCertID(id); p == nil || p.Type != Malformed || p.Status != 400 {
			t.Errorf("%q: got %v, want malformed", id, p)
		}
	}
}

// FuzzParseCertID: whatever is accepted has a form that is found again.
func FuzzParseCertID(f *testing.F) {
	f.Add(exampleCertID)
	f.Add("AA.AA")
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, id string) {
		aki, serial, p := ParseCertID(id)
		if p != nil {
			return
		}
		aki2, serial2, p := ParseCertID(CertID(aki, serial))
		if p != nil || !bytes.Equal(aki, aki2) || !bytes.Equal(serial, serial2) {
			t.Errorf("%q: %x %x, again %x %x %v", id, aki, serial, aki2, serial2, p)
		}
	})
}
