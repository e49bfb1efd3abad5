package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
)

// openDigiCert does not connect: a CA that is away must not keep the server
// from starting.
func (p *parts) openDigiCert(name string) (backends.Backend, error) {
	d := p.cfg.Backends[name].DigiCert
	if !p.use.offline { // a command that looks at orders calls nobody, and need not be able to
		if _, err := d.Key(); err != nil {
			return nil, err
		}
	}
	roots, intermediates, err := readRoots(d.RootsFile)
	if err != nil {
		return nil, err
	}
	cfg := digicert.Config{URL: d.URL, Key: d.Key, UserAgent: "acmebridge/" + version()}
	if d.CAFile != "" {
		content, err := os.ReadFile(absolute(d.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("ca_file: there is no certificate in %s", d.CAFile)
		}
	}
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: d.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses})
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
	cfg.Dial = dialer.DialContext
	client, err := digicert.New(cfg)
	if err != nil {
		return nil, err
	}
	from, err := config.Day(d.ServerOnlyFrom)
	if err != nil {
		return nil, err
	}
	b := digicert.BackendConfig{
		Client: client, Product: d.Product, Organization: int64(d.OrganizationID), Validation: d.OrganizationValidation, Domains: d.Domains,
		AnyDomain: d.UnvalidatedDomains, Days: int(d.OrderValidity / (24 * time.Hour)), Renewal: d.LinkRenewals, ServerOnlyFrom: from, KeyExchange: d.KeyExchange,
		WaitForApproval: d.WaitForApproval, Container: int64(d.ContainerID), Payment: d.PaymentMethod,
		Roots: roots, Intermediates: intermediates, MaxValidity: d.MaxValidity, Now: p.now,
	}
	for _, f := range d.CustomFields {
		id, value, _ := config.CustomField(f) // check has looked
		b.CustomFields = append(b.CustomFields, digicert.Field{ID: id, Value: value})
	}
	return digicert.NewBackend(b)
}
