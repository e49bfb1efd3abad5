package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress"
	"acmebridge/internal/secret"
)

// openSectigo does not connect: a CA that is away must not keep the server
// from starting. What it can see of the configuration it does look at.
func (p *parts) openSectigo(name string) (backends.Backend, error) {
	s := p.cfg.Backends[name].Sectigo
	roots, intermediates, err := readRoots(s.RootsFile)
	if err != nil {
		return nil, err
	}
	client, err := p.sectigoClient(name, s)
	if err != nil {
		return nil, err
	}
	params, err := s.Parameters()
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return sectigo.NewBackend(sectigo.BackendConfig{
		Client: client, Server: mark(p.cfg.BaseURL), Profile: s.ProfileName, ProfileID: int64(s.ProfileID), Roots: roots, Intermediates: intermediates,
		Params: params, Floor: int64(s.BalanceFloor), Low: int64(s.BalanceLow), MaxValidity: s.MaxValidity, Now: p.now,
		Batch: s.Batch.Size, BatchWait: s.Batch.Wait,
	})
}

// sectigoAccount is what a client is for.
type sectigoAccount struct{ url, username, password, caFile, allow string }

// sectigoClient is one for all backends of an account: the CA counts requests and
// failed logins by account, and so do the pace and the pauses of a client (SC-13,
// SC-14, SC-15).
func (p *parts) sectigoClient(name string, s config.Sectigo) (*sectigo.Client, error) {
	account := sectigoAccount{s.URL, s.Username, s.PasswordFile, s.CAFile, fmt.Sprint(s.Allow)}
	if !s.PasswordValue.Empty() {
		account.password = "that of " + name
	}
	if client := p.sectigo[account]; client != nil {
		return client, nil
	}
	var password secret.Secret
	if !p.use.offline { // a command that looks at orders logs in nowhere, and need not be able to
		var err error
		if password, err = s.Password(); err != nil {
			return nil, err
		}
	}
	cfg := sectigo.Config{URL: s.URL, Username: s.Username, Password: password, Reload: s.Password, UserAgent: "acmebridge/" + version()}
	if s.CAFile != "" {
		content, err := os.ReadFile(absolute(s.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("ca_file: there is no certificate in %s", s.CAFile)
		}
	}
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: s.Opened(), Deny: p.cfg.Validation.Deny, Own: p.ownAddresses})
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver()
	if err != nil {
		return nil, err
	}
	// One CA is one target: the limit of connections that keeps validators
	// from flooding somebody would keep its batches waiting for each other.
	const connections = 32
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver, Total: connections, PerTarget: connections})
	if err != nil {
		return nil, err
	}
	cfg.Dial = dialer.DialContext
	cfg.Pace = 500 * time.Millisecond
	client, err := sectigo.New(cfg)
	if err != nil {
		return nil, err
	}
	p.sectigo[account] = client
	return client, nil
}

// mark tells apart servers that share an account at a CA. It is made of where
// clients find the server, so that a server which was set up again after it lost
// its data takes what it left behind for its own.
func mark(baseURL string) string {
	sum := sha256.Sum256([]byte(baseURL))
	return hex.EncodeToString(sum[:4])
}

// readRoots reads the certificates of a CA: those that signed themselves are
// roots, the others are intermediate.
func readRoots(path string) (roots, intermediates [][]byte, err error) {
	path = absolute(path)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("roots_file: %w", err)
	}
	const most = 20
	for range most {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, nil, fmt.Errorf("roots_file: %s has a block %s; only certificates belong there", path, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("roots_file: %s: %w", path, err)
		}
		if bytes.Equal(cert.RawSubject, cert.RawIssuer) {
			roots = append(roots, cert.Raw)
		} else {
			intermediates = append(intermediates, cert.Raw)
		}
	}
	if len(roots) == 0 {
		return nil, nil, errors.New("roots_file: there is no root certificate in " + path)
	}
	return roots, intermediates, nil
}
