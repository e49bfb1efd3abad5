//go:build unix

package server_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/internal/ratelimit"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
	"acmebridge/storage/memory"
)

// BenchmarkLimits says what limits and the registry cost, as processor time for
// one order: newOrder, the challenge, finalize. The ways take turns, batch by
// batch, so that whatever else the machine does meets all of them; what counts
// is the middle of the batches, and the requests are made and signed outside.
//
// With the store that is used each of the three commits is made alone here, as
// for a lone client; the store in memory leaves our own work, but counts the
// certificates of a member anew each time, which the other does not.
func BenchmarkLimits(b *testing.B) {
	b.Run("bolt", func(b *testing.B) {
		benchmarkLimits(b, func() storage.Store {
			store, err := bolt.Open(b.Context(), bolt.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := store.Close(); err != nil {
					b.Error(err)
				}
			})
			return store
		})
	})
	b.Run("memory", func(b *testing.B) { benchmarkLimits(b, func() storage.Store { return memory.New() }) })
}

func benchmarkLimits(b *testing.B, open func() storage.Store) {
	wide := ratelimit.Rate{Count: 900_000, Per: time.Hour}
	limits := func(c *engine.Config) {
		c.Limits = engine.Limits{
			OpenOrders: 10_000, Processing: 10_000, SameNames: 10_000, NewOrders: wide, FailedValidations: wide, Revocations: wide,
			NameSet: ratelimit.Rate{Count: 10, Per: time.Nanosecond}, Queue: 10_000, Commits: 10_000,
		}
	}
	front := func(c *server.Config) {
		c.Limits = server.Limits{Requests: wide, NewAccounts: wide, NetworkAccounts: wide, ExternalKeyFailures: wide, Polls: wide}
	}
	both := func(p *acme.Profile) { p.Authorization = acme.AuthorizeByBoth }
	free, few := acme.Member{ID: "m", Identifiers: []string{"*"}}, acme.Member{ID: "m", Identifiers: []string{"*"}, OpenOrders: 10_000, Certificates: 10_000}
	ways := []struct {
		name string
		o    servertest.Options
		m    *acme.Member
	}{
		{"plain", servertest.Options{}, nil},
		{"limits", servertest.Options{Engine: limits, Server: front}, nil},
		{"registry", servertest.Options{Profile: both}, &free},
		{"all", servertest.Options{Engine: limits, Server: front, Profile: both}, &few},
	}
	clients := make([]*client, len(ways))
	for i, w := range ways {
		w.o.Store = open()
		f := start(b, w.o)
		if w.m == nil {
			clients[i] = f.registered(b, "default")
		} else {
			clients[i] = f.enrolled(b, *w.m)
		}
		clients[i].batchOfOrders(b) // warm
	}
	spent := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, c := range clients {
			spent[i] = append(spent[i], c.batchOfOrders(b))
		}
	}
	for i, w := range ways {
		slices.Sort(spent[i])
		middle := spent[i][len(spent[i])/2]
		b.ReportMetric(float64(middle.Nanoseconds())/batch/1000, w.name+"-µs/order")
	}
}

// enrolled returns a client that acts for a member.
func (f *front) enrolled(b *testing.B, m acme.Member) *client {
	b.Helper()
	if _, err := f.Engine.Operator().CreateMember(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	k, mac, err := f.Engine.Operator().CreateExternalKey(b.Context(), engine.NewExternalKey{Directory: "eab", Member: m.ID})
	if err != nil {
		b.Fatal(err)
	}
	c := f.client(b, "eab")
	if r := c.register(b, `{"externalAccountBinding":`+bindingOf(b, c, string(k.ID), mac)+`}`); r.status != http.StatusCreated {
		b.Fatalf("register: %d %s", r.status, r.body)
	}
	return c
}

// batchOfOrders takes a batch of orders to their certificates and returns the
// processor time of the requests that do so.
func (c *client) batchOfOrders(b *testing.B) (spent time.Duration) {
	b.Helper()
	take := func(status int, one func(i int) call) []reply {
		replies, d := c.f.served(b, status, repeat(batch, one))
		spent += d
		return replies
	}
	placed := take(http.StatusCreated, func(int) call {
		return post(c.url["newOrder"], c.withAccount(b, c.url["newOrder"], orderFor("a.localhost")))
	})
	orders := make([]order, batch)
	challenges := make([]string, batch)
	for i, r := range placed {
		orders[i] = wantOrder(b, r, http.StatusCreated)
		challenges[i] = challengeOf(b, c.post(b, orders[i].Authorizations[0], ""))
	}
	take(http.StatusOK, func(i int) call { return post(challenges[i], c.withAccount(b, challenges[i], "{}")) })
	take(http.StatusOK, func(i int) call {
		return post(orders[i].Finalize, c.withAccount(b, orders[i].Finalize, csrFor(b, "a.localhost")))
	})
	return spent
}

// served serves requests and returns the processor time that it took.
func (f *front) served(b *testing.B, status int, calls []call) ([]reply, time.Duration) {
	b.Helper()
	requests, recorders := make([]*http.Request, len(calls)), make([]*httptest.ResponseRecorder, len(calls))
	for i, c := range calls {
		requests[i], recorders[i] = c.request(b), httptest.NewRecorder()
	}
	before := processorTime(b)
	for i, r := range requests {
		f.handler.ServeHTTP(recorders[i], r)
	}
	spent := processorTime(b) - before
	replies := make([]reply, len(calls))
	for i, rec := range recorders {
		if replies[i] = (reply{rec.Code, rec.Header(), rec.Body.Bytes()}); rec.Code != status {
			b.Fatalf("%s: %d %s", calls[i].url, rec.Code, rec.Body)
		}
	}
	return replies, spent
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
