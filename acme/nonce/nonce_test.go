package nonce_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"acmebridge/acme"
	"acmebridge/acme/nonce"
)

func newSource(t testing.TB, cfg nonce.Config) *nonce.Source {
	t.Helper()
	s, err := nonce.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	if _, err := nonce.New(nonce.Config{Window: -1}); err == nil {
		t.Error("a negative window was accepted")
	}
	dry := errors.New("no entropy")
	if _, err := nonce.New(nonce.Config{Random: iotest.ErrReader(dry)}); !errors.Is(err, dry) {
		t.Errorf("got %v, want the error of the random source", err)
	}
}

// R8555-6.5-3, -10: what was issued is accepted once.
func TestRedeemOnce(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{})
	first, second := s.Issue(), s.Issue()
	// C-LG-4: clients use the newest first.
	for _, n := range []string{second, first} {
		if err := s.Redeem(n); err != nil {
			t.Errorf("first use of %s: %v", n, err)
		}
		for range 3 {
			if err := s.Redeem(n); !errors.Is(err, nonce.ErrUnknown) {
				t.Errorf("replay of %s: got %v, want ErrUnknown", n, err)
			}
		}
	}
}

func TestRedeemRefuses(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{})
	good := s.Issue()
	stray := []byte(good)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(stray) - 1
	stray[last] = alphabet[strings.IndexByte(alphabet, stray[last])|1]
	other := newSource(t, nonce.Config{})
	tests := []struct {
		name, nonce string
		want        error
	}{
		// R8555-6.5-8
		{"empty", "", nonce.ErrMalformed},
		{"padding", good + "==", nonce.ErrMalformed},
		{"standard alphabet", "ab+/", nonce.ErrMalformed},
		{"line break", good[:4] + "\n" + good[4:], nonce.ErrMalformed},
		{"impossible length", "AAAAA", nonce.ErrMalformed},
		{"stray bits", string(stray), nonce.ErrMalformed},
		{"not ASCII", "ÄÄÄÄ", nonce.ErrMalformed},
		// R8555-6.5-4
		{"shorter", good[:20], nonce.ErrUnknown},
		{"longer", good[:20] + good[:20], nonce.ErrUnknown},
		{"zeros", strings.Repeat("A", 22), nonce.ErrUnknown},
		{"of another process", other.Issue(), nonce.ErrUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Redeem(tt.nonce); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if err := s.Redeem(good); err != nil {
		t.Errorf("the good nonce was harmed: %v", err)
	}
}

// SP-7: a restart makes a new key, and with it the counter starts over.
func TestRestartForgetsNothingIntoValidity(t *testing.T) {
	t.Parallel()
	before := newSource(t, nonce.Config{})
	var all []string
	for range 100 {
		n := before.Issue()
		all = append(all, n)
		if err := before.Redeem(n); err != nil {
			t.Fatal(err)
		}
	}
	after := newSource(t, nonce.Config{})
	for range 200 {
		after.Issue()
	}
	for _, n := range all {
		if err := after.Redeem(n); !errors.Is(err, nonce.ErrUnknown) {
			t.Errorf("%s lives on after a restart: %v", n, err)
		}
	}
}

// R8555-6.5-6, -7: unique, of the alphabet, and neighbours look unrelated.
func TestIssueShape(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{})
	seen := make(map[string]bool)
	var flips, pairs int
	var previous []byte
	for range 10_000 {
		n := s.Issue()
		b, err := base64.RawURLEncoding.Strict().DecodeString(n)
		if err != nil || len(b) != 16 {
			t.Fatalf("%q is not 128 bits of base64url", n)
		}
		if seen[n] {
			t.Fatalf("%q came twice", n)
		}
		seen[n] = true
		for i := range previous {
			for x := previous[i] ^ b[i]; x != 0; x &= x - 1 {
				flips++
			}
		}
		if previous != nil {
			pairs++
		}
		previous = b
	}
	if mean := float64(flips) / float64(pairs); mean < 62 || mean > 66 {
		t.Errorf("neighbours differ in %.1f bits of 128, want about half", mean)
	}
}

