package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"acmebridge/backends"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/keyfile"
	"acmebridge/internal/ocsp"
)

// responder makes who answers OCSP requests; nil where no backend wants that.
func (p *parts) responder() (*ocsp.Responder, error) {
	var sources []func(context.Context) ([]ocsp.Issuer, error)
	for _, name := range slices.Sorted(maps.Keys(p.cfg.Backends)) {
		b := p.cfg.Backends[name]
		if !b.OCSP.On() {
			continue
		}
		if d, ok := p.issuers[name].(backends.StatusDelegate); ok {
			sources = append(sources, (&delegated{parts: p, backend: name, delegate: d, signers: map[string]numbered{}}).issuers)
			continue
		}
		s, err := newSupplied(p, name)
		if err != nil {
			return nil, fmt.Errorf("backends.%s.ocsp: %w", name, err)
		}
		sources = append(sources, s.issuers)
	}
	if len(sources) == 0 {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	c := p.cfg.OCSP
	return ocsp.New(ocsp.Config{
		Issuers: func(ctx context.Context) (all []ocsp.Issuer, _ error) {
			for _, source := range sources {
				some, err := source(ctx)
				if err != nil {
					return nil, err
				}
				all = append(all, some...)
			}
			return all, nil
		},
		Freshness: c.Freshness, IgnoreNonce: c.Nonce == "ignore", RefuseUnknown: c.Unknown == "unauthorized",
		CacheFor: c.CacheFor, Entries: c.Entries, Signatures: c.Signatures, SharedSignatures: c.Shared, Log: p.log, Now: p.now,
	})
}

// recorded is what the records say of the certificates of a CA. A revocation
// counts from the moment it was asked for, whether or not a remote CA knows yet.
func (p *parts) recorded(issuer *x509.Certificate) func(context.Context, []byte) (ocsp.Status, error) {
	return func(ctx context.Context, serial []byte) (ocsp.Status, error) {
		c, ok, err := p.engine.Issued(ctx, issuer.SubjectKeyId, serial)
		switch {
		case err != nil || !ok:
			return ocsp.Status{}, err
		case c.Revocation != nil:
			return ocsp.Status{State: ocsp.Revoked, At: c.Revocation.At, Reason: int(c.Revocation.Reason)}, nil
		default:
			return ocsp.Status{State: ocsp.Good, Since: c.IssuedAt}, nil
		}
	}
}

// delegated is a backend that certifies its signers; the engine publishes them.
type delegated struct {
	*parts
	backend  string
	delegate backends.StatusDelegate
	mu       sync.Mutex
	signers  map[string]numbered
}

// numbered is a signer and what it was made from.
type numbered struct {
	number int64
	body   []byte
	signer *ocsp.Signer
}

func (d *delegated) issuers(ctx context.Context) ([]ocsp.Issuer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []ocsp.Issuer
	for _, s := range d.delegate.StatusSigners() {
		cert, err := x509.ParseCertificate(s.Issuer)
		if err != nil {
			return nil, fmt.Errorf("read the certificate of an issuer of %s: %w", d.backend, err)
		}
		signer, err := d.signer(ctx, s.Name, cert)
		if err != nil {
			// The others can speak all the same; for this one clients come back.
			d.log.Error("nobody can sign OCSP answers for a CA", "event", "ocsp.signer", "name", s.Name, "cause", err)
		}
		all = append(all, ocsp.Issuer{Name: s.Name, Certificate: cert, Signer: signer, Status: d.recorded(cert)})
	}
	return all, nil
}

// signer returns the one that is published under a name; nil without an error
// when there is none yet.
func (d *delegated) signer(ctx context.Context, name string, issuer *x509.Certificate) (*ocsp.Signer, error) {
	published, ok, err := d.engine.Publication(ctx, name)
	if err != nil || !ok {
		return nil, err
	}
	if have := d.signers[name]; have.number == published.Number && bytes.Equal(have.body, published.Body) {
		return have.signer, nil
	}
	cert, err := x509.ParseCertificate(published.Body)
	if err != nil {
		return nil, err
	}
	key, err := d.delegate.SignerKey(name, published.Number)
	if err != nil {
		return nil, err
	}
	signer, err := ocsp.NewSigner(issuer, cert, key)
	if err != nil {
		return nil, err
	}
	d.signers[name] = numbered{published.Number, published.Body, signer}
	return signer, nil
}

// supplied is a backend whose signer comes from files of the operator.
type supplied struct {
	*parts
	backend string
	cfg     config.BackendOCSP
	issuer  *x509.Certificate
	status  func(context.Context, []byte) (ocsp.Status, error)
	list    *ocsp.List // nil without one

	mu     sync.Mutex
	seen   [2]fileState
	signer *ocsp.Signer
	said   string // what was last said of the list
}

func newSupplied(p *parts, name string) (*supplied, error) {
	s := &supplied{parts: p, backend: name, cfg: p.cfg.Backends[name].OCSP}
	var err error
	if s.issuer, err = readCertificate(s.cfg.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if len(s.issuer.SubjectKeyId) == 0 {
		return nil, fmt.Errorf("issuer: %s has no subject key identifier, by which certificates name it", s.cfg.Issuer)
	}
	s.status = p.recorded(s.issuer)
	if s.cfg.Source == config.OCSPList {
		list, err := ocsp.NewList(absolute(s.cfg.CRL), s.issuer, p.now)
		if err != nil {
			return nil, fmt.Errorf("crl: %w", err)
		}
		s.list, s.status = list, both(list.Status, s.status)
	}
	return s, s.load()
}

// both says what a list says, and that what was revoked here is revoked, before
// the list knows.
func both(list, recorded func(context.Context, []byte) (ocsp.Status, error)) func(context.Context, []byte) (ocsp.Status, error) {
	return func(ctx context.Context, serial []byte) (ocsp.Status, error) {
		s, err := list(ctx, serial)
		if err == nil && s.State == ocsp.Revoked {
			return s, nil
		}
		ours, ourErr := recorded(ctx, serial)
		if ourErr != nil || ours.State == ocsp.Revoked {
			return ours, ourErr
		}
		s.Since = ours.Since
		return s, err
	}
}

// issuers reads the signer anew when its files have changed.
func (s *supplied) issuers(context.Context) ([]ocsp.Issuer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.files(); now != s.seen {
		if err := s.load(); err != nil {
			s.log.Error("the new signer of OCSP answers cannot be used; the old one stays", "event", "ocsp.signer", "backend", s.backend, "cause", err)
		}
	}
	s.lookAtList()
	return []ocsp.Issuer{{Name: s.backend, Certificate: s.issuer, Signer: s.signer, Status: s.status}}, nil
}

// lookAtList says once why a new list is not used.
func (s *supplied) lookAtList() {
	if s.list == nil {
		return
	}
	why := ""
	if err := s.list.Trouble(); err != nil {
		why = err.Error()
	}
	if why != "" && why != s.said {
		s.log.Error("the new revocation list cannot be used; the old one stays until it ends", "event", "ocsp.list", "backend", s.backend, "cause", why)
	}
	s.said = why
}

func (s *supplied) files() [2]fileState {
	return [2]fileState{stateOf(absolute(s.cfg.SignerCert)), stateOf(absolute(s.cfg.SignerKey))}
}

func (s *supplied) load() error {
	s.seen = s.files()
	cert, err := readCertificate(s.cfg.SignerCert)
	if err != nil {
		return fmt.Errorf("signer_cert: %w", err)
	}
	if !s.now().Before(cert.NotAfter) {
		return fmt.Errorf("signer_cert: %s ended at %s; have it renewed", s.cfg.SignerCert, cert.NotAfter.Format(time.RFC3339))
	}
	key, err := readSignerKey(absolute(s.cfg.SignerKey))
	if err != nil {
		return fmt.Errorf("signer_key: %w", err)
	}
	signer, err := ocsp.NewSigner(s.issuer, cert, key)
	if err == nil {
		s.signer = signer
	}
	return err
}

func readCertificate(path string) (*x509.Certificate, error) {
	path = absolute(path)
	block, err := keyfile.ReadPEM(path)
	if err != nil {
		return nil, err
	}
	if block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds a block of type %q and not a certificate", path, block.Type)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, nil
}

// readSignerKey reads an unencrypted key of any kind that PEM has a form for
// (SK-2: nobody else can).
func readSignerKey(path string) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := keyfile.Private(path, info); err != nil {
		return nil, err
	}
	block, err := keyfile.ReadPEM(path)
	if err != nil {
		return nil, err
	}
	return parseKey(path, block)
}

func parseKey(path string, block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		err = errors.New("it is no unencrypted private key")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read %s: its key does not sign", path)
	}
	return signer, nil
}

// signerNotice is how long before the end of a signer somebody has to know who
// renews it by hand.
const signerNotice = 14 * 24 * time.Hour

// ocspWarnings are about signers that end soon.
func (p *parts) ocspWarnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.cfg.Backends)) {
		o := p.cfg.Backends[name].OCSP
		if !o.On() || o.SignerCert == "" {
			continue
		}
		cert, err := readCertificate(o.SignerCert)
		switch {
		case err == nil && cert.NotAfter.Sub(p.now()) > signerNotice:
		case err != nil:
			all = append(all, fmt.Sprintf("backends.%s.ocsp.signer_cert: %v", name, err))
		default:
			all = append(all, fmt.Sprintf("backends.%s.ocsp.signer_cert: it ends at %s, and no OCSP answer is given after that: have it renewed", name, cert.NotAfter.Format(time.RFC3339)))
		}
	}
	return all
}
