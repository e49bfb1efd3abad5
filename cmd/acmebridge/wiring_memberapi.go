package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
	"acmebridge/internal/memberapi"
	"acmebridge/internal/memberapi/idtoken"
	"acmebridge/internal/ratelimit"
)

// memberAPI makes the API that members use beside ACME; nil where it is off.
func (p *parts) memberAPI() (*memberapi.API, error) {
	m := p.cfg.MemberAPI
	if !m.Enabled {
		return nil, nil
	}
	cfg := memberapi.Config{
		Engine: p.engine, Path: m.Path, BaseURL: p.cfg.BaseURL, Directory: acme.DirectoryName(m.Directory), MaxBody: int64(p.cfg.Limits.Body),
		Limits: memberapi.Limits{Requests: p.cfg.Limits.Rates.Requests.Limit(), Failures: failures(m.Failures), Help: p.cfg.Limits.HelpURL, Rates: p.rates},
		Log:    p.log, Now: p.now,
	}
	if m.OIDC.Issuer != "" {
		provider, err := p.identityProvider(m.OIDC)
		if err != nil {
			return nil, fmt.Errorf("member_api.oidc: %w", err)
		}
		cfg.Identities = provider
	}
	return memberapi.New(cfg)
}

// failures translates "off" for the API, whose zero means a default.
func failures(r config.Rate) ratelimit.Rate {
	if r.Off {
		return ratelimit.Rate{Count: 999_999, Per: time.Second}
	}
	return r.Limit()
}

// identityProvider does not connect: a provider that is away must not keep the
// server from starting.
func (p *parts) identityProvider(o config.OIDC) (*idtoken.Provider, error) {
	var roots *x509.CertPool
	if o.CAFile != "" {
		content, err := os.ReadFile(absolute(o.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("ca_file: there is no certificate in %s", o.CAFile)
		}
	}
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: o.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses})
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver()
	if err != nil {
		return nil, err
	}
	const connections = 8 // it is asked for its keys, and seldom
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver, Total: connections, PerTarget: connections})
	if err != nil {
		return nil, err
	}
	return idtoken.New(idtoken.Config{
		Issuer: o.Issuer, Audience: o.Audience, MemberClaim: o.MemberClaim, NameClaim: o.NameClaim, Dial: dialer.DialContext, RootCAs: roots, Now: p.now,
	})
}
