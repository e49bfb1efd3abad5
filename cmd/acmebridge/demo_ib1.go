package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	clients "golang.org/x/crypto/acme"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/cmd/acmebridge/config"
)

const (
	demoMember      = "https://directory.example.org/m/827252"
	demoApplication = "https://directory.example.org/a/883391"
	demoRole        = "https://registry.example.org/scheme/demo/role/reader"
)

// demoIB1 is an IB1 trust framework in a temporary folder, from the ceremony of
// the roots to the first renewal, and to what becomes of a certificate whose role
// is taken away.
func (p *program) demoIB1(ctx context.Context) error {
	d := &frameworkDemo{demoTour: demoTour{demoSteps: p.demoSteps()}}
	return p.demonstrate(ctx, d.prepare, func(s *demoServer) error { return d.ecosystem(ctx, s, "ib1", d.members) })
}

type frameworkDemo struct {
	demoTour
	dir string
}

// prepare makes what a framework has before it has a server.
func (d *frameworkDemo) prepare(dir string) (*config.Config, error) {
	d.dir = dir
	cfg, err := d.config()
	if err != nil {
		return nil, err
	}
	return cfg, d.ceremonies(cfg)
}

// config is that of docs/ecosystems/ib1.md with one profile, on free ports.
func (d *frameworkDemo) config() (*config.Config, error) {
	front, pki, err := demoAddresses()
	if err != nil {
		return nil, err
	}
	passphrase := filepath.Join(d.dir, "passphrase")
	if err := os.WriteFile(passphrase, []byte(rand.Text()+"\n"), 0o600); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`listen: %q
data_dir: %q
pki_listen: %q
log: {format: text}
directories: {ib1: {external_account: required, profiles: [ib1-client]}}
profiles: {ib1-client: {backend: framework, ib1: {tree: client}}}
backends: {framework: {type: ib1, dir: %q, passphrase_file: %q}}
`, front, filepath.Join(d.dir, "data"), pki, filepath.Join(d.dir, "framework"), passphrase)
	return config.Parse("the demo's configuration", []byte(text), nil)
}

// ceremonies makes the client tree. A framework would do it on a machine without a
// network, and for its two other trees as well.
func (d *frameworkDemo) ceremonies(cfg *config.Config) error {
	b := cfg.Backends["framework"].IB1
	keys, err := ib1Keys(b)
	if err != nil {
		return err
	}
	f, err := ceremony.Open(ceremony.Config{
		Dir: b.Dir, By: "demo", Keys: keys,
		Settings: &ib1.Settings{Label: "Demo Trust Framework", Country: "GB", PublicURL: cfg.PKIBaseURL()},
	})
	if err != nil {
		return err
	}
	root, err := f.CreateRoot(ib1.Client)
	if err == nil {
		d.step("make the root", root.Subject.String())
		var issuer *x509.Certificate
		if _, issuer, err = f.RotateIssuer(ib1.Client); err == nil {
			d.step("make an issuer below it", issuer.Subject.String())
			_, err = f.SignList(ib1.Client, 0)
		}
	}
	return errors.Join(err, f.Close())
}

// members goes through what a member sees, and what its operator does for it.
func (d *frameworkDemo) members(ctx context.Context, o engine.Operator) error {
	m := acme.Member{
		ID: demoMember, Name: "Example Company Ltd", Country: "GB", Roles: []string{demoRole},
		Applications: []acme.Application{{URL: demoApplication, Roles: []string{demoRole}, Trees: []acme.IB1Tree{acme.IB1Client}}},
	}
	m, err := o.CreateMember(ctx, m)
	if err != nil {
		return err
	}
	d.step("register a member", demoMember)
	d.step("with an application", demoApplication)
	k, mac, err := o.CreateExternalKey(ctx, engine.NewExternalKey{Directory: "ib1", Member: demoMember, Application: demoApplication, Uses: 1})
	if err != nil {
		return err
	}
	d.step("make a key that binds to it", string(k.ID))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	d.client = &clients.Client{Key: key, DirectoryURL: d.directory, HTTPClient: d.web, UserAgent: "acmebridge-demo"}
	account, err := d.client.Register(ctx, &clients.Account{ExternalAccountBinding: &clients.ExternalAccountBinding{KID: string(k.ID), Key: mac}}, clients.AcceptTOS)
	if err != nil {
		return fmt.Errorf("make an account: %w", err)
	}
	d.step("the member's account", account.URI)
	if _, err := d.obtain(ctx, "order a certificate"); err != nil {
		return err
	}
	chain, err := d.obtain(ctx, "renew it, with a new key")
	if err != nil {
		return err
	}
	leaf, err := d.verifyClient(chain)
	if err != nil {
		return err
	}
	d.step("verify it by the root", "good for TLS clients")
	m.Roles, m.Applications = []string{}, nil
	if _, err := o.UpdateMember(ctx, m); err != nil {
		return err
	}
	d.step("take the role away", demoRole)
	if err := d.revoked(ctx, leaf); err != nil {
		return err
	}
	d.step("it is in the list", leaf.CRLDistributionPoints[0])
	fmt.Fprintln(d.out)
	describe(d.out, leaf)
	return pem.Encode(d.out, &pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
}

// obtain orders and finalizes; nothing has to be proved.
func (d *frameworkDemo) obtain(ctx context.Context, what string) (chain [][]byte, err error) {
	order, err := d.client.AuthorizeOrder(ctx, clients.DomainIDs(demoApplication))
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	if order.Status != clients.StatusReady {
		return nil, fmt.Errorf("the order is %s and not ready", order.Status)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	chain, url, err := d.client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	d.step(what, url)
	return chain, nil
}

func (d *frameworkDemo) verifyClient(chain [][]byte) (*x509.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(d.dir, "framework", "client", "root.pem"))
	if err != nil {
		return nil, err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	o.Roots.AppendCertsFromPEM(text)
	certs, err := x509.ParseCertificates(bytes.Join(chain, nil))
	if err != nil {
		return nil, err
	}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := certs[0].Verify(o); err != nil {
		return nil, fmt.Errorf("verify the certificate: %w", err)
	}
	return certs[0], nil
}

// revoked waits until the list that a certificate names has it.
func (d *frameworkDemo) revoked(ctx context.Context, leaf *x509.Certificate) error {
	for {
		list, err := d.list(ctx, leaf.CRLDistributionPoints[0])
		if err != nil {
			return err
		}
		for _, e := range list.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the certificate did not get into the list: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d *frameworkDemo) list(ctx context.Context, url string) (*x509.RevocationList, error) {
	text, err := d.fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(text)
}
