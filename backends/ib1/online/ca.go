package online

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/internal/keyfile"
)

// Config says which folder is served.
type Config struct {
	Dir string
	// Keys is where the private keys are. Nil is for who only looks: nothing can
	// be signed then.
	Keys ceremony.Keys
	// Trees are those that are served; empty means all that are in the folder.
	Trees []ib1.Tree
	// Now is the clock, time.Now unless set.
	Now func() time.Time
}

// CA is the open CAs of a framework. It may be used by several goroutines.
type CA struct {
	cfg   Config
	state atomic.Pointer[state]

	mu      sync.Mutex               // of a refresh, and for what follows
	seen    string                   // how the folder looked when it was read
	signers map[string]crypto.Signer // by label: opening one takes a while
	checked time.Time
	trouble error // why the last look at the folder failed
	turn    int64 // counts how often it was read
	secret  []byte
}

var (
	_ backends.Backend   = (*CA)(nil)
	_ backends.Revoker   = (*CA)(nil)
	_ backends.CRLSigner = (*CA)(nil)
	_ backends.CRLKeeper = (*CA)(nil)
	_ backends.Publisher = (*CA)(nil)
	_ backends.Rooted    = (*CA)(nil)
	_ backends.Checker   = (*CA)(nil)
)

// ErrNoTree reports that nothing can be served.
var ErrNoTree = errors.New("there is no issuer in the folder: make one with 'ib1 root create' and 'ib1 issuer rotate', or request and import one")

// Open opens the CAs in a folder.
func Open(cfg Config) (*CA, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &CA{cfg: cfg, signers: map[string]crypto.Signer{}}
	if _, err := c.Refresh(); err != nil {
		return nil, err
	}
	return c, nil
}

// Refresh reads the folder again if it has changed. When that fails, all goes on
// as before.
func (c *CA) Refresh() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = c.cfg.Now()
	defer func() { c.trouble = err }()
	seen, err := c.look()
	if err != nil || seen == c.seen && c.state.Load() != nil {
		return false, err
	}
	s, err := c.load()
	if err != nil {
		return false, fmt.Errorf("ib1: read the folder %s: %w", c.cfg.Dir, err)
	}
	c.state.Store(s)
	c.seen = seen
	c.turn++
	return true, nil
}

// Generation changes whenever the folder was read again, by whomever.
func (c *CA) Generation() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn
}

// recheck is how old what is known of the folder may get. Looking whether it has
// changed costs a few calls of stat.
const recheck = 5 * time.Second

// current is the state, from a folder that was looked at a moment ago.
func (c *CA) current() *state {
	c.mu.Lock()
	old := c.cfg.Now().Sub(c.checked).Abs() >= recheck
	c.mu.Unlock()
	if old {
		_, _ = c.Refresh() // who watches the CA is told; here all goes on as before
	}
	return c.state.Load()
}

