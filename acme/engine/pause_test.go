package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
)

// leaveMeAlone is what a CA says that is overloaded.
type leaveMeAlone time.Duration

func (l leaveMeAlone) Error() string             { return "too many requests" }
func (l leaveMeAlone) PauseAsked() time.Duration { return time.Duration(l) }

// TestPauseAsked: who wants to be left alone for a while is, and for no longer
// than an hour and a half; who says nothing, or nonsense, is asked again after
// the usual pauses (SC-15).
func TestPauseAsked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err         error
		first, last time.Duration // between two tries, at least and at most
	}{
		"nothing said": {errors.New("connection refused"), 2 * time.Second, 11 * time.Minute},
		"a while":      {leaveMeAlone(20 * time.Minute), 20 * time.Minute, 30 * time.Minute},
		"a year":       {leaveMeAlone(365 * 24 * time.Hour), time.Hour, 90 * time.Minute},
		"the past":     {leaveMeAlone(-time.Hour), 2 * time.Second, 11 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				defer r.end()
				w.fake.set(func(f *fakeCA) { f.away = test.err })
				client := client{w: w, key: newKey(t), csr: csrFor(t, newKey(t), "a.example.org"), stopAt: acme.OrderProcessing}
				client.goOn(r)
				time.Sleep(4 * time.Hour)
				w.fake.set(func(f *fakeCA) { f.away = nil })
				tries := w.fake.tries
				for i := 1; i < len(tries); i++ {
					if pause := tries[i].Sub(tries[i-1]); pause < test.first || pause > test.last {
						t.Errorf("try %d came after %s, want %s to %s", i, pause, test.first, test.last)
					}
				}
				if len(tries) < 2 {
					t.Errorf("%d tries", len(tries))
				}
				time.Sleep(2 * time.Hour)
				r.wantStatus(client.account, client.order, acme.OrderValid)
			})
		})
	}
}

// TestAwayForDays: a CA that nothing can be sent to for days, in which time the
// server is started anew and dies, needs no person afterwards.
func TestAwayForDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.set(func(f *fakeCA) { f.away = errors.New("no route") })
		client := client{w: w, key: newKey(t), csr: csrFor(t, newKey(t), "a.example.org"), stopAt: acme.OrderProcessing}
		memory := w.store
		for range 6 {
			r := w.start()
			client.goOn(r)
			time.Sleep(12 * time.Hour)
			r.end()
			// And one that dies with the job in hand: its first commit is that of
			// the lists to publish, the second takes the job.
			dying := &crashStore{Store: memory, at: 2, applied: true}
			w.store = dying
			r = w.start()
			time.Sleep(time.Hour)
			if !checkEnd(t, r, dying) {
				t.Error("nothing was claimed")
			}
			w.store = memory
		}
		w.fake.set(func(f *fakeCA) { f.away = nil })
		r := w.start()
		defer r.end()
		time.Sleep(time.Hour)
		r.wantStatus(client.account, client.order, acme.OrderValid)
	})
}
