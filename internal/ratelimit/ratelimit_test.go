package ratelimit_test

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/internal/ratelimit"
)

// clock is a time that a test moves. It may be read by many.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(1_800_000_000, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

func table(entries int) (*ratelimit.Table, *clock) {
	c := &clock{}
	return ratelimit.New(ratelimit.Config{Entries: entries, Now: c.Now}), c
}

// TestRate: as many at once as the rate says, then one after each part of the
// period, and what was not used for a period is there again (SL-18).
func TestRate(t *testing.T) {
	t.Parallel()
	tb, c := table(0)
	l := tb.Limit(ratelimit.Rate{Count: 3, Per: time.Minute})
	take := func(want time.Duration) {
		t.Helper()
		if got := ratelimit.For(l, "k").Take(); got != want {
			t.Errorf("Take: wait %s, want %s", got, want)
		}
	}
	take(0)
	take(0)
	take(0)
	take(20 * time.Second)
	take(20 * time.Second) // refusing costs nothing
	c.advance(20*time.Second - 1)
	take(1)
	c.advance(1)
	take(0)
	take(20 * time.Second)
	c.advance(time.Hour) // a bucket holds no more than its size
	take(0)
	take(0)
	take(0)
	take(20 * time.Second)
	if got := l.Refused(); got != 5 {
		t.Errorf("%d refused, want 5", got)
	}
	if other := ratelimit.For(l, "other").Take(); other != 0 {
		t.Errorf("another key waits %s", other)
	}
}

// TestLimitsAreApart: the same key under two limits is two buckets.
func TestLimitsAreApart(t *testing.T) {
	t.Parallel()
	tb, _ := table(0)
	a, b := tb.Limit(ratelimit.Rate{Count: 1, Per: time.Minute}), tb.Limit(ratelimit.Rate{Count: 1, Per: time.Minute})
	for _, l := range []*ratelimit.Limit{a, b} {
		if ratelimit.For(l, 7).Take() != 0 || ratelimit.For(l, 7).Take() == 0 {
			t.Error("a limit of one did not let exactly one pass")
		}
	}
}

// TestNoLimit: without a rate, and without a table, everything passes.
func TestNoLimit(t *testing.T) {
	t.Parallel()
	tb, _ := table(0)
	var none *ratelimit.Table
	for _, l := range []*ratelimit.Limit{tb.Limit(ratelimit.Rate{}), none.Limit(ratelimit.Rate{Count: 1, Per: time.Hour}), nil} {
		c := ratelimit.For(l, "k")
		for range 100 {
			if c.Take() != 0 || c.Wait() != 0 {
				t.Fatal("refused")
			}
		}
		c.Return()
		if l.Refused() != 0 || l.Rate().Bounded() || l.Rate().String() != "no limit" {
			t.Error("it is a limit after all")
		}
	}
}

// TestWaitAndReturn: looking changes nothing, and what is given back is there
// again, but never more than there was.
func TestWaitAndReturn(t *testing.T) {
	t.Parallel()
	tb, _ := table(0)
	c := ratelimit.For(tb.Limit(ratelimit.Rate{Count: 2, Per: time.Minute}), "k")
	c.Return() // of what was never taken
	for range 3 {
		if c.Wait() != 0 {
			t.Fatal("looking took something")
		}
	}
	for range 2 {
		if c.Take() != 0 {
			t.Fatal("refused")
		}
	}
	if w := c.Wait(); w != 30*time.Second {
		t.Errorf("wait %s", w)
	}
	c.Return()
	if c.Take() != 0 || c.Take() == 0 {
		t.Error("one was given back, and not exactly one was there")
	}
}

// TestTakeAll: all or none, and the wait is that of the slowest.
func TestTakeAll(t *testing.T) {
	t.Parallel()
	tb, c := table(0)
	address := ratelimit.For(tb.Limit(ratelimit.Rate{Count: 2, Per: time.Minute}), "a")
	network := ratelimit.For(tb.Limit(ratelimit.Rate{Count: 1, Per: time.Hour}), "n")
	if _, wait := ratelimit.TakeAll(address, network, ratelimit.For[int](nil, 1)); wait != 0 {
		t.Fatalf("the first waits %s", wait)
	}
	for range 3 { // refused by the network, so the address has spent one
		if by, wait := ratelimit.TakeAll(address, network); by != network || wait != time.Hour {
			t.Fatalf("refused for %s", wait)
		}
	}
	if address.Take() != 0 || address.Take() != 30*time.Second {
		t.Error("the address paid for what the network refused")
	}
	if by, wait := ratelimit.TakeAll(address, network); by != network || wait != time.Hour {
		t.Errorf("both refuse, and the wait is %s", wait)
	}
	c.advance(time.Hour)
	if _, wait := ratelimit.TakeAll(address, network); wait != 0 {
		t.Errorf("after the wait that was named: %s more", wait)
	}
}

