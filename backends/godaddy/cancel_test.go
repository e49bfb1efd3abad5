package godaddy_test

import (
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/godaddy/godaddytest"
	"acmebridge/internal/standin"
)

// TestCancel: what is not issued yet is given up, also when the reply is lost, and
// nothing comes of it afterwards. What is issued stays.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  string
		issued bool
		says   string // nothing when it is cancelled
	}{
		"pending":        {},
		"the reply lost": {fault: "reset-after"},
		"away":           {fault: "reset-before", says: "cancel certificate"},
		"issued":         {issued: true, says: "is ISSUED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, godaddytest.Config{Processing: time.Hour})
			b := w.backend(t, w.client(t))
			r := w.request(t)
			ticket, err := b.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if test.issued {
				w.ca.Advance(time.Hour)
			}
			if test.fault != "" {
				w.breaks(t, standin.Fault{Endpoint: "cancel", Kind: test.fault})
			}
			err = b.Cancel(t.Context(), r, ticket, "nobody wants it")
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("cancelled: %v", err)
			}
			w.ca.Mend()
			w.ca.Advance(2 * time.Hour)
			got, err := b.Poll(t.Context(), ticket)
			if _, over := backends.RefusalDetail(err); over != (test.says == "") || over == (got.Chain != nil) {
				t.Errorf("afterwards: a chain of %d, %v", len(got.Chain), err)
			}
			if test.says == "" {
				if err := b.Cancel(t.Context(), r, ticket, "again"); err != nil {
					t.Errorf("again: %v", err)
				}
			}
		})
	}
}
