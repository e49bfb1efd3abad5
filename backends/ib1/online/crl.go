package online

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
)

// listed is a list that was signed elsewhere and imported.
type listed struct {
	der      []byte
	at, next time.Time
}

type imported struct {
	name string
	*listed
}

func readList(f *ceremony.Folder, t ib1.Tree, a *ib1.Authority) (*listed, error) {
	der, err := f.CRL(t, a.Certificate())
	if err != nil || der == nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		err = list.CheckSignatureFrom(a.Certificate())
	}
	if err != nil {
		return nil, fmt.Errorf("the list of %s: %w", a.Certificate().Subject, err)
	}
	return &listed{der, list.ThisUpdate, list.NextUpdate}, nil
}

// CRLNames implements backends.CRLSigner. The last list of an issuer that has
// ended stays as it is: signatures from its time are verified with it.
func (c *CA) CRLNames() []string {
	var names []string
	now := c.cfg.Now()
	for _, t := range c.current().trees {
		for _, a := range t.issuers {
			if a.Signs() && !now.After(a.Certificate().NotAfter) && !now.Before(a.Certificate().NotBefore) {
				names = append(names, a.ListNames()...)
			}
		}
	}
	return names
}

// lister finds the issuer of a list.
func (s *state) lister(name string) (*tree, *ib1.Authority, error) {
	for i, t := range s.trees {
		for _, a := range t.issuers {
			if a.Signs() && slices.Contains(a.ListNames(), name) {
				return &s.trees[i], a, nil
			}
		}
	}
	return nil, nil, errors.New("there is no list of that name")
}

// SignCRL implements backends.CRLSigner. What was noted in the folder as revoked
// is in the list too.
func (c *CA) SignCRL(name string, number int64, thisUpdate time.Time, revoked []backends.Revoked) ([]byte, time.Time, error) {
	der, next, err := c.signCRL(name, number, thisUpdate, revoked)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("ib1: sign %s: %w", name, err)
	}
	return der, next, nil
}

func (c *CA) signCRL(name string, number int64, thisUpdate time.Time, revoked []backends.Revoked) ([]byte, time.Time, error) {
	t, a, err := c.state.Load().lister(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	f, err := c.folder()
	if err != nil {
		return nil, time.Time{}, err
	}
	// Before the first list: from here on only we know all that is revoked.
	if err := f.MarkServed(); err != nil {
		return nil, time.Time{}, err
	}
	entries, _, err := f.Noted(t.name, a.Certificate())
	if err != nil {
		return nil, time.Time{}, err
	}
	ours := func(r backends.Revoked) bool { return bytes.Equal(r.AuthorityKeyID, a.Certificate().SubjectKeyId) }
	count := 0
	for _, r := range revoked {
		if ours(r) {
			count++
		}
	}
	entries = slices.Grow(entries, count)
	for _, r := range revoked {
		if ours(r) {
			entries = append(entries, entry(r, thisUpdate))
		}
	}
	next := thisUpdate.Add(listLife)
	der, err := a.SignListNamed(name, ib1.ListRequest{Number: big.NewInt(number), ThisUpdate: thisUpdate, NextUpdate: next, Revoked: entries})
	if err == nil && t.name == ib1.Signing {
		err = f.Keep(t.name, name, number, der)
	}
	return der, next, err
}

// listLife is how long a list is good for. The engine makes one every day.
const listLife = 7 * 24 * time.Hour

// entry is one of a list. What is odd about it must not keep the list from being
// signed: the certificate stays revoked.
func entry(r backends.Revoked, thisUpdate time.Time) ib1.Revocation {
	e := ib1.Revocation{Serial: new(big.Int).SetBytes(r.Serial), At: r.At, Reason: int(r.Reason), NotAfter: r.NotAfter}
	if e.At.After(thisUpdate) { // a moment ago, in seconds
		e.At = thisUpdate
	}
	if !ib1.ReasonUsed(e.Reason) {
		e.Reason = int(acme.Unspecified)
	}
	return e
}

// CRLRule implements backends.CRLKeeper.
func (c *CA) CRLRule(name string) (backends.CRLRule, error) {
	t, a, err := c.state.Load().lister(name)
	if err != nil {
		return backends.CRLRule{}, fmt.Errorf("ib1: %s: %w", name, err)
	}
	f, err := c.folder()
	if err != nil {
		return backends.CRLRule{}, fmt.Errorf("ib1: %s: %w", name, err)
	}
	_, last, err := f.Noted(t.name, a.Certificate())
	if err != nil {
		return backends.CRLRule{}, fmt.Errorf("ib1: %s: %w", name, err)
	}
	if !last.IsInt64() {
		return backends.CRLRule{}, fmt.Errorf("ib1: %s: the last number in the folder, %s, is too large to go on from", name, last)
	}
	// Signatures are verified long after a certificate has ended.
	return backends.CRLRule{After: last.Int64(), Forget: t.name != ib1.Signing}, nil
}

// CRLBundles implements backends.CRLKeeper: one for each tree, with the lists of
// the root and of every issuer that may still have certificates.
func (c *CA) CRLBundles() []backends.CRLBundle {
	var all []backends.CRLBundle
	now := c.cfg.Now()
	for _, t := range c.current().trees {
		b := backends.CRLBundle{Name: fmt.Sprintf("crl/ib1-%s.pem", t.name), Lists: []string{ib1.CRLName(t.name, t.root.Certificate())}}
		for _, a := range t.issuers {
			if t.name == ib1.Signing || !now.After(a.Certificate().NotAfter) {
				b.Lists = append(b.Lists, a.ListNames()...)
			}
		}
		all = append(all, b)
	}
	return all
}

func (c *CA) folder() (*ceremony.Folder, error) {
	return ceremony.Look(ceremony.Config{Dir: c.cfg.Dir, Keys: lookOnly{c}, Now: c.cfg.Now})
}
