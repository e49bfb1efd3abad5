package upstream_test

import (
	"errors"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/upstream"
)

// TestClaimsOutlastWhatTheCASays: an order that is looked at now and then stays
// claimed, whenever the CA says that it ends: its clock may be wrong, and orders
// that are processed live on. Nobody else gets order or proof meanwhile (SC-17).
func TestClaimsOutlastWhatTheCASays(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, expires := range map[string]time.Time{
		"long past": begin.AddDate(-30, 0, 0), "a moment ago": begin.Add(-time.Second), "soon": begin.Add(time.Minute), "unsaid": {}, "never": begin.AddDate(5000, 0, 0),
	} {
		now := begin
		dir := t.TempDir()
		hold := upstream.Holder(dir, func() time.Time { return now })
		first := backends.Request{Key: "first", Member: acme.MemberID("one")}
		second := backends.Request{Key: "second", Member: acme.MemberID("two")}
		for range 8 { // the engine looks at least once in an hour
			if err := hold("https://ca/order/1", []string{"https://ca/authz/1"}, expires, first); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			now = now.Add(75 * time.Minute)
			for _, hold := range []func(string, []string, time.Time, backends.Request) error{hold, upstream.Holder(dir, func() time.Time { return now })} {
				if err := hold("https://ca/order/1", nil, expires, second); !errors.Is(err, upstream.ErrInUse) {
					t.Errorf("%s: after %s the order is another's: %v", name, now.Sub(begin), err)
				}
				if err := hold("https://ca/order/2", []string{"https://ca/authz/1"}, expires, second); !errors.Is(err, upstream.ErrInUse) {
					t.Errorf("%s: after %s the proof is another's: %v", name, now.Sub(begin), err)
				}
			}
		}
	}
}
