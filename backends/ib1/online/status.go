package online

import (
	"crypto/x509"
	"time"

	"acmebridge/backends/ib1"
)

// TreeStatus is how a tree stands at this moment.
type TreeStatus struct {
	Tree ib1.Tree
	// Root is its root, and RootList until when the list of that is good; zero
	// when there is none.
	Root     *x509.Certificate
	RootList time.Time
	// Covered is until when certificates of full validity can be issued.
	Covered time.Time
	Issuers []IssuerStatus // oldest first
	Alarms  []Alarm
}

// IssuerStatus is how an issuer stands.
type IssuerStatus struct {
	Certificate *x509.Certificate
	Phase       ib1.Phase
	// Key says whether it signs here, SignsUntil until when it may sign
	// certificates, and Lists are the names of its revocation lists: one, unless
	// the framework divides them.
	Key        bool
	SignsUntil time.Time
	Lists      []string
}

// Status describes the trees that are served.
func (c *CA) Status() []TreeStatus {
	s, alarms, covered, lists := c.current(), c.Alarms(), c.Covered(), c.RootLists()
	var all []TreeStatus
	for _, t := range s.trees {
		x := TreeStatus{Tree: t.name, Root: t.root.Certificate(), RootList: lists[t.name], Covered: covered[t.name]}
		for _, a := range t.issuers {
			cert := a.Certificate()
			x.Issuers = append(x.Issuers, IssuerStatus{
				Certificate: cert, Phase: s.framework.Phase(t.name, cert, c.cfg.Now()), Key: a.Signs(),
				SignsUntil: s.framework.LastStart(t.name, cert), Lists: a.ListNames(),
			})
		}
		for _, a := range alarms {
			if a.Tree == t.name || a.Tree == "" {
				x.Alarms = append(x.Alarms, a)
			}
		}
		all = append(all, x)
	}
	return all
}

// covering are the issuers that count for what is due. Who only looks cannot
// tell which of them have their keys here.
func (c *CA) covering(t *tree) []*x509.Certificate {
	if c.cfg.Keys != nil {
		return t.signers()
	}
	var all []*x509.Certificate
	for _, a := range t.issuers {
		all = append(all, a.Certificate())
	}
	return all
}
