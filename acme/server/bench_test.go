package server_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"acmebridge/acme/server/servertest"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
	"acmebridge/storage/memory"
)

// The benchmarks measure the handler: requests are made and signed while the
// clock stands, there is no TLS, and every challenge is valid at once. With a
// store in memory that leaves our own work; with bolt each order also waits
// for the disk, alone, so its times are those of a commit and not of the CPU.

// batch is how many requests are signed ahead.
const batch = 64

// stores runs a benchmark on each store.
func stores(b *testing.B, run func(b *testing.B, f *front)) {
	for _, st := range []struct {
		name string
		open func(b *testing.B) storage.Store
	}{
		{"memory", func(*testing.B) storage.Store { return memory.New() }},
		{"bolt", func(b *testing.B) storage.Store {
			s, err := bolt.Open(b.Context(), bolt.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			return s
		}},
	} {
		b.Run(st.name, func(b *testing.B) {
			f := start(b, servertest.Options{Store: st.open(b)})
			b.ReportAllocs()
			b.ResetTimer()
			b.StopTimer()
			run(b, f)
		})
	}
}

// timed serves requests that were made before, while the clock runs.
func (f *front) timed(b *testing.B, status int, calls []call) []reply {
	b.Helper()
	requests, recorders := make([]*http.Request, len(calls)), make([]*httptest.ResponseRecorder, len(calls))
	for i, c := range calls {
		requests[i], recorders[i] = c.request(b), httptest.NewRecorder()
	}
	b.StartTimer()
	for i, r := range requests {
		f.handler.ServeHTTP(recorders[i], r)
	}
	b.StopTimer()
	replies := make([]reply, len(calls))
	for i, rec := range recorders {
		if replies[i] = (reply{rec.Code, rec.Header(), rec.Body.Bytes()}); rec.Code != status {
			b.Fatalf("%s: %d %s", calls[i].url, rec.Code, rec.Body)
		}
	}
	return replies
}

// inBatches calls run for b.N things in all.
func inBatches(b *testing.B, run func(n int)) {
	for left := b.N; left > 0; left -= batch {
		run(min(left, batch))
	}
}

func repeat(n int, one func(i int) call) []call {
	calls := make([]call, n)
	for i := range calls {
		calls[i] = one(i)
	}
	return calls
}

func BenchmarkNewNonce(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		url := f.client(b, "default").url["newNonce"]
		inBatches(b, func(n int) {
			f.timed(b, http.StatusOK, repeat(n, func(int) call { return call{method: http.MethodHead, url: url} }))
		})
	})
}

func BenchmarkNewAccount(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.client(b, "default")
		inBatches(b, func(n int) {
			f.timed(b, http.StatusCreated, repeat(n, func(int) call {
				c.key = newKey(b)
				return post(c.url["newAccount"], c.withKey(b, c.url["newAccount"], `{"contact":["mailto:a@example.org"]}`))
			}))
		})
	})
}

func BenchmarkNewOrder(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.registered(b, "default")
		inBatches(b, func(n int) { c.orders(b, n) })
	})
}

// BenchmarkChallenge is a response to a challenge that is valid at once.
func BenchmarkChallenge(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.registered(b, "default")
		inBatches(b, func(n int) {
			f.timed(b, http.StatusOK, repeat(n, func(int) call {
				url := challengeOf(b, c.post(b, c.newOrder(b, "a.localhost").Authorizations[0], ""))
				return post(url, c.withAccount(b, url, "{}"))
			}))
		})
	})
}

func BenchmarkReadOrder(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.registered(b, "default")
		url := c.issue(b, "a.localhost").url
		inBatches(b, func(n int) { c.reads(b, n, func(int) string { return url }) })
	})
}

// BenchmarkFinalize includes the certificate, which the local CA signs at once.
func BenchmarkFinalize(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.registered(b, "default")
		inBatches(b, func(n int) {
			orders := make([]order, n)
			for i := range orders {
				orders[i] = c.newOrder(b, "a.localhost")
				c.post(b, challengeOf(b, c.post(b, orders[i].Authorizations[0], "")), "{}")
			}
			c.finalize(b, orders)
		})
	})
}

// BenchmarkFullOrder is all that a client asks for one certificate: newOrder,
// authorization, challenge, finalize, order, certificate.
func BenchmarkFullOrder(b *testing.B) {
	stores(b, func(b *testing.B, f *front) {
		c := f.registered(b, "default")
		inBatches(b, func(n int) {
			orders := c.orders(b, n)
			authorizations := c.reads(b, n, func(i int) string { return orders[i].Authorizations[0] })
			f.timed(b, http.StatusOK, repeat(n, func(i int) call {
				url := challengeOf(b, authorizations[i])
				return post(url, c.withAccount(b, url, "{}"))
			}))
			orders = c.finalize(b, orders)
			c.reads(b, n, func(i int) string { return orders[i].url })
			c.reads(b, n, func(i int) string { return orders[i].Certificate })
		})
	})
}

func (c *client) orders(b *testing.B, n int) []order {
	b.Helper()
	return c.take(b, http.StatusCreated, repeat(n, func(int) call {
		return post(c.url["newOrder"], c.withAccount(b, c.url["newOrder"], orderFor("a.localhost")))
	}))
}

func (c *client) finalize(b *testing.B, orders []order) []order {
	b.Helper()
	return c.take(b, http.StatusOK, repeat(len(orders), func(i int) call {
		return post(orders[i].Finalize, c.withAccount(b, orders[i].Finalize, csrFor(b, "a.localhost")))
	}))
}

func (c *client) take(b *testing.B, status int, calls []call) []order {
	b.Helper()
	orders := make([]order, len(calls))
	for i, r := range c.f.timed(b, status, calls) {
		orders[i] = wantOrder(b, r, status)
	}
	return orders
}

func (c *client) reads(b *testing.B, n int, url func(i int) string) []reply {
	b.Helper()
	return c.f.timed(b, http.StatusOK, repeat(n, func(i int) call { return post(url(i), c.withAccount(b, url(i), "")) }))
}
