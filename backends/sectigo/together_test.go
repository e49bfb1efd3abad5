package sectigo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// sizes are those of the batches that the CA has, the largest first.
func (b *bridge) sizes() (all []int) {
	for _, e := range b.ca.Purchases() {
		all = append(all, -e.Size)
	}
	slices.Sort(all)
	for i := range all {
		all[i] = -all[i]
	}
	return all
}

// crowded is a bridge that sends up to four orders at once, with so many of them
// placed by an account each.
func crowded(t *testing.T, cfg sectigotest.Config, n int, before func(*bridge), after func(*bridge, *engine.Engine, *needs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, cfg)
		b.batch, b.profile.Hold = 4, 0
		if before != nil {
			before(b)
		}
		all := &needs{b: b}
		b.life(func(e *engine.Engine) {
			for i := range n {
				all.place(e, b.account(e), fmt.Sprintf("h%d.example.org", i))
			}
			after(b, e, all)
		})
	})
}

func (b *bridge) breaks(faults ...sectigotest.Fault) {
	b.t.Helper()
	for _, f := range faults {
		if err := b.ca.Break(f); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestTogether: as many uploads as there are batches, as many CSRs as there are
// needs, and each order has the certificate for its own key.
func TestTogether(t *testing.T) {
	t.Parallel()
	for _, layout := range []sectigotest.Layout{sectigotest.LayoutPEM, sectigotest.LayoutPKCS7, sectigotest.LayoutAll} {
		crowded(t, sectigotest.Config{Created: 10 * time.Second, Processing: 5 * time.Minute, Layout: layout}, 10, nil, func(b *bridge, e *engine.Engine, all *needs) {
			time.Sleep(time.Hour)
			all.are(e, acme.OrderValid)
			b.once(10)
			if got := b.sizes(); !slices.Equal(got, []int{4, 4, 2}) || b.ca.Count("upload") != 3 {
				t.Errorf("%v: %d uploads of %v", layout, b.ca.Count("upload"), got)
			}
			if n := len(b.ca.Journal("download")); n != 3 {
				t.Errorf("%v: %d downloads of 3 archives", layout, n)
			}
			if n := b.ca.Count("batch"); n > 60 { // 3 batches for 5 minutes, and not 10
				t.Errorf("%v: asked %d times", layout, n)
			}
		})
	}
}

// TestTogetherEnds: what becomes of each order of a batch that does not go well.
func TestTogetherEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before  func(*bridge)
		valid   int // of 4; the others are invalid
		batches []int
		problem acme.ProblemType
	}{
		"issued partly": {
			before: func(b *bridge) { b.ca.Next(sectigotest.Outcome{Kind: sectigotest.Partial}) },
			valid:  2, batches: []int{4}, problem: acme.ServerInternal,
		},
		"broken by one of them": {
			before: func(b *bridge) {
				b.ca.Next(sectigotest.Outcome{Kind: sectigotest.Broken})
				if err := b.ca.Plan("h2.example.org", sectigotest.Outcome{Kind: sectigotest.Broken}); err != nil {
					b.t.Fatal(err)
				}
			},
			valid: 3, batches: []int{4, 1, 1, 1, 1}, problem: acme.BadCSR,
		},
		"refused": {
			before: func(b *bridge) {
				b.breaks(sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 400, Count: 1})
			},
			valid: 4, batches: []int{1, 1, 1, 1},
		},
		"rejected by a person": {
			before: func(b *bridge) {
				b.ca.Next(sectigotest.Outcome{Kind: sectigotest.Rejected, Reason: "h1.example.org is not ours"})
			},
			valid: 0, batches: []int{4}, problem: acme.Unauthorized,
		},
		"with other keys": {
			before: func(b *bridge) { b.ca.Next(sectigotest.Outcome{Kind: sectigotest.WrongKey}) },
			valid:  0, batches: []int{4}, problem: acme.ServerInternal,
		},
		"the first one missing, for a while": {
			before: func(b *bridge) {
				b.breaks(sectigotest.Fault{Endpoint: "download", Kind: "zip-missing", Count: 3})
			},
			valid: 4, batches: []int{4},
		},
		"a dead archive, for a while": {
			before: func(b *bridge) {
				b.breaks(sectigotest.Fault{Endpoint: "download", Kind: "zip-truncated", Count: 6})
			},
			valid: 4, batches: []int{4},
		},
		"enough for three": {
			before: func(b *bridge) { b.ca.SetBalance(authority, 3) },
			valid:  3, batches: []int{1, 1, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crowded(t, sectigotest.Config{Processing: time.Minute}, 4, test.before, func(b *bridge, e *engine.Engine, all *needs) {
				time.Sleep(4 * time.Hour)
				valid, words := 0, map[string]bool{}
				for _, o := range all.all {
					got, _, err := e.Order(t.Context(), o.account.ID, o.id)
					if err != nil {
						t.Fatal(err)
					}
					switch {
					case got.Status == acme.OrderValid:
						valid++
					case test.problem == "" && got.Status != acme.OrderProcessing, test.problem != "" && (got.Problem == nil || got.Problem.Type != test.problem):
						t.Errorf("%s, %v", got.Status, got.Problem)
					}
					if got.Problem != nil {
						words[strings.ReplaceAll(got.Problem.Detail, string(got.ID), "")] = true
						if strings.Contains(got.Problem.Detail, "example.org") {
							t.Errorf("one shows to another: %s", got.Problem.Detail)
						}
					}
				}
				if valid != test.valid || len(words) > 1 {
					t.Errorf("%d are valid, want %d; problems %v", valid, test.valid, words)
				}
				all.own(e)
				if got := b.sizes(); !slices.Equal(got, test.batches) {
					t.Errorf("batches of %v, want %v", got, test.batches)
				}
			})
		})
	}
}

