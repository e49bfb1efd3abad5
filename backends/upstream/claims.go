package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/keyfile"
)

// claims says which order is whose, and whose proofs are in use. A CA may show
// one order, or one authorization, to everybody who orders the same names by
// its one account: here is where they are kept apart (SC-17).
//
// Claims outlive the process, as files beside the account key. An authorization
// that nobody claims is one that no order under way relies on: to deactivate it
// can make an order invalid, also one whose certificate was not fetched yet.
type claims struct {
	now    func() time.Time
	dir    string
	mu     sync.Mutex
	read   bool                           // what was on the disk
	orders map[string]claim               // by URL of the order
	proofs map[string]map[string]struct{} // by URL of the authorization: the orders that use it
}

// claim is an order that is under way, or was until a moment ago.
type claim struct {
	URL            string    `json:"url"`
	Key            string    `json:"key"` // of the request
	Owner          string    `json:"owner"`
	Authorizations []string  `json:"authorizations"`
	Until          time.Time `json:"until"`
}

// ErrInUse says that the CA has given a request what belongs to another one that
// is under way.
var ErrInUse = errors.New("another order uses it")

// ownerOf is whom a proof serves: the member, or the account without one.
func ownerOf(r backends.Request) string {
	if r.Member != "" {
		return "member/" + string(r.Member)
	}
	return "account/" + string(r.Account)
}

const (
	// claimFor is how long an order is claimed whose CA does not say how long
	// it lives.
	claimFor = 7 * 24 * time.Hour
	// claimAfter is how long an order stays claimed after its certificate was
	// handed to the engine, which may not have stored it yet: it would be back
	// for it sooner; and how long it stays so at least after each look at it,
	// whenever the CA says that it ends.
	claimAfter = 2 * time.Hour
	// claimAtMost is how long it stays claimed without another look.
	claimAtMost = 60 * 24 * time.Hour
)

// hold claims an order for a request. shared are the authorizations that
// another order of the same owner holds already.
func (c *claims) hold(url string, authorizations []string, expires time.Time, r backends.Request) (shared map[string]bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(); err != nil {
		return nil, err
	}
	c.sweep()
	owner := ownerOf(r)
	was, held := c.orders[url]
	if held && was.Key != r.Key {
		return nil, fmt.Errorf("the CA gives the order of another request for the same names: %w", ErrInUse)
	}
	shared = map[string]bool{}
	for _, a := range authorizations {
		for other := range c.proofs[a] {
			switch {
			case c.orders[other].Owner != owner:
				return nil, fmt.Errorf("the CA gives an authorization that another owner's order for the same name uses: %w", ErrInUse)
			case other != url:
				shared[a] = true
			}
		}
	}
	least, most := c.now().Add(claimAfter), c.now().Add(claimAtMost)
	switch {
	case held && was.Until.Before(least):
		was.Until = least
		return shared, c.put(was)
	case held:
		return shared, nil
	case expires.IsZero():
		expires = c.now().Add(claimFor)
	case expires.Before(least):
		expires = least
	case expires.After(most):
		expires = most
	}
	return shared, c.put(claim{URL: url, Key: r.Key, Owner: owner, Authorizations: authorizations, Until: expires})
}

// idle are those of some authorizations that no order uses any more.
func (c *claims) idle(authorizations []string) (idle []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(authorizations) == 0 || c.load() != nil {
		return nil
	}
	c.sweep()
	for _, a := range authorizations {
		if len(c.proofs[a]) == 0 {
			idle = append(idle, a)
		}
	}
	return idle
}

// done lets the claim on an order end when its certificate is safe.
func (c *claims) done(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.orders[url]; ok {
		o.Until = c.now().Add(claimAfter)
		_ = c.put(o) // else it ends with the order
	}
}

// release gives up the claim on an order.
func (c *claims) release(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(url)
}

func (c *claims) folder() string { return filepath.Join(c.dir, "orders") }

// fileOf is the name of the file of an order.
func fileOf(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:]) + ".json"
}

func (c *claims) put(o claim) error {
	text, err := json.Marshal(o)
	if err == nil {
		err = keyfile.Replace(filepath.Join(c.folder(), fileOf(o.URL)), 0o600, text)
	}
	if err != nil {
		return fmt.Errorf("write down whose order it is: %w", err)
	}
	c.remember(o)
	return nil
}

func (c *claims) remember(o claim) {
	c.orders[o.URL] = o
	for _, a := range o.Authorizations {
		if c.proofs[a] == nil {
			c.proofs[a] = map[string]struct{}{}
		}
		c.proofs[a][o.URL] = struct{}{}
	}
}

func (c *claims) drop(url string) {
	for _, a := range c.orders[url].Authorizations {
		delete(c.proofs[a], url)
		if len(c.proofs[a]) == 0 {
			delete(c.proofs, a)
		}
	}
	delete(c.orders, url)
	_ = os.Remove(filepath.Join(c.folder(), fileOf(url))) // else it is dropped again after the next start
}

// sweep forgets what has ended.
func (c *claims) sweep() {
	now := c.now()
	for url, o := range c.orders {
		if o.Until.Before(now) {
			c.drop(url)
		}
	}
}

// load reads what an earlier process has left.
func (c *claims) load() error {
	if c.read {
		return nil
	}
	if err := os.MkdirAll(c.folder(), 0o700); err != nil {
		return err
	}
	if err := keyfile.Sweep(c.folder()); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.folder())
	if err != nil {
		return err
	}
	c.orders, c.proofs = map[string]claim{}, map[string]map[string]struct{}{}
	for _, e := range entries {
		path := filepath.Join(c.folder(), e.Name())
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var o claim
		if err == nil {
			err = json.Unmarshal(text, &o)
		}
		if err == nil && fileOf(o.URL) != e.Name() {
			err = errors.New("it has the name of another order")
		}
		if err != nil {
			return fmt.Errorf("%s does not say whose order it is: %w; remove it once no order is under way at this CA", path, err)
		}
		c.remember(o)
	}
	c.read = true
	return nil
}