// The key is all that Random decides: the same one gives the same nonces.
func TestRandomMakesTheKey(t *testing.T) {
	t.Parallel()
	seed := bytes.Repeat([]byte{7}, 32)
	a := newSource(t, nonce.Config{Random: bytes.NewReader(seed)}).Issue()
	b := newSource(t, nonce.Config{Random: bytes.NewReader(seed)}).Issue()
	c := newSource(t, nonce.Config{}).Issue()
	if a != b || a == c {
		t.Errorf("same key %s and %s, fresh key %s", a, b, c)
	}
}

// DN-1: only redeeming moves the floor.
func TestFloodEvictsNothing(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{Window: 4})
	kept := s.Issue()
	for range 100_000 {
		s.Issue()
	}
	if got := s.Stats().Remembered; got != 0 {
		t.Errorf("issuing remembers %d nonces", got)
	}
	if err := s.Redeem(kept); err != nil {
		t.Errorf("the nonce before the flood: %v", err)
	}
}

// DN-2: an unspent nonce survives as many redemptions as the window holds,
// and the one after that makes it old.
func TestWindow(t *testing.T) {
	t.Parallel()
	const window = 8
	for _, after := range []int{window, window + 1} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			s := newSource(t, nonce.Config{Window: window})
			kept := s.Issue()
			for range after {
				s.Issue() // a gap, so that nothing is contiguous
				if err := s.Redeem(s.Issue()); err != nil {
					t.Fatal(err)
				}
			}
			err := s.Redeem(kept)
			if after <= window && err != nil {
				t.Errorf("within the window: %v", err)
			}
			if after > window && (!errors.Is(err, nonce.ErrUnknown) || s.Stats().Old != 1) {
				t.Errorf("beyond the window: %v, %+v", err, s.Stats())
			}
		})
	}
}

// A set of spent nonces without gaps needs no memory, in whatever order they
// came back.
func TestContiguousIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{})
	var all []string
	for range 1000 {
		all = append(all, s.Issue())
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, n := range all {
		if err := s.Redeem(n); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Remembered; got != 0 {
		t.Errorf("remembers %d", got)
	}
	for _, n := range all {
		if err := s.Redeem(n); !errors.Is(err, nonce.ErrUnknown) {
			t.Fatalf("replay: %v", err)
		}
	}
}

// SP-7: 200,000 nonces with every kind of use, none accepted twice, none
// lost that the window promises, and memory that does not grow.
func TestNoReplayAndBoundedMemory(t *testing.T) {
	t.Parallel()
	const window, total = 1024, 200_000
	s := newSource(t, nonce.Config{Window: window})
	random := rand.New(rand.NewPCG(1, 2))
	used := make(map[string]bool, total)
	var pool, spent []string
	for i := range total {
		pool = append(pool, s.Issue())
		if random.IntN(4) == 0 {
			s.Issue() // a client that never comes back
		}
		at := random.IntN(len(pool))
		n := pool[at]
		pool[at] = pool[len(pool)-1]
		pool = pool[:len(pool)-1]
		if len(pool) > 64 {
			pool = pool[:0]
		}
		if err := s.Redeem(n); err != nil {
			t.Fatalf("nonce %d: %v", i, err)
		}
		if used[n] {
			t.Fatalf("nonce %d was accepted twice", i)
		}
		used[n] = true
		spent = append(spent, n)
		if again := spent[random.IntN(len(spent))]; s.Redeem(again) == nil {
			t.Fatalf("nonce %d: a replay was accepted", i)
		}
		if got := s.Stats().Remembered; got > window {
			t.Fatalf("remembers %d, more than the window", got)
		}
	}
	for _, n := range spent {
		if s.Redeem(n) == nil {
			t.Fatal("a replay was accepted at the end")
		}
	}
}

// The model is a map that remembers everything.
func FuzzRedeem(f *testing.F) {
	f.Add(uint8(1), []byte{0, 1, 2, 3, 0, 0, 1})
	f.Add(uint8(4), []byte("abcabcaaabbbccc"))
	f.Fuzz(func(t *testing.T, window uint8, moves []byte) {
		s := newSource(t, nonce.Config{Window: int(window)})
		var all []string
		spent := make(map[string]bool)
		for _, m := range moves {
			if m%3 == 0 || len(all) == 0 {
				all = append(all, s.Issue())
				continue
			}
			n := all[int(m/3)%len(all)]
			err := s.Redeem(n)
			if err == nil && spent[n] {
				t.Fatalf("%s was accepted twice", n)
			}
			// Fewer redemptions than the window cannot make anything old.
			if err != nil && !spent[n] && (window == 0 || len(spent) <= int(window)) {
				t.Fatalf("%s was refused: %v", n, err)
			}
			if err == nil {
				spent[n] = true
			}
		}
	})
}

// FuzzRedeemForeign feeds what clients make up.
func FuzzRedeemForeign(f *testing.F) {
	for _, seed := range []string{"", "A", "AAAA", "q83vEjRWeJA", "AAAAAAAAAAAAAAAAAAAAAA", "a\nbc", "===="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, n string) {
		s := newSource(t, nonce.Config{})
		s.Issue()
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(n)
		valid := err == nil && n != "" && base64.RawURLEncoding.EncodeToString(decoded) == n
		switch got := s.Redeem(n); {
		case valid && !errors.Is(got, nonce.ErrUnknown), !valid && !errors.Is(got, nonce.ErrMalformed):
			t.Errorf("%q: %v", n, got)
		}
	})
}

