// Package sorted has an immutable sorted map. Changing a map returns another
// one that shares what did not change, so a transaction over maps costs
// nothing to begin, nothing to give up, and may be read while the next one is
// being made.
package sorted

// Map goes from strings to values, in the order of the strings. The zero Map is
// empty. It is a treap: the priority of a key is a hash of it, which makes the
// shape depend on the contents alone.
type Map[V any] struct {
	root *node[V]
	size int
}

type node[V any] struct {
	key         string
	value       V
	priority    uint64
	left, right *node[V]
}

// Len returns how many keys there are.
func (m Map[V]) Len() int { return m.size }

// Get returns the value of a key.
func (m Map[V]) Get(key string) (v V, ok bool) {
	for n := m.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return v, false
}

// From returns the first key that is not below the given one.
func (m Map[V]) From(key string) (string, V, bool) {
	return m.first(func(k string) bool { return k >= key })
}

// Above returns the first key above the given one.
func (m Map[V]) Above(key string) (string, V, bool) {
	return m.first(func(k string) bool { return k > key })
}

func (m Map[V]) first(in func(key string) bool) (key string, v V, ok bool) {
	for n := m.root; n != nil; {
		if in(n.key) {
			key, v, ok = n.key, n.value, true
			n = n.left
		} else {
			n = n.right
		}
	}
	return key, v, ok
}

// With returns the map with the value under the key.
func (m Map[V]) With(key string, value V) Map[V] {
	size := m.size
	if _, ok := m.Get(key); !ok {
		size++
	}
	return Map[V]{root: insert(m.root, &node[V]{key: key, value: value, priority: priority(key)}), size: size}
}

// Without returns the map without the key, which need not be there.
func (m Map[V]) Without(key string) Map[V] {
	if _, ok := m.Get(key); !ok {
		return m
	}
	return Map[V]{root: remove(m.root, key), size: m.size - 1}
}

// Ascend calls yield for the keys from the given one on, in order, until it
// returns false.
func (m Map[V]) Ascend(from string, yield func(key string, value V) bool) {
	ascend(m.root, from, yield)
}

func insert[V any](n, added *node[V]) *node[V] {
	if n == nil {
		return added
	}
	c := *n
	switch {
	case added.key == n.key:
		c.value = added.value
	case added.key < n.key:
		c.left = insert(n.left, added)
		if l := c.left; l.priority > c.priority { // l was copied or made just now
			c.left, l.right = l.right, &c
			return l
		}
	default:
		c.right = insert(n.right, added)
		if r := c.right; r.priority > c.priority {
			c.right, r.left = r.left, &c
			return r
		}
	}
	return &c
}

func remove[V any](n *node[V], key string) *node[V] {
	if key == n.key {
		return merge(n.left, n.right)
	}
	c := *n
	if key < n.key {
		c.left = remove(n.left, key)
	} else {
		c.right = remove(n.right, key)
	}
	return &c
}

// merge joins two trees, every key of the first being below every key of the
// second.
func merge[V any](a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		c := *a
		c.right = merge(a.right, b)
		return &c
	default:
		c := *b
		c.left = merge(a, b.left)
		return &c
	}
}

func ascend[V any](n *node[V], from string, yield func(string, V) bool) bool {
	if n == nil {
		return true
	}
	if n.key < from {
		return ascend(n.right, from, yield)
	}
	return ascend(n.left, from, yield) && yield(n.key, n.value) && ascend(n.right, from, yield)
}

// priority is FNV-1a with its bits mixed once more, since keys here differ
// mostly in their last few bytes.
func priority(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}
