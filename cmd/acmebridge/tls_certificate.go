package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

// serverCertificate is what the ACME listener shows of itself. It is replaced
// while the server runs, and handshakes always find one that works.
type serverCertificate struct {
	current atomic.Pointer[tls.Certificate]
	renew   func() (*tls.Certificate, error)
	// stale reports whether renew is worth a try.
	stale func(now time.Time) bool
	// private is the certificate of the root, when it is our own.
	private []byte
	log     *slog.Logger
	now     func() time.Time
	alarmed time.Time // when the expiry was last complained about; used by watch only
}

const (
	// lookEvery is how often watch looks for a new certificate.
	lookEvery = 5 * time.Second
	// expiryAlarm is how long before its end a certificate is complained about (TL-2).
	expiryAlarm = 21 * 24 * time.Hour
)

// newServerCertificate reads the configured pair of files, or has a
// certificate from a root of our own when none are configured.
func newServerCertificate(cfg *config.Config, log *slog.Logger, now func() time.Time) (*serverCertificate, error) {
	s := &serverCertificate{log: log, now: now}
	if cfg.TLS.Cert == "" {
		if err := s.useOwnRoot(cfg); err != nil {
			return nil, err
		}
	} else {
		s.useFiles(cfg.TLS.Cert, cfg.TLS.Key)
	}
	first, err := s.renew()
	if err != nil {
		return nil, err
	}
	s.current.Store(first)
	return s, nil
}

// useFiles takes the pair from files that somebody else renews.
func (s *serverCertificate) useFiles(certFile, keyFile string) {
	seen := [2]fileState{stateOf(certFile), stateOf(keyFile)}
	s.stale = func(time.Time) bool {
		is := [2]fileState{stateOf(certFile), stateOf(keyFile)}
		changed := is != seen
		seen = is
		return changed
	}
	s.renew = func() (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			// Covers a pair that does not match; the library does not quote keys.
			return nil, fmt.Errorf("read the server's certificate %s and its key %s: %w", certFile, keyFile, err)
		}
		if !s.now().Before(c.Leaf.NotAfter) {
			return nil, fmt.Errorf("the server's certificate %s expired at %s; renew it", certFile, c.Leaf.NotAfter.Format(time.RFC3339))
		}
		return &c, nil
	}
}

// fileState is what changes when a file is replaced.
type fileState struct {
	size int64
	at   time.Time
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	return fileState{info.Size(), info.ModTime()}
}

// get is for tls.Config.
func (s *serverCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}

// chain returns the certificates above the leaf, the root first, in DER.
func (s *serverCertificate) chain() [][]byte {
	if s.private != nil {
		return [][]byte{s.private}
	}
	var above [][]byte
	for _, der := range s.current.Load().Certificate[1:] {
		above = append([][]byte{der}, above...)
	}
	return above
}

// watch replaces the certificate when there is a new one, until ctx ends. What
// cannot be used is complained about and not used (TL-2).
func (s *serverCertificate) watch(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.look()
		}
	}
}

func (s *serverCertificate) look() {
	now := s.now()
	if s.stale(now) {
		next, err := s.renew()
		if err != nil {
			s.log.Error("the server's new certificate cannot be used; the old one stays", "event", "tls.reload_failed", "cause", err)
		} else {
			s.current.Store(next)
			s.log.Info("the server has a new certificate", "event", "tls.reloaded", "not_after", next.Leaf.NotAfter)
		}
	}
	if end := s.current.Load().Leaf.NotAfter; s.private == nil && end.Sub(now) < expiryAlarm && now.Sub(s.alarmed) > 24*time.Hour {
		s.alarmed = now
		s.log.Warn("the server's certificate ends soon; renew its files", "event", "tls.expiring", "not_after", end)
	}
}

// config is that of the ACME listener: TLS 1.2 and later with Go's suites, and
// session keys of its own (TL-1).
func (s *serverCertificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get, NextProtos: []string{"h2", "http/1.1"}}
}

// pair puts together what a handshake needs.
func pair(leaf *x509.Certificate, key crypto.Signer, above ...[]byte) *tls.Certificate {
	return &tls.Certificate{Certificate: append([][]byte{leaf.Raw}, above...), PrivateKey: key, Leaf: leaf}
}

// clientConfig is that of a client which trusts our own root and nothing else.
func (s *serverCertificate) clientConfig() *tls.Config {
	roots := x509.NewCertPool()
	if root, err := x509.ParseCertificate(s.private); err == nil {
		roots.AddCert(root)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}