// SP-7, DN-3: 10,000 goroutines, a hundred to a nonce, one of which gets it.
func TestRace(t *testing.T) {
	t.Parallel()
	const nonces, each = 100, 100
	s := newSource(t, nonce.Config{})
	var wins [nonces]atomic.Int32
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range nonces {
		n := s.Issue()
		for range each {
			ready.Add(1)
			done.Go(func() {
				ready.Done()
				<-start
				s.Issue()
				if s.Redeem(n) == nil {
					wins[i].Add(1)
				}
			})
		}
	}
	ready.Wait()
	close(start)
	done.Wait()
	for i := range wins {
		if got := wins[i].Load(); got != 1 {
			t.Errorf("nonce %d was accepted %d times", i, got)
		}
	}
	got := s.Stats()
	if got.Redeemed != nonces || got.Spent+got.Old != nonces*(each-1) || got.Issued != nonces*(each+1) {
		t.Errorf("%+v", got)
	}
}

// DN-4
func TestStats(t *testing.T) {
	t.Parallel()
	s := newSource(t, nonce.Config{Window: 1})
	first, second, third := s.Issue(), s.Issue(), s.Issue()
	s.Issue()
	fifth := s.Issue()
	for _, n := range []string{"+", "AAAA", third, third, fifth, first, second} {
		_ = s.Redeem(n)
	}
	want := nonce.Stats{Issued: 5, Redeemed: 2, Malformed: 1, Foreign: 1, Spent: 1, Old: 2, Remembered: 1}
	if got := s.Stats(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	if p := nonce.Problem(nil); p != nil {
		t.Errorf("no error made %v", p)
	}
	wrapped := fmt.Errorf("redeem: %w", nonce.ErrMalformed)
	if p := nonce.Problem(wrapped); p.Type != acme.Malformed || p.Status != http.StatusBadRequest {
		t.Errorf("malformed: %+v", p)
	}
	// D6, C-SH-1, C-LG-1
	p := nonce.Problem(nonce.ErrUnknown)
	if p.Type != acme.BadNonce || p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, "JWS has an invalid anti-replay nonce") {
		t.Errorf("unknown: %+v", p)
	}
}

func Example() {
	source, err := nonce.New(nonce.Config{})
	if err != nil {
		panic(err)
	}
	n := source.Issue()
	fmt.Println(source.Redeem(n))
	fmt.Println(source.Redeem(n))
	// Output:
	// <nil>
	// the nonce was not issued by this server, was used before or is too old
}

func BenchmarkIssue(b *testing.B) {
	s := newSource(b, nonce.Config{})
	b.ReportAllocs()
	for b.Loop() {
		s.Issue()
	}
}

// BenchmarkRedeem has every second nonce lost, so that the used set is full.
func BenchmarkRedeem(b *testing.B) {
	s := newSource(b, nonce.Config{})
	b.ReportAllocs()
	for b.Loop() {
		s.Issue()
		if err := s.Redeem(s.Issue()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlood is SL-42: 5 M newNonce requests, and what they leave behind.
func BenchmarkFlood(b *testing.B) {
	const flood = 5_000_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		s := newSource(b, nonce.Config{})
		before := heap()
		for range flood {
			s.Issue()
		}
		b.ReportMetric(float64(heap())-float64(before), "B-grown")
		b.ReportMetric(float64(s.Stats().Remembered), "remembered")
	}
}
