//go:build linux

package bolt

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// contents returns the entries of a state.
func contents(s state) map[string]bool {
	all := map[string]bool{}
	s.recent.Ascend("", func(k string, here bool) bool { all[k] = here; return true })
	return all
}

// TestStateSurvives: what is replayed from the log after each start is what
// was in memory before, with folds of one index after another in between, and
// in the end every record and every entry lead to each other.
func TestStateSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(9, 9))
	for start := range 12 {
		foldAt := 5 + r.IntN(60)
		s := open(t, dir, func(c *Config) { c.foldAt, c.noSync = foldAt, true })
		found := s.durable.state.recent.Len() // with the bound of the start before
		for range 25 {
			if err := s.Update(t.Context(), func(tx storage.Tx) error {
				n := r.IntN(40)
				j := storage.Job{ID: storage.JobID(fmt.Sprint(n)), Due: time.Unix(int64(r.IntN(1000)), 0)}
				if r.IntN(3) == 0 {
					j.Parked = "why"
				}
				if r.IntN(3) == 0 {
					return tx.Jobs().Delete(j.ID)
				}
				o := acme.Order{ID: acme.OrderID(fmt.Sprint(r.IntN(200))), Account: acme.AccountID(fmt.Sprint(r.IntN(5))), Member: "m"}
				return firstError(tx.Jobs().Put(j), tx.Orders().Put(o))
			}); err != nil {
				t.Fatal(err)
			}
			if n := s.durable.state.recent.Len(); n >= max(foldAt, found+1) {
				t.Errorf("%d entries in memory with a bound of %d", n, foldAt)
			}
		}
		before := s.durable.state
		shut(t, s)
		s = open(t, dir, func(c *Config) { c.noSync = true })
		after := s.durable.state
		shut(t, s)
		if !maps.Equal(contents(before), contents(after)) || before.jobs != after.jobs || before.parked != after.parked || before.folded != after.folded {
			t.Fatalf("start %d: %d entries, %d jobs, %d parked, folds %v came back as %d, %d, %d, %v", start,
				before.recent.Len(), before.jobs, before.parked, before.folded, after.recent.Len(), after.jobs, after.parked, after.folded)
		}
	}
	if r := checked(t, filepath.Join(dir, "test.db")); r.Entries == 0 || r.Records["jobs"] == 0 {
		t.Errorf("the check saw nothing: %+v", r)
	}
}

// FuzzReplay: no log record makes the replay panic.
func FuzzReplay(f *testing.F) {
	var s state
	s.add("dabc")
	f.Add(appendLog(nil, &s, []entryChange{{"dabc", true}, {"oxyz", false}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s state
		rest, err := s.head(b, len(letters))
		if err != nil {
			return
		}
		_ = s.replay(1, rest)
	})
}

// FuzzKeys: ids and texts come back from keys, and keys sort like the texts do.
func FuzzKeys(f *testing.F) {
	f.Add("a", "a\x00")
	f.Add("06b1l2m3n4o5p6q7r8s9t0u1v2a3b4c5d6eg", "06b1l2m3n4o5p6q7r8s9t0u1v2a3b4c5d6e0")
	f.Add("\x00\x01", "\x00\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, kb := appendText(nil, a), appendText(nil, b)
		for text, key := range map[string][]byte{a: ka, b: kb} {
			if got, rest, ok := cutText(append(key[:len(key):len(key)], "rest"...)); !ok || got != text || string(rest) != "rest" {
				t.Errorf("%q came back as %q, %q, %t", text, got, rest, ok)
			}
		}
		if ka[0] == kb[0] && (a < b) != (string(ka) < string(kb)) {
			t.Errorf("%q and %q sort otherwise as keys: %x, %x", a, b, ka, kb)
		}
		_, _, _ = cutText([]byte(a))
	})
}
