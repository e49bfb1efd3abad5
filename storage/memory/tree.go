package memory

// tree is an immutable sorted map. Changing it returns another tree that
// shares what did not change, so that a transaction costs nothing to begin and
// nothing to give up. It is a treap: the priority of a key is a hash of it,
// which makes the shape depend on the contents alone.
type tree struct {
	root *node
	size int
}

type node struct {
	key         string
	value       []byte
	priority    uint64
	left, right *node
}

// get returns the value of a key, which the caller must not change.
func (t tree) get(key string) ([]byte, bool) {
	for n := t.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return nil, false
}

// with returns the tree with the value under the key.
func (t tree) with(key string, value []byte) tree {
	size := t.size
	if _, ok := t.get(key); !ok {
		size++
	}
	return tree{root: insert(t.root, &node{key: key, value: value, priority: priority(key)}), size: size}
}

// without returns the tree without the key, which need not be there.
func (t tree) without(key string) tree {
	if _, ok := t.get(key); !ok {
		return t
	}
	return tree{root: remove(t.root, key), size: t.size - 1}
}

// ascend calls yield for the keys from the given one on, in order, until it
// returns false.
func (t tree) ascend(from string, yield func(key string, value []byte) bool) {
	ascend(t.root, from, yield)
}

func insert(n, new *node) *node {
	if n == nil {
		return new
	}
	c := *n
	switch {
	case new.key == n.key:
		c.value = new.value
	case new.key < n.key:
		c.left = insert(n.left, new)
		if l := c.left; l.priority > c.priority { // l was copied or made just now
			c.left, l.right = l.right, &c
			return l
		}
	default:
		c.right = insert(n.right, new)
		if r := c.right; r.priority > c.priority {
			c.right, r.left = r.left, &c
			return r
		}
	}
	return &c
}

func remove(n *node, key string) *node {
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
func merge(a, b *node) *node {
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

func ascend(n *node, from string, yield func(string, []byte) bool) bool {
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
