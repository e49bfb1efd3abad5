package caclient_test

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

func isNumber(id string) bool { return id != "" && strings.Trim(id, "0123456789") == "" }

// TestTicket: what is written down is read again, by whoever wrote it and nobody
// else, and what was damaged is not taken for another request.
func TestTicket(t *testing.T) {
	t.Parallel()
	r := backends.Request{PublicKey: []byte("a key"), At: time.Unix(1_775_000_000, 0)}
	plain := caclient.TicketFor("17", r)
	more := plain
	more.More = []string{"sc", "AAAA"}
	for _, want := range []caclient.Ticket{plain, more} {
		got, err := caclient.ReadTicket("ca", "c1", want.Text("c1"), isNumber, 2)
		if err != nil || !reflect.DeepEqual(got, want) || got.Key != sha256.Sum256(r.PublicKey) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	text := string(plain.Text("c1"))
	fields := strings.Split(text, ".")
	for _, bad := range []string{
		"", "c1", "c2" + text[2:], strings.Join(fields[:3], "."), strings.Replace(text, ".17.", ".x.", 1), strings.Replace(text, ".17.", "..", 1),
		strings.Replace(text, ".1775000000.", ".soon.", 1), text[:len(text)-1], text + "AA", text + ".x", text + ".x.y.z",
	} {
		if got, err := caclient.ReadTicket("ca", "c1", backends.Ticket(bad), isNumber, 2); err == nil || !strings.HasPrefix(err.Error(), "ca: ") || got.ID != "" {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
}

// FuzzReadTicket: what can be read is what was written down.
func FuzzReadTicket(f *testing.F) {
	r := backends.Request{PublicKey: []byte("a key"), At: time.Unix(1_775_000_000, 0)}
	f.Add(string(caclient.TicketFor("17", r).Text("c1")))
	f.Add("c1.17.-5.AAAA.x")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := caclient.ReadTicket("ca", "c1", backends.Ticket(text), isNumber, 1)
		if err != nil {
			return
		}
		if again, err := caclient.ReadTicket("ca", "c1", got.Text("c1"), isNumber, 1); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q is read as %+v, and then as %+v, %v", text, got, again, err)
		}
	})
}
