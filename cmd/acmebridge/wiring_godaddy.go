package main

import (
	"acmebridge/backends"
	"acmebridge/backends/godaddy"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
)

// openGoDaddy does not connect: a CA that is away must not keep the server from
// starting.
func (p *parts) openGoDaddy(name string) (backends.Backend, error) {
	g := p.cfg.Backends[name].GoDaddy
	login := func() (l godaddy.Login, err error) {
		if l.Key, err = g.APIKey(); err == nil {
			l.Secret, err = g.APISecret()
		}
		return l, err
	}
	if !p.use.offline { // a command that looks at orders calls nobody, and need not be able to
		if _, err := login(); err != nil {
			return nil, err
		}
	}
	roots, intermediates, err := readRoots(g.RootsFile)
	if err != nil {
		return nil, err
	}
	cfg := godaddy.Config{URL: g.URL, Login: login, UserAgent: "acmebridge/" + version(), Now: p.now}
	if cfg.RootCAs, err = readPool("ca_file", g.CAFile); err != nil {
		return nil, err
	}
	if cfg.Dial, err = p.dialCA(egress.PolicyConfig{Allow: g.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses}); err != nil {
		return nil, err
	}
	client, err := godaddy.New(cfg)
	if err != nil {
		return nil, err
	}
	from, err := config.Day(g.ServerOnlyFrom)
	if err != nil {
		return nil, err
	}
	return godaddy.NewBackend(godaddy.BackendConfig{
		Client: client, Shopper: int64(g.ShopperID), Product: g.Product, RootType: g.RootType, Years: g.Years, MaxNames: g.MaxNames,
		Renew: g.Renew, Reissue: g.Reissue, ReissueDelay: g.ReissueRevokes, ServerOnlyFrom: from, MaxValidity: g.MaxValidity, Roots: roots, Intermediates: intermediates, Now: p.now,
	})
}
