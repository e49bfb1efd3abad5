package sorted_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"acmebridge/storage/internal/sorted"
)

// TestMap compares with a plain map, and every map ever made with what it was
// when it was made.
func TestMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	type version struct {
		got  sorted.Map[int]
		want map[string]int
	}
	versions := []version{{want: map[string]int{}}}
	for range 400 {
		now := versions[r.IntN(len(versions))] // any of them may be gone on from
		want := maps.Clone(now.want)
		key := fmt.Sprint(r.IntN(40))
		got := now.got
		if r.IntN(3) == 0 {
			got = got.Without(key)
			delete(want, key)
		} else {
			v := r.Int()
			got = got.With(key, v)
			want[key] = v
		}
		versions = append(versions, version{got, want})
	}
	for _, v := range versions {
		keys := slices.Sorted(maps.Keys(v.want))
		var walked []string
		v.got.Ascend("", func(k string, n int) bool {
			if n != v.want[k] {
				t.Errorf("%s has %d, want %d", k, n, v.want[k])
			}
			walked = append(walked, k)
			return true
		})
		if !slices.Equal(walked, keys) || v.got.Len() != len(keys) {
			t.Fatalf("walked %q, %d of them, want %q", walked, v.got.Len(), keys)
		}
		for i := range 41 {
			k := fmt.Sprint(i)
			at, found := slices.BinarySearch(keys, k)
			if _, ok := v.got.Get(k); ok != found {
				t.Errorf("Get(%s): %t, want %t", k, ok, found)
			}
			from, _, ok := v.got.From(k)
			if ok != (at < len(keys)) || ok && from != keys[at] {
				t.Errorf("From(%s): %q, %t", k, from, ok)
			}
			if found {
				at++
			}
			above, _, ok := v.got.Above(k)
			if ok != (at < len(keys)) || ok && above != keys[at] {
				t.Errorf("Above(%s): %q, %t", k, above, ok)
			}
		}
	}
}
