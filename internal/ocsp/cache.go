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
}

// serves reports whether the entry is an answer while that is the state.
func (e *entry) serves(status Status, signer *Signer, now time.Time, most time.Duration) bool {
	age := now.Sub(e.answer.At)
	return e.status.same(status) && (e.signer == signer || e.signer.cert.Equal(signer.cert)) && age >= 0 && age < most
}

// cache keeps answers by CertID, up to a bound. What goes when it is full is
// left to chance: whoever misses it has it signed again.
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
		for victim := range c.m {
			delete(c.m, victim)
			break
		}
	}
	c.m[key] = e
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

// allowance is so many in a second, and as many at once.
type allowance struct {
	mu   sync.Mutex
	most float64
	left float64
	at   time.Time
}

func newAllowance(n int) *allowance { return &allowance{most: float64(n), left: float64(n)} }

func (a *allowance) take(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if passed := now.Sub(a.at); passed > 0 {
		a.left = min(a.most, a.left+passed.Seconds()*a.most)
	}
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
