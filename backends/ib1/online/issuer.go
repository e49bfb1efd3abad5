package online

import (
	"fmt"
	"slices"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
)

var (
	_ backends.Issuer    = (*CA)(nil)
	_ backends.Rehearser = (*CA)(nil)
)

// Issue implements backends.Issuer. The holder in the contract says which tree
// the certificate is from and, for members, all of what is in it.
func (c *CA) Issue(r backends.Request) ([][]byte, error) {
	h := r.Contract.Holder
	switch {
	case h == nil:
		return nil, fmt.Errorf("ib1: request %s: %w", r.Key, backends.Refused("the profile is not one of a framework", nil))
	case h.Tree == acme.IB1Server:
		return c.IssueServer(hostNames(r.Contract), r)
	}
	return c.IssueMember(ib1.Tree(h.Tree), holderOf(*h), r)
}

func holderOf(h acme.IB1Holder) ib1.Holder {
	return ib1.Holder{Country: h.Country, Organization: h.Organization, Application: h.Application, Member: h.Member, Roles: h.Roles}
}

// Rehearse implements backends.Rehearser. Any issuer of the tree will do, one
// that has ended too: what it is asked is the same for all of them.
func (c *CA) Rehearse(h acme.IB1Holder) error {
	t := c.state.Load().tree(ib1.Tree(h.Tree))
	if !h.Tree.Member() || t == nil {
		return nil
	}
	return t.issuers[len(t.issuers)-1].RehearseMember(holderOf(h))
}

// hostNames are those of the contract, the common name first.
func hostNames(c acme.Contract) []string {
	names := make([]string, 0, len(c.Identifiers))
	for _, id := range c.Identifiers {
		names = append(names, id.Value)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		switch c.CommonName {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	return names
}
