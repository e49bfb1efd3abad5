// Package renew keeps an identity valid: an ACME client that does one thing. It
// asks the server when the certificate should be renewed (RFC 9773), orders a
// new one when that time has come, and puts the new identity in place of the old
// one in one step. What follows, such as a restart of the server that uses it,
// happens only then, and is tried again by the next run when it failed.
//
// Between runs it keeps beside the identity:
//
//	NAME.account.key   the key of the ACME account
//	NAME.next.key      the private key of the certificate that is on order: a
//	                   slow CA answers a later run, which comes with the same key
//	NAME.undeployed    there is a new identity that was not deployed yet
//	NAME.lock          nothing; a run that is at work holds it
package renew

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"acmebridge/internal/identity"
	"acmebridge/internal/keyfile"
)

// The ends of the names of files beside an identity.
const (
	accountKey = ".account.key"
	nextKey    = ".next.key"
	undeployed = ".undeployed"
	lockFile   = ".lock"
)

const private = 0o600

// Answerer makes the answer to an http-01 challenge visible until withdraw.
type Answerer interface {
	Answer(ctx context.Context, path, answer string) (withdraw func() error, err error)
}

// Renewer is what keeps one identity valid.
type Renewer struct {
	// Path is the file of the identity. When it is not there yet, the first
	// certificate is ordered.
	Path string
	// Names, as identity.Names returns them, are what the certificate is for;
	// none are those of the identity that is there.
	Names   []string
	KeyType string
	// ReuseKey keeps the private key of the identity.
	ReuseKey bool

	Directory string // URL
	HTTP      *http.Client
	UserAgent string
	Profile   string
	Contact   []string
	// ExternalAccount is nil for servers that need none.
	ExternalAccount *acme.ExternalAccountBinding
	Answerer        Answerer

	// Server, Client and Roots say what a new identity has to pass before it
	// takes the place of the old one.
	Server, Client bool
	Roots          []*x509.Certificate

	// Before the end of the certificate it is renewed when the server does not
	// say when; zero is a third of its life.
	Before time.Duration
	// Force renews whatever the time.
	Force bool
	// Deploy is called when a new identity stands; nil is nothing.
	Deploy func(context.Context) error
	Now    func() time.Time
	// Say is told what was done.
	Say func(format string, args ...any)
}

// ErrBusy says that another run is at work on the identity.
var ErrBusy = errors.New("another run is at work on it; what it does holds for this one")

// Run renews the identity if it is time. Of two runs at once one does: the other
// would order again, with a key of its own, what the first has just put there.
func (r *Renewer) Run(ctx context.Context) (err error) {
	lock, err := os.OpenFile(r.Path+lockFile, os.O_RDWR|os.O_CREATE, private)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // and gives it up
	switch alone, err := tryLock(lock); {
	case err != nil:
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	case !alone:
		return fmt.Errorf("%s: %w", r.Path, ErrBusy)
	}
	run := *r
	run.HTTP = careful(r.HTTP)
	if err := run.run(ctx); err != nil {
		return plainError{err}
	}
	return nil
}

func (r *Renewer) run(ctx context.Context) error {
	old, err := r.current()
	if err != nil {
		return err
	}
	if old != nil && !r.Force {
		due, why, err := r.due(ctx, old.Leaf)
		if err != nil {
			return err
		}
		r.Say("%s", why)
		if !due {
			return r.deploy(ctx)
		}
	}
	if len(r.Names) == 0 {
		if old == nil {
			return fmt.Errorf("%s is not there yet, so the names are needed that it shall be for", r.Path)
		}
		r.Names = namesOf(old.Leaf)
	}
	if err := r.renew(ctx, old); err != nil {
		return err
	}
	return r.deploy(ctx)
}

