package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// TestResendsOnce: what a profile permits in doubt is one more purchase, and not
// one for each reply that gets lost: a CA that answers nobody would be bought
// empty (SC-4). From then on a person decides.
func TestResendsOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		backend func(*fakeCA) backends.Backend
	}{
		{"where requests can be looked up", func(f *fakeCA) backends.Backend { return searchable{f} }},
		{"where they cannot", func(f *fakeCA) backends.Backend { return f }},
	} {
		t.Run(test.name, func(t *testing.T) {
			slow(t, func(w *world) {
				w.profile.ResubmitOnDoubt, w.backend = true, test.backend(w.fake)
				w.fake.loseReplies, w.fake.hiddenFor = 100, 1000*time.Hour
			}, func(r *run) {
				a := r.account()
				o := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
				time.Sleep(6 * 24 * time.Hour)
				r.wantStatus(a, o.ID, acme.OrderProcessing)
				r.wantBought(2)
				if x := r.explain(o.ID); x.Job == nil || x.Job.Parked == "" || x.Submission.Evidence == "" {
					r.w.t.Errorf("nobody is asked to decide: job %+v, evidence %q", x.Job, x.Submission.Evidence)
				}
			})
		})
	}
}

// TestDoubtIsNotSwapped: a request that is sent once more because nobody knows
// what became of it may have been bought, so a later order with another key
// cannot take its place.
func TestDoubtIsNotSwapped(t *testing.T) {
	slow(t, func(w *world) {
		w.profile.ResubmitOnDoubt, w.profile.Reattach = true, acme.ReattachSwap
		w.backend = w.fake
		w.fake.loseReplies, w.fake.notSent = 1, 0
	}, func(r *run) {
		a := r.account()
		first := r.finalizes(a, r.ready(a, "a.net"), newKey(r.w.t))
		r.w.fake.set(func(f *fakeCA) { f.notSent = 1000 }) // it stays here from now on
		time.Sleep(time.Hour)
		_, _, err := r.finalize(a, r.ready(a, "a.net"), newKey(r.w.t))
		_ = problemOf(r.w.t, err, acme.RateLimited)
		r.wantStatus(a, first.ID, acme.OrderProcessing)
		r.wantBought(1)
	})
}

// TestRetryAfterDeadline: whoever puts a parked order back to work gives it time
// to get somewhere, also when the first time has run out while it was parked.
func TestRetryAfterDeadline(t *testing.T) {
	for _, test := range []struct {
		name   string
		fault  func(*fakeCA)
		resend bool
	}{
		{"sent once more", func(f *fakeCA) { f.dropRequests = 1 }, true},
		{"looked up", func(f *fakeCA) { f.loseReplies, f.hiddenFor, f.issueAfter = 1, 36*time.Hour, 60*time.Hour }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.profile.IssuanceDeadline = 48 * time.Hour
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				test.fault(w.fake)
				r := w.start()
				defer r.end()
				a, o := r.finalized("a.example.org")
				time.Sleep(49 * time.Hour)
				if jobs, _, err := r.Operator().Parked(t.Context(), storage.Page{}); err != nil || len(jobs) != 1 {
					t.Fatalf("%d jobs are parked, %v", len(jobs), err)
				}
				if err := r.Operator().Retry(t.Context(), o.ID, test.resend); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Hour)
				r.wantStatus(a, o.ID, acme.OrderValid)
				r.wantBought(1)
			})
		})
	}
}

// TestApprovalOfEndedAttached: an order that is over is not approved, even if it
// once shared the request of another one; that one waits on.
func TestApprovalOfEndedAttached(t *testing.T) {
	slow(t, fourEyes, func(r *run) {
		ctx := r.w.t.Context()
		a, key := r.account(), newKey(r.w.t)
		first := r.finalizes(a, r.ready(a, "a.net"), key)
		second := r.finalizes(a, r.ready(a, "a.net"), key)
		if err := r.Operator().Abandon(ctx, second.ID, "a mistake"); err != nil {
			r.w.t.Fatal(err)
		}
		for _, decide := range []func() error{
			func() error { return r.Operator().Approve(ctx, second.ID, "alice", "fine") },
			func() error { return r.Operator().Reject(ctx, second.ID, "alice", "fine") },
		} {
			if err := decide(); err == nil || !strings.Contains(err.Error(), "waits for nobody's approval") {
				r.w.t.Errorf("decided on what is over: %v", err)
			}
		}
		time.Sleep(time.Minute)
		r.wantWaiting(first.ID)
		r.wantBought(0)
	})
}

// TestApprovalOfLostProfile: when the configuration has no such profile any
// more, nobody knows who may approve its orders, so nobody may (SP-3).
func TestApprovalOfLostProfile(t *testing.T) {
	w := newWorld(t)
	fourEyes(w)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.account()
		o := r.finalizes(a, r.ready(a, "a.net"), newKey(t))
		r.end()
		w.rename("other")
		r = w.start()
		defer r.end()
		if err := r.Operator().Approve(t.Context(), o.ID, "mallory", "why not"); err == nil || !strings.Contains(err.Error(), "tls") {
			t.Errorf("approved under a profile that is gone: %v", err)
		}
		time.Sleep(time.Minute)
		r.wantStatus(a, o.ID, acme.OrderProcessing)
		r.wantBought(0)
		if err := r.Operator().Reject(t.Context(), o.ID, "alice", "no such profile"); err != nil {
			t.Errorf("what nobody may approve cannot be rejected either: %v", err)
		}
		r.wantStatus(a, o.ID, acme.OrderInvalid)
	})
}

// rename gives the profile of the next run another name.
func (w *world) rename(name acme.ProfileName) {
	w.change = func(cfg *engine.Config) {
		p := w.profile
		p.Name = name
		cfg.Profiles = map[acme.ProfileName]acme.Profile{name: p}
		for i := range cfg.Directories {
			cfg.Directories[i].Profiles = []acme.ProfileName{name}
		}
	}
}