// TestNeverMoreThanTheRate: whatever the requests, no window of any length has
// more of them than burst and rate allow, and a refusal's wait is exact: a
// moment less is not enough, and the wait itself is (R8555-6.6-2).
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 9))
		never(t, 1+r.IntN(20), time.Duration(1+r.IntN(1_000_000_000)), func(i int) time.Duration {
			return time.Duration(r.ExpFloat64() * float64(time.Second) / float64(1+seed*seed))
		}, 400)
	}
}

func FuzzNeverMoreThanTheRate(f *testing.F) {
	f.Add(uint16(3), uint32(60_000_000), []byte{0, 0, 0, 0, 10, 200, 0, 0})
	f.Add(uint16(1), uint32(1), []byte{1})
	f.Add(uint16(1000), uint32(7), []byte{255, 255, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, count uint16, per uint32, gaps []byte) {
		if count == 0 || per == 0 || len(gaps) > 200 {
			return
		}
		never(t, int(count), time.Duration(per)*time.Microsecond, func(i int) time.Duration {
			return time.Duration(gaps[i]) * time.Duration(per) * time.Microsecond / 200
		}, len(gaps))
	})
}

func never(t *testing.T, count int, per time.Duration, gap func(int) time.Duration, n int) {
	t.Helper()
	tb, c := table(0)
	l := tb.Limit(ratelimit.Rate{Count: count, Per: per})
	step := max(1, per/time.Duration(count))
	var passed []time.Duration
	for i := range n {
		c.advance(gap(i))
		claim := ratelimit.For(l, "k")
		wait := claim.Take()
		if wait < 0 || wait > step {
			t.Fatalf("%d in %s: a wait of %s", count, per, wait)
		}
		if wait > 0 {
			c.advance(wait - 1)
			if claim.Wait() != 1 {
				t.Fatalf("%d in %s: a moment before the end of the wait, it is %s", count, per, claim.Wait())
			}
			c.advance(1)
			if again := claim.Take(); again != 0 {
				t.Fatalf("%d in %s: after waiting %s it takes %s more", count, per, wait, again)
			}
		}
		passed = append(passed, time.Duration(c.now.Load()))
	}
	for i := range passed {
		for j := i; j < len(passed); j++ {
			if most := int64(count) + int64((passed[j]-passed[i])/step); int64(j-i+1) > most {
				t.Fatalf("%d in %s: %d passed within %s, the most is %d", count, per, j-i+1, passed[j]-passed[i], most)
			}
		}
	}
}

// TestNothingIsPushedOut: an attacker with more addresses than there is room
// for cannot make the table forget one that is refused, and cannot have more
// for its many addresses than a hundred of them would get (SL-41).
func TestNothingIsPushedOut(t *testing.T) {
	t.Parallel()
	tb, c := table(4096)
	l := tb.Limit(ratelimit.Rate{Count: 2, Per: time.Hour})
	victim := ratelimit.For(l, "seen before")
	victim.Take()
	victim.Take()
	passed := 0
	const many = 100_000
	for i := range many {
		if ratelimit.For(l, i).Take() == 0 {
			passed++
		}
		if i%1000 == 0 && victim.Wait() == 0 {
			t.Fatalf("forgotten after %d others", i)
		}
	}
	if full, most := tb.Entries()*8/10, tb.Entries()+2*100; passed < full || passed > most {
		t.Errorf("%d of %d passed, with room for %d", passed, many, tb.Entries())
	}
	if got := ratelimit.For(l, "newcomer").Take(); got == 0 || got > time.Hour/2 {
		t.Errorf("a newcomer with the others waits %s", got)
	}
	if got := victim.Take(); got != 30*time.Minute {
		t.Errorf("the one from before waits %s", got)
	}
	// Later all places are free again.
	c.advance(time.Hour)
	passed = 0
	for i := range tb.Entries() / 2 {
		if ratelimit.For(l, -1-i).Take() == 0 {
			passed++
		}
	}
	if passed != tb.Entries()/2 {
		t.Errorf("an hour later %d of %d newcomers pass", passed, tb.Entries()/2)
	}
}