// current returns the identity that is there, or nil.
func (r *Renewer) current() (*identity.Identity, error) {
	data, err := os.ReadFile(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := identity.ReadBundle(nil, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	id, err := identity.Assemble(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	return &id, nil
}

func namesOf(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

func (r *Renewer) renew(ctx context.Context, old *identity.Identity) error {
	key, err := r.key(old)
	if err != nil {
		return err
	}
	csr, err := identity.NewRequest(r.Names, key)
	if err != nil {
		return err
	}
	var replaced *x509.Certificate
	if old != nil {
		replaced = old.Leaf
	}
	der, err := r.order(ctx, csr, replaced)
	if err != nil {
		return err
	}
	id, err := assemble(key, der)
	if err != nil {
		return fmt.Errorf("the server sent something else than was ordered: %w; %s is as it was", err, r.Path)
	}
	for _, f := range identity.Check(id, identity.Expect{Names: r.Names, Server: r.Server, Client: r.Client, Roots: r.Roots, Now: r.Now()}) {
		if f.Result == identity.Failed {
			return fmt.Errorf("the new certificate is not good (%s: %s); %s is as it was", f.Check, f.Detail, r.Path)
		}
	}
	content, err := id.Encode(false)
	if err != nil {
		return err
	}
	if r.Deploy != nil {
		// Before the identity: a crash in between deploys the old one once more,
		// which hurts nobody.
		if err := keyfile.Replace(r.Path+undeployed, private, nil); err != nil {
			return err
		}
	}
	if err := keyfile.Replace(r.Path, private, content); err != nil {
		return err
	}
	r.Say("%s is new: for %s, until %s", r.Path, strings.Join(r.Names, ", "), id.Leaf.NotAfter.Format(time.RFC3339))
	return remove(r.Path + nextKey)
}

// key returns the private key of the next certificate. It is on the disk before
// anybody hears of it.
func (r *Renewer) key(old *identity.Identity) (crypto.Signer, error) {
	if r.ReuseKey && old != nil {
		return old.Key, nil
	}
	key, err := keptKey(r.Path+nextKey, r.KeyType)
	if err != nil || old == nil || !sameKey(key, old.Key) {
		return key, err
	}
	// It belongs to the identity that stands: a run died before it was through.
	if err := remove(r.Path + nextKey); err != nil {
		return nil, err
	}
	return keptKey(r.Path+nextKey, r.KeyType)
}

func sameKey(a, b crypto.Signer) bool {
	k, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b.Public())
}

// keptKey returns the key in a file, which is made when it is not there.
func keptKey(path, kind string) (crypto.Signer, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := identity.NewKey(kind)
		if err != nil {
			return nil, err
		}
		encoded, err := identity.EncodeKey(key)
		if err != nil {
			return nil, err
		}
		err = keyfile.Create(filepath.Dir(path), filepath.Base(path), encoded)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		data, err = os.ReadFile(path) // of another run, at the same time
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	b, err := identity.ReadBundle(nil, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if b.Key == nil {
		return nil, fmt.Errorf("%s holds no private key; remove it, and a new one is made", path)
	}
	return b.Key, nil
}

func assemble(key crypto.Signer, der [][]byte) (identity.Identity, error) {
	b := identity.Bundle{Key: key}
	for _, d := range der {
		c, err := x509.ParseCertificate(d)
		if err != nil {
			return identity.Identity{}, err
		}
		b.Certificates = append(b.Certificates, c)
	}
	return identity.Assemble(b)
}

// deploy calls Deploy for an identity for which it has not succeeded yet.
func (r *Renewer) deploy(ctx context.Context) error {
	if r.Deploy == nil {
		return nil
	}
	if _, err := os.Lstat(r.Path + undeployed); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := r.Deploy(ctx); err != nil {
		return fmt.Errorf("the new identity stands in %s, and deploying it failed: %w; the next run tries that again", r.Path, err)
	}
	r.Say("deployed")
	return remove(r.Path + undeployed)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func identifiers(names []string) []acme.AuthzID {
	var ids []acme.AuthzID
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err == nil {
			ids = append(ids, acme.IPIDs(name)...)
			continue
		}
		ids = append(ids, acme.DomainIDs(name)...)
	}
	return ids
}