// TestTogetherLostReplies: replies get lost, batches show up late or without
// names, and the server is started anew in between, at times with other settings.
// Each order is in one batch, and has its certificate in the end (D8, SC-3, SC-4).
func TestTogetherLostReplies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg    sectigotest.Config
		faults []sectigotest.Fault
	}{
		"lost": {
			sectigotest.Config{Created: 30 * time.Second, Processing: 5 * time.Minute, ListDelay: 100 * time.Second, List: "items", PageSize: 4},
			[]sectigotest.Fault{{Endpoint: "upload", Kind: "reset-after", Probability: 0.5}},
		},
		"late, nameless and slow": {
			sectigotest.Config{NoBatchName: true, Processing: 3 * time.Hour, SingleUse: true},
			[]sectigotest.Fault{{Endpoint: "upload", Kind: "half-body", Probability: 0.5}},
		},
		"everything": {
			sectigotest.Config{Created: 10 * time.Second, Processing: 2 * time.Minute},
			[]sectigotest.Fault{
				{Endpoint: "upload", Kind: "status-after", Status: 502, Probability: 0.3}, {Endpoint: "upload", Kind: "status", Status: 429, RetryAfter: "30", Probability: 0.2},
				{Endpoint: "upload", Kind: "status", Status: 401, Probability: 0.1}, {Endpoint: "batch", Kind: "status", Status: 503, Probability: 0.2},
				{Endpoint: "batches", Kind: "invalid-json", Probability: 0.2}, {Endpoint: "download", Kind: "zip-truncated", Probability: 0.3},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := test.cfg
				cfg.Seed = 42
				b := newBridge(t, cfg)
				b.profile.Hold = 0
				b.breaks(test.faults...)
				const n = 36
				all := &needs{b: b}
				for _, size := range []int{4, 8, 1, 4} {
					b.batch = size
					b.life(func(e *engine.Engine) {
						for range n / 4 {
							all.place(e, b.account(e), fmt.Sprintf("n%d.example.org", len(all.all)))
						}
						time.Sleep(17 * time.Second) // and then it is stopped
					})
				}
				b.life(func(e *engine.Engine) {
					time.Sleep(3 * 24 * time.Hour)
					all.are(e, acme.OrderValid)
				})
				b.once(n)
				if got := b.sizes(); len(got) >= n || slices.Max(got) < 4 {
					t.Errorf("batches of %v", got)
				}
			})
		})
	}
}

// TestTogetherOrphans: a batch of several is known by the key of the first of
// them, so a look at the CA does not take it for somebody else's (SC-7).
func TestTogetherOrphans(t *testing.T) {
	t.Parallel()
	crowded(t, sectigotest.Config{Processing: time.Minute}, 4, nil, func(b *bridge, e *engine.Engine, all *needs) {
		time.Sleep(25 * time.Hour)
		all.are(e, acme.OrderValid)
		if s := e.Standings(); len(s) != 1 || s[0].At.IsZero() || len(s[0].Orphans) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBatching: what a backend is told about it.
func TestBatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	issuing, root := w.ca.Roots()
	for _, wrong := range []sectigo.BackendConfig{{Batch: sectigo.MaxBatch + 1}, {Batch: -1}, {Batch: 2, BatchWait: time.Minute}} {
		wrong.Client, wrong.ProfileID, wrong.Roots, wrong.Intermediates = w.client, profile, [][]byte{root}, [][]byte{issuing}
		if _, err := sectigo.NewBackend(wrong); err == nil || !strings.Contains(err.Error(), "in one upload") {
			t.Errorf("%d, %s: %v", wrong.Batch, wrong.BatchWait, err)
		}
	}
	b := w.backend(t, w.client, func(c *sectigo.BackendConfig) { c.Batch, c.BatchWait = 3, time.Second })
	if size, wait := b.Batching(); size != 3 || wait != time.Second {
		t.Errorf("%d, %s", size, wait)
	}
	for _, test := range []struct {
		names []string
		want  bool
	}{{[]string{"a.example.org"}, true}, {nil, false}, {slices.Repeat([]string{strings.Repeat("long.", 40) + "example.org"}, 120), false}} {
		if got := b.MayJoin(backends.Request{CSR: newOrder(t, test.names...).csr}); got != test.want {
			t.Errorf("%d names: %t", len(test.names), got)
		}
	}
	// The parameters of an upload are those of all that is in it.
	b = w.backend(t, w.client, func(c *sectigo.BackendConfig) {
		c.Batch, c.Params = 3, map[string]string{"organizationName": "{organization}"}
	})
	r := backends.Request{CSR: newOrder(t, "a.example.org").csr}
	r.Contract.Names.Organization = "Example"
	if b.MayJoin(r) {
		t.Error("the organization of one member would be put on others")
	}
}
