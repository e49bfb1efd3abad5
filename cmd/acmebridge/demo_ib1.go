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
func (p *program) demoIB1(ctx context.Context) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "acmebridge-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for such things
	d := &frameworkDemo{demoTour: demoTour{out: p.stdout}, dir: dir}
	cfg, err := d.config()
	if err != nil {
		return err
	}
	if err := d.ceremonies(cfg); err != nil {
		return err
	}
	logged := &heldBack{w: p.stderr}
	defer func() {
		if err != nil && !portTaken(err) {
			logged.release(true)
		}
	}()
	parts, err := assemble(ctx, cfg, newLogger(logged, cfg.Log), time.Now, use{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close()) }()
	s, err := newService(ctx, parts)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	d.directory, d.web = s.front.DirectoryURL("ib1"), trusting(s.cert.clientConfig())
	d.step("start a server", d.directory)
	tour, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := d.members(tour, s.engine.Operator()); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\nAll of that took %s.\n", time.Since(begun).Round(time.Millisecond))
	return nil
}

type frameworkDemo struct {
	demoTour
	dir string
}

// config is that of docs/ecosystems/ib1.md with one profile, on free ports.
func (d *frameworkDemo) config() (*config.Config, error) {
	addresses := make([]string, 2)
	for i, wanted := range []string{"127.0.0.1:14000", "127.0.0.1:14080"} {
		l, err := listenNear(wanted)
		if err != nil {
			return nil, err
		}
		addresses[i] = l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, err
		}
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
`, addresses[0], filepath.Join(d.dir, "data"), addresses[1], filepath.Join(d.dir, "framework"), passphrase)
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
	defer d.web.CloseIdleConnections()
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