// look describes the state of the folder: each change of it adds or replaces a
// file, which shows in the times of the folders. Those of the trees are read,
// because what is signed here is kept there too, and that changes nothing: a list
// that was taken for a change would be followed by the next one, for ever.
func (c *CA) look() (string, error) {
	var b strings.Builder
	for _, name := range []string{"framework.json", "log.jsonl", "public/crl"} {
		info, err := os.Stat(filepath.Join(c.cfg.Dir, name))
		if err := describe(&b, name, info, err); err != nil {
			return "", err
		}
	}
	for _, tree := range []ib1.Tree{ib1.Client, ib1.Signing, ib1.Server} {
		entries, err := os.ReadDir(filepath.Join(c.cfg.Dir, string(tree)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("ib1: look at the folder: %w", err)
		}
		for _, e := range entries {
			if ceremony.KeptList(e.Name()) || strings.HasPrefix(e.Name(), keyfile.TempPrefix) {
				continue
			}
			info, err := e.Info()
			if err := describe(&b, string(tree)+"/"+e.Name(), info, err); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// describe notes a file; one that is not there leaves no note.
func describe(b *strings.Builder, name string, info fs.FileInfo, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ib1: look at the folder: %w", err)
	}
	fmt.Fprintf(b, "%s %d %d\n", name, info.ModTime().UnixNano(), info.Size())
	return nil
}

// state is what the folder had when it was read. It never changes.
type state struct {
	framework *ib1.Framework
	trees     []tree
}

type tree struct {
	name     ib1.Tree
	root     *ib1.Authority
	rootList *listed
	issuers  []*ib1.Authority // oldest first; those that have ended too
	imported []imported       // lists of issuers whose keys are elsewhere
}

func (c *CA) load() (*state, error) {
	f, err := ceremony.Look(ceremony.Config{Dir: c.cfg.Dir, Keys: lookOnly{c}, Now: c.cfg.Now})
	if err != nil {
		return nil, err
	}
	s := &state{framework: f.Framework()}
	all, err := f.List()
	if err != nil {
		return nil, err
	}
	for _, found := range all {
		if len(found.Issuers) == 0 || len(c.cfg.Trees) > 0 && !slices.Contains(c.cfg.Trees, found.Tree) {
			continue
		}
		t, err := c.loadTree(f, found)
		if err != nil {
			return nil, err
		}
		s.trees = append(s.trees, t)
	}
	if len(s.trees) == 0 {
		return nil, ErrNoTree
	}
	for _, t := range c.cfg.Trees {
		if s.tree(t) == nil {
			return nil, fmt.Errorf("%s tree: %w", t, ErrNoTree)
		}
	}
	return s, nil
}

func (c *CA) loadTree(f *ceremony.Folder, found ceremony.TreeState) (t tree, err error) {
	t.name = found.Tree
	if t.root, err = f.CA(t.name, 0, false); err != nil {
		return t, err
	}
	for _, i := range found.Issuers {
		// One whose key is elsewhere is published, and its list is imported.
		a, err := f.CA(t.name, i.Number, c.cfg.Keys != nil && i.Key && i.Phase != ib1.Expired)
		if err != nil {
			return t, err
		}
		t.issuers = append(t.issuers, a)
		if !i.Key {
			l, err := readList(f, t.name, a)
			if err != nil {
				return t, err
			}
			if l != nil {
				t.imported = append(t.imported, imported{ib1.CRLName(t.name, a.Certificate()), l})
			}
		}
	}
	t.rootList, err = readList(f, t.name, t.root)
	return t, err
}

// signers are the certificates of the issuers whose keys are here.
func (t *tree) signers() []*x509.Certificate {
	var all []*x509.Certificate
	for _, a := range t.issuers {
		if a.Signs() {
			all = append(all, a.Certificate())
		}
	}
	return all
}

func (s *state) tree(name ib1.Tree) *tree {
	for i := range s.trees {
		if s.trees[i].name == name {
			return &s.trees[i]
		}
	}
	return nil
}

// lookOnly opens each key once, and makes none.
type lookOnly struct{ c *CA }

// Create implements ceremony.Keys.
func (lookOnly) Create(string, elliptic.Curve) (crypto.Signer, error) {
	return nil, errors.New("keys are made in ceremonies")
}

// Open implements ceremony.Keys.
func (l lookOnly) Open(label string) (crypto.Signer, error) {
	if s, ok := l.c.signers[label]; ok {
		return s, nil
	}
	s, err := l.c.cfg.Keys.Open(label)
	if err == nil {
		l.c.signers[label] = s
	}
	return s, err
}

// Has implements ceremony.Keys.
func (l lookOnly) Has(label string) (bool, error) {
	if l.c.cfg.Keys == nil {
		return false, nil
	}
	return l.c.cfg.Keys.Has(label)
}

// Framework is what the folder is of.
func (c *CA) Framework() *ib1.Framework { return c.state.Load().framework }

// Traits implements backends.Backend. The dates are the framework's.
func (c *CA) Traits() backends.Traits {
	return backends.Traits{MaxValidity: c.Framework().Validity(ib1.Client), Private: true}
}

// Submit implements backends.Backend.
func (c *CA) Submit(_ context.Context, r backends.Request) (backends.Ticket, error) {
	return "", fmt.Errorf("ib1: submit request %s: %w", r.Key, backends.Refused("no application is bound to this order", nil))
}

// Poll implements backends.Backend.
func (c *CA) Poll(context.Context, backends.Ticket) (backends.Result, error) {
	return backends.Result{}, errors.New("ib1: poll: this is not a ticket of this CA")
}

// Revoke implements backends.Revoker. What revokes is the list that the engine
// has signed here with its next round of publishing.
func (c *CA) Revoke(ctx context.Context, _ acme.Certificate, _ acme.RevocationReason) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ib1: revoke: %w", err)
	}
	return nil
}

// Check implements backends.Checker. It is about what keeps certificates from
// being issued; what else is due is among the alarms.
func (c *CA) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ib1: check: %w", err)
	}
	if _, err := c.Refresh(); err != nil {
		return err
	}
	s := c.current()
	for i := range s.trees {
		t := &s.trees[i]
		if s.framework.Current(t.name, c.covering(t), c.cfg.Now()) == nil {
			return fmt.Errorf("%w: no issuer of the %s tree covers a certificate that begins now, so no certificate can be issued; rotate the issuer", ib1.ErrRotate, t.name)
		}
	}
	return nil
}
