package main

import (
	"fmt"
	"maps"
	"slices"

	"acmebridge/backends"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/backends/ib1/online"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/admin"
	"acmebridge/internal/hsm"
)

// openIB1 opens the CAs of a framework. A command that only looks needs no key.
func (p *parts) openIB1(name string) (backends.Backend, error) {
	b := p.cfg.Backends[name].IB1
	cfg := online.Config{Dir: config.Absolute(b.Dir), Now: p.now}
	for _, t := range b.Trees {
		cfg.Trees = append(cfg.Trees, ib1.Tree(t))
	}
	if !p.use.offline {
		var err error
		if cfg.Keys, err = ib1Keys(b); err != nil {
			return nil, err
		}
	}
	ca, err := online.Open(cfg)
	if err != nil {
		return nil, err
	}
	p.ib1[name] = ca
	return ca, nil
}

// ib1Keys are the keys of a framework, where the configuration says that they are.
func ib1Keys(b config.IB1) (ceremony.Keys, error) {
	files := ceremony.FileKeys{Dir: config.Absolute(b.Dir), Passphrase: func(string) ([]byte, error) { return b.Passphrase() }}
	if b.PKCS11Module == "" {
		return files, nil
	}
	token, err := hsm.Open(hsm.Config{Module: config.Absolute(b.PKCS11Module), Token: b.PKCS11Token, Prefix: b.PKCS11Prefix, PIN: b.PKCS11PIN})
	if err != nil {
		return nil, err
	}
	return ceremony.EitherKeys{First: token, Second: files}, nil
}

// ib1Warnings are what ceremonies are due for, and whether what certificates say
// about where lists are is where they are served.
func (p *parts) ib1Warnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.ib1)) {
		ca := p.ib1[name]
		for _, a := range ca.Alarms() {
			all = append(all, fmt.Sprintf("backends.%s: %s", name, a.Text))
		}
		switch here, said := p.cfg.PKIBaseURL(), ca.Framework().Settings().PublicURL; {
		case p.cfg.PKIListen == "":
			all = append(all, fmt.Sprintf("backends.%s: pki_listen is empty, so nobody can fetch its revocation lists here", name))
		case here != said:
			all = append(all, fmt.Sprintf("backends.%s: its certificates say that lists are at %s, and pki_url is %s: what is fetched there must be served by this server", name, said, here))
		}
	}
	return all
}

// ib1Trees are for the metrics.
func (p *parts) ib1Trees() []admin.Tree {
	var all []admin.Tree
	for _, name := range slices.Sorted(maps.Keys(p.ib1)) {
		ca := p.ib1[name]
		covered, lists, alarms := ca.Covered(), ca.RootLists(), ca.Alarms()
		for _, tree := range slices.Sorted(maps.Keys(covered)) {
			t := admin.Tree{Backend: name, Tree: string(tree), Covered: covered[tree], RootList: lists[tree]}
			for _, a := range alarms {
				if a.Tree != tree {
					continue
				}
				t.Alarms++
				if a.Urgent {
					t.Urgent++
				}
			}
			all = append(all, t)
		}
	}
	return all
}
