package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"

	"acmebridge/backends"
	"acmebridge/backends/upstream"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
	"acmebridge/internal/secret"
)

// openUpstream does not connect, like openSectigo. It does open the account key,
// so that a wrong passphrase shows at the start.
func (p *parts) openUpstream(name string) (backends.Backend, error) {
	u := p.cfg.Backends[name].Upstream
	roots, intermediates, err := readRoots(u.RootsFile)
	if err != nil {
		return nil, err
	}
	dial, err := p.dialUpstream(u)
	if err != nil {
		return nil, err
	}
	passphrase := u.Passphrase()
	if passphrase == nil { // a copy of the folder alone is no account
		passphrase = func() ([]byte, error) { return p.sealer.Passphrase("account key of backend " + name), nil }
	}
	cfg := upstream.Config{
		DirectoryURL: u.URL, Dial: dial, UserAgent: "acmebridge/" + version(),
		Dir: absolute(p.cfg.UpstreamDir(name)), Passphrase: passphrase, Contacts: u.Contacts, AgreeToTerms: u.AgreeToTerms,
		Profile: u.ProfileName, SendNotAfter: u.SendNotAfter, MaxValidity: u.MaxValidity, Private: u.Private,
		Roots: roots, Intermediates: intermediates, Settle: u.DNS01.Settle, Now: p.now,
	}
	if cfg.RootCAs, err = readPool("ca_file", u.CAFile); err != nil {
		return nil, err
	}
	if u.External.KeyID != "" {
		cfg.ExternalAccount = &upstream.ExternalAccount{KeyID: u.External.KeyID, HMAC: u.External.HMAC}
	}
	dns, err := dnsSolver(u.DNS01, dial)
	if err != nil {
		return nil, err
	}
	if dns != nil {
		cfg.Solvers = append(cfg.Solvers, dns)
	}
	switch {
	case u.HTTP01.Listen != "":
		responder := &upstream.Responder{}
		p.responders[name] = responder
		cfg.Solvers = append(cfg.Solvers, responder)
	case u.HTTP01.Webroot != "":
		cfg.Solvers = append(cfg.Solvers, upstream.Webroot{Dir: absolute(u.HTTP01.Webroot)})
	}
	b, err := upstream.New(cfg)
	if err == nil && !p.use.offline { // a command that looks at orders has no use for the key
		err = b.OpenKey()
	}
	return b, err
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialUpstream makes the connections to the CA, and to what answers its challenges.
func (p *parts) dialUpstream(u config.Upstream) (dialFunc, error) {
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: u.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses})
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver()
	if err != nil {
		return nil, err
	}
	const connections = 32 // one CA is one target, as for Sectigo
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver, Total: connections, PerTarget: connections})
	if err != nil {
		return nil, err
	}
	return dialer.DialContext, nil
}

// readPool reads roots for TLS; nil, which means those of the system, without a file.
func readPool(setting, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(absolute(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: there is no certificate in %s", setting, path)
	}
	return pool, nil
}

// dnsSolver is who answers dns-01, nil when nobody does. Secrets are read each
// time that they are used, so they can be changed while the server runs.
func dnsSolver(d config.UpstreamDNS01, dial dialFunc) (upstream.Solver, error) {
	read := func(path string) func() (string, error) {
		return func() (string, error) {
			s, err := secret.FromFile(absolute(path))
			return string(s.Reveal()), err
		}
	}
	roots, err := readPool("dns_01.ca_file", d.CAFile)
	if err != nil {
		return nil, err
	}
	switch d.By {
	case config.DNSUpdate:
		return upstream.DynamicUpdate{
			Server: d.Server, Zone: d.Zone, KeyName: d.KeyName, Algorithm: d.Algorithm, Secret: read(d.KeyFile), TTL: d.TTL, Dial: dial,
		}, nil
	case config.DNSAcmeDNS:
		accounts := func() ([]byte, error) {
			s, err := secret.FromFile(absolute(d.AccountsFile))
			return s.Reveal(), err
		}
		return upstream.AcmeDNS{URL: d.URL, Accounts: accounts, Client: upstream.NewDoer(dial, roots)}, nil
	case config.DNSHTTPRequest:
		h := upstream.HTTPRequest{URL: d.URL, Client: upstream.NewDoer(dial, roots)}
		if d.AuthorizationFile != "" {
			h.Authorization = read(d.AuthorizationFile)
		}
		return h, nil
	case config.DNSCommand:
		return upstream.Command{Argv: d.Command}, nil
	}
	return nil, nil
}

// bindUpstream binds the listeners at which challenges of CAs are answered.
func (s *service) bindUpstream() error {
	for _, name := range slices.Sorted(maps.Keys(s.responders)) {
		l, err := listen("backends."+name+".http_01.listen", s.cfg.Backends[name].Upstream.HTTP01.Listen)
		if err != nil {
			return err
		}
		limited := newLimitListener(l, s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerAddress)
		s.servers = append(s.servers, listening{"http-01 of " + name, limited, s.server("http-01", s.responders[name]), false})
	}
	return nil
}
