package ocsp

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// entry is a signed answer about one certificate.
type entry struct {
	id     CertID
	status Status
	signer *Signer
	answer Answer
	asked  atomic.Bool // since it was signed
	again  atomic.Bool // more than once, also before it was signed anew
}

// serves reports whether the entry is an answer while that is the state.
func (e *entry) serves(status Status, now time.Time, most time.Duration) bool {
	age := now.Sub(e.answer.At)
	return e.status.same(status) && age >= 0 && age < most
}

// by reports whether that signer made it.
func (e *entry) by(signer *Signer) bool {
	return e.signer == signer || e.signer.cert.Equal(signer.cert)
}

// use takes note that somebody got it.
func (e *entry) use() {
	e.asked.Store(true)
	e.again.Store(true)
}

// cache keeps answers by CertID, up to a bound. What goes when it is full is
// left to chance among those that nobody has asked for twice, as far as a few
// looks find one: who asks for everything in turn pushes out his own.
type cache struct {
	most int
	mu   sync.RWMutex
	m    map[string]*entry
}

func newCache(most int) *cache { return &cache{most: most, m: map[string]*entry{}} }

func (c *cache) get(key string) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.m[key]
}

func (c *cache) put(key string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.m[key]; !there && len(c.m) >= c.most {
		delete(c.m, c.victim())
	}
	c.m[key] = e
}

// victim is whom the next one takes the place of.
func (c *cache) victim() (key string) {
	const looks = 16
	looked := 0
	for k, e := range c.m {
		key = k
		if looked++; looked == looks || !e.again.Load() {
			break
		}
	}
	return key
}

// drop removes e, unless another has taken its place.
func (c *cache) drop(key string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[key] == e {
		delete(c.m, key)
	}
}

func (c *cache) all() map[string]*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.m)
}
