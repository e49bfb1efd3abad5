package main

import (
	"crypto/tls"
	"fmt"
	"os"

	"acmebridge/backends"
	"acmebridge/backends/globalsign"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
)

// openGlobalSign does not connect: a CA that is away must not keep the server
// from starting.
func (p *parts) openGlobalSign(name string) (backends.Backend, error) {
	g := p.cfg.Backends[name].GlobalSign
	login := func() (l globalsign.Login, err error) {
		if l.Key, err = g.APIKey(); err == nil {
			l.Secret, err = g.APISecret()
		}
		return l, err
	}
	cfg := globalsign.Config{URL: g.URL, Login: login, UserAgent: "acmebridge/" + version(), Now: p.now}
	if g.ClientCertFile != "" {
		cfg.Certificate = func() (*tls.Certificate, error) { return clientCertificate(g) }
	}
	if !p.use.offline { // a command that looks at orders calls nobody, and need not be able to
		if _, err := login(); err != nil {
			return nil, err
		}
		if cfg.Certificate != nil {
			if _, err := cfg.Certificate(); err != nil {
				return nil, err
			}
		}
	}
	roots, intermediates, err := readRoots(g.RootsFile)
	if err != nil {
		return nil, err
	}
	if cfg.RootCAs, err = readPool("ca_file", g.CAFile); err != nil {
		return nil, err
	}
	if cfg.Dial, err = p.dialCA(egress.PolicyConfig{Allow: g.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses}); err != nil {
		return nil, err
	}
	client, err := globalsign.New(cfg)
	if err != nil {
		return nil, err
	}
	from, err := config.Day(g.ServerOnlyFrom)
	if err != nil {
		return nil, err
	}
	b := globalsign.BackendConfig{
		Client: client, ServerOnlyFrom: from, Domains: g.Domains, AnyDomain: g.UnverifiedDomains, Private: g.Private, MaxValidity: g.MaxValidity,
		Floor: int64(g.BalanceFloor), Low: int64(g.BalanceLow),
		Roots: roots, Intermediates: intermediates, Now: p.now,
	}
	for _, profile := range p.cfg.Profiles {
		if profile.Backend == name {
			b.Usages = append(b.Usages, profile.Usages)
		}
	}
	return globalsign.NewBackend(b)
}

// clientCertificate reads the certificate that an account is known by.
func clientCertificate(g config.GlobalSign) (*tls.Certificate, error) {
	key, err := g.ClientKey()
	if err != nil {
		return nil, err
	}
	chain, err := os.ReadFile(absolute(g.ClientCertFile))
	if err != nil {
		return nil, fmt.Errorf("client_cert_file: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("client_cert_file and client_key_file: %w", err)
	}
	return &cert, nil
}

// dialCA makes the connections to one CA.
func (p *parts) dialCA(rules egress.PolicyConfig) (dialFunc, error) {
	policy, err := egress.NewPolicy(rules)
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver()
	if err != nil {
		return nil, err
	}
	const connections = 32 // one CA is one target
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver, Total: connections, PerTarget: connections})
	if err != nil {
		return nil, err
	}
	return dialer.DialContext, nil
}
