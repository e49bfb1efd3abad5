package ceremony

import (
	"crypto/x509"
	"fmt"

	"acmebridge/backends/ib1"
)

// TreeState is what a folder has of a tree.
type TreeState struct {
	Tree ib1.Tree
	// Root is nil when it is neither here nor was imported.
	Root    *x509.Certificate
	RootKey bool
	Issuers []IssuerState
	// Requests are the numbers of the issuers that wait for their certificates.
	Requests []int
	// Alarms say what has to be done. A tree without issuers has none.
	Alarms []ib1.Alarm
}

// IssuerState is an issuer of the folder.
type IssuerState struct {
	Number      int
	Certificate *x509.Certificate
	Phase       ib1.Phase
	Key         bool
}

// List returns what the folder has of each tree. No key is opened.
func (f *Folder) List() ([]TreeState, error) {
	var all []TreeState
	for _, t := range ib1.Trees() {
		s, err := f.state(t)
		if err != nil {
			return nil, fmt.Errorf("ceremony: look at the %s tree: %w", t, err)
		}
		if s.Root != nil || len(s.Issuers)+len(s.Requests) > 0 {
			all = append(all, s)
		}
	}
	return all, nil
}

func (f *Folder) state(t ib1.Tree) (s TreeState, err error) {
	s.Tree = t
	if s.Root, err = f.certificate(string(t) + "/root.pem"); err != nil {
		return s, err
	}
	if s.RootKey, err = f.cfg.Keys.Has(label(t, 0)); err != nil {
		return s, err
	}
	certs, err := f.numbers(t, ".pem")
	if err != nil {
		return s, err
	}
	with := map[int]bool{}
	var issuers []*x509.Certificate
	for _, n := range certs {
		a, err := f.authority(t, n, false)
		if err != nil {
			return s, err
		}
		i := IssuerState{Number: n, Certificate: a.Certificate(), Phase: f.framework.Phase(t, a.Certificate(), f.cfg.Now())}
		if i.Key, err = f.cfg.Keys.Has(label(t, n)); err != nil {
			return s, err
		}
		s.Issuers, issuers, with[n] = append(s.Issuers, i), append(issuers, i.Certificate), true
	}
	requests, err := f.numbers(t, ".csr.pem")
	if err != nil {
		return s, err
	}
	for _, n := range requests {
		if !with[n] {
			s.Requests = append(s.Requests, n)
		}
	}
	if len(issuers) > 0 {
		s.Alarms = f.framework.Alarms(t, s.Root, issuers, f.cfg.Now())
	}
	return s, nil
}