// TestMemory: a million addresses fit into 64 MiB, and into 5 MiB by default (SL-41).
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	for entries, most := range map[int]uint64{0: 5 << 20, 1 << 21: 64 << 20} {
		runtime.GC()
		runtime.ReadMemStats(&before)
		tb, _ := table(entries)
		l := tb.Limit(ratelimit.Rate{Count: 10, Per: 3 * time.Hour})
		refused := 0
		for i := range uint32(1_000_000) {
			address := netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
			if ratelimit.For(l, netip.PrefixFrom(address, 32)).Take() > 0 {
				refused++
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if used := after.HeapAlloc - before.HeapAlloc; after.HeapAlloc > before.HeapAlloc && used > most {
			t.Errorf("%d entries take %d bytes", tb.Entries(), used)
		}
		if entries > 1_000_000 && refused > 0 {
			t.Errorf("%d of a million were refused with room for %d", refused, tb.Entries())
		}
		runtime.KeepAlive(tb)
	}
}

// TestClockSetBack: whoever was refused is not locked out for as long as the
// clock was set back.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	tb, c := table(0)
	l := tb.Limit(ratelimit.Rate{Count: 2, Per: time.Minute})
	c.advance(1000 * time.Hour)
	k := ratelimit.For(l, "k")
	k.Take()
	k.Take()
	c.advance(-500 * time.Hour)
	if w := k.Wait(); w > 30*time.Second {
		t.Errorf("wait %s", w)
	}
	c.advance(-5000 * time.Hour) // before the table was made
	if w := k.Wait(); w > 30*time.Second {
		t.Errorf("wait %s", w)
	}
}

// TestManyAtOnce: of any number of requests at the same moment, exactly as many
// pass as the rate says.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	tb, _ := table(0)
	l := tb.Limit(ratelimit.Rate{Count: 500, Per: time.Hour})
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if ratelimit.For(l, "k").Take() == 0 {
					passed.Add(1)
				}
				ratelimit.For(l, strconv.Itoa(rand.IntN(1000))).Wait()
			}
		})
	}
	all.Wait()
	if passed.Load() != 500 {
		t.Errorf("%d passed, want 500", passed.Load())
	}
}

type pair struct{ account, name string }

// TestNoAllocations: a request costs no memory, whatever the key is made of.
func TestNoAllocations(t *testing.T) {
	tb, _ := table(0)
	l := tb.Limit(ratelimit.Rate{Count: 10, Per: time.Hour})
	prefix := netip.MustParsePrefix("2001:db8::/64")
	key := pair{"account", "name.example"}
	if n := testing.AllocsPerRun(1000, func() {
		ratelimit.TakeAll(ratelimit.For(l, prefix), ratelimit.For(l, key), ratelimit.For(l, "text"))
		ratelimit.For(l, key).Wait()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRateInWords(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]ratelimit.Rate{
		"300 in 3h": {Count: 300, Per: 3 * time.Hour}, "10 in 10m": {Count: 10, Per: 10 * time.Minute},
		"1 in 1.5s": {Count: 1, Per: 1500 * time.Millisecond}, "5 in 168h": {Count: 5, Per: 7 * 24 * time.Hour}, "2 in 1h30m": {Count: 2, Per: 90 * time.Minute},
		"no limit": {},
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// BenchmarkTake is the hot path: a key that is known, among many that are.
func BenchmarkTake(b *testing.B) {
	tb := ratelimit.New(ratelimit.Config{})
	l := tb.Limit(ratelimit.Rate{Count: 1_000_000_000, Per: time.Hour})
	keys := make([]netip.Prefix, 4096)
	for i := range keys {
		keys[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ratelimit.For(l, keys[i%len(keys)]).Take()
		i++
	}
}

// BenchmarkTakeParallel is the same from many goroutines.
func BenchmarkTakeParallel(b *testing.B) {
	tb := ratelimit.New(ratelimit.Config{})
	l := tb.Limit(ratelimit.Rate{Count: 1_000_000_000, Per: time.Hour})
	b.RunParallel(func(pb *testing.PB) {
		i := rand.IntN(4096)
		for pb.Next() {
			ratelimit.For(l, i%4096).Take()
			i++
		}
	})
}
