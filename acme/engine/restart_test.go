package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
)

// TestDrain: stopping lets the steps that run end, so that what a CA has
// answered is stored; a restart goes on with the rest.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		o := r.order(a, "slow.example.org") // its host takes ten seconds
		if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 6*time.Second || took > 8*time.Second {
			t.Errorf("the stop took %s; the validation had seven seconds to go", took)
		}
		r = w.start()
		defer r.end()
		r.wantStatus(a, o.ID, acme.OrderReady)
		if n := w.targets.tried("slow.example.org"); n != 1 {
			t.Errorf("tried %d times", n)
		}
	})
}

// TestRescue: a run that was killed leaves leases; the next one frees them at
// once instead of waiting for their end.
func TestRescue(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		o := r.order(a, "slow.example.org")
		if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		// The run is left behind with its lease, as if it had been killed.
		begun := time.Now()
		next := w.start()
		time.Sleep(11 * time.Second)
		if next.Counters.Rescued.Load() != 1 {
			t.Errorf("%d jobs were rescued", next.Counters.Rescued.Load())
		}
		next.wantStatus(a, o.ID, acme.OrderReady)
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("the rescue took %s", took)
		}
		for _, x := range []*run{r, next} {
			if err := x.close(); err != nil {
				t.Errorf("the run ended with %v", err)
			}
		}
	})
}
