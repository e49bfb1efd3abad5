package engine_test

import (
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
)

// TestCancelUnable: a CA that cannot be told to give an order up is not pretended to
// have been, and the order goes on.
func TestCancelUnable(t *testing.T) {
	slow(t, func(*world) {}, func(r *run) {
		a := r.account()
		before := r.ready(a, "b.net")
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		time.Sleep(time.Minute)
		for id, says := range map[acme.OrderID]string{o.ID: "cannot be told to give an order up", before.ID: "no CA has heard of it", "nothing": "no such record"} {
			if err := r.Operator().Cancel(r.w.t.Context(), id, "enough"); err == nil || !strings.Contains(err.Error(), says) {
				r.w.t.Errorf("%s: %v", says, err)
			}
		}
		r.wantStatus(a, o.ID, acme.OrderProcessing)
		r.wantStatus(a, before.ID, acme.OrderReady)
	})
}
