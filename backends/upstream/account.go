package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/backends"
	"acmebridge/internal/keyfile"
)

// keyName is the file of the account key.
const keyName = "account.key"

// login is the account, once it is known. One goroutine at a time finds it out,
// so that a CA which is away meets one visitor and not a storm (SC-13).
type login struct {
	turn    sync.Mutex        // held while finding out
	key     *ecdsa.PrivateKey // guarded by turn
	mu      sync.Mutex
	account *session // guarded by mu
}

// session is what one account at the CA can do.
type session struct {
	*xacme.Client
	key         *ecdsa.PrivateKey
	http        Doer
	newNonce    string
	newOrder    string
	renewalInfo string // empty: the CA says nothing of renewals
}

// session returns the account, which is made at the CA when there is none.
func (b *Backend) session(ctx context.Context) (*session, error) {
	if s := b.login.known(); s != nil {
		return s, nil
	}
	b.login.turn.Lock()
	defer b.login.turn.Unlock()
	if s := b.login.known(); s != nil {
		return s, nil
	}
	return b.lookAtAccount(ctx)
}

// lookAtAccount finds out what the account is now, and what the CA offers it. The
// caller has the turn.
func (b *Backend) lookAtAccount(ctx context.Context) (*session, error) {
	key, err := b.accountKey()
	if err != nil {
		return nil, fmt.Errorf("upstream: account key: %w", err)
	}
	s, err := b.logIn(ctx, key)
	if err != nil && !errors.Is(err, backends.ErrCredentials) {
		return nil, err // which says nothing of the account
	}
	b.login.mu.Lock()
	b.login.account = s
	b.login.mu.Unlock()
	return s, err
}

func (l *login) known() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.account
}

// forget has the next call look at the account again: the CA does not know it
// any more, or does not let it in.
func (l *login) forget(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.account == s {
		l.account = nil
	}
}

func (b *Backend) logIn(ctx context.Context, key *ecdsa.PrivateKey) (*session, error) {
	s := &session{key: key, http: b.web.client, Client: &xacme.Client{
		Key: key, HTTPClient: b.web.client, DirectoryURL: b.cfg.DirectoryURL, UserAgent: b.cfg.UserAgent, RetryBackoff: patienceWithNonces,
	}}
	if err := s.discover(ctx, b.cfg.DirectoryURL); err != nil {
		return nil, fmt.Errorf("upstream: read the directory: %w", err)
	}
	account, err := s.GetReg(ctx, "")
	if errors.Is(err, xacme.ErrNoAccount) {
		account, err = b.register(ctx, s)
	}
	if err != nil {
		return nil, fmt.Errorf("upstream: find the account: %w", classify(err, b.cfg.Now()))
	}
	if account.Status != "" && account.Status != xacme.StatusValid {
		// Another account would be a way around whoever has closed this one.
		return nil, fmt.Errorf("upstream: the account is %s at the CA; move %s away to have another one made: %w", account.Status, keyName, backends.ErrCredentials)
	}
	s.KID = xacme.KeyID(account.URI)
	return s, nil
}

// register makes the account. The key is on the disk already: an account whose
// key got lost could not be revoked with.
func (b *Backend) register(ctx context.Context, s *session) (*xacme.Account, error) {
	wanted := &xacme.Account{Contact: b.cfg.Contacts}
	if e := b.cfg.ExternalAccount; e != nil {
		hmac, err := e.HMAC()
		if err != nil {
			return nil, fmt.Errorf("external account key: %w", err)
		}
		wanted.ExternalAccountBinding = &xacme.ExternalAccountBinding{KID: e.KeyID, Key: hmac}
	}
	account, err := s.Register(ctx, wanted, func(string) bool { return b.cfg.AgreeToTerms })
	if errors.Is(err, xacme.ErrAccountAlreadyExists) { // made by another process since
		return s.GetReg(ctx, "")
	}
	return account, err
}

// OpenKey reads the account key, or makes it, so that a wrong passphrase shows
// before the first order.
func (b *Backend) OpenKey() error {
	b.login.turn.Lock()
	defer b.login.turn.Unlock()
	if _, err := b.accountKey(); err != nil {
		return fmt.Errorf("upstream: account key: %w", err)
	}
	return nil
}

// accountKey reads the key, or makes it.
func (b *Backend) accountKey() (*ecdsa.PrivateKey, error) {
	if b.login.key != nil {
		return b.login.key, nil
	}
	path := filepath.Join(b.cfg.Dir, keyName)
	key, _, err := keyfile.Read(path, b.cfg.Passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = b.newAccountKey(); errors.Is(err, fs.ErrExist) { // another process was faster
			key, _, err = keyfile.Read(path, b.cfg.Passphrase)
		}
	}
	if err != nil {
		return nil, err
	}
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is not a P-256 key", path)
	}
	b.login.key = key
	return key, nil
}

func (b *Backend) newAccountKey() (*ecdsa.PrivateKey, error) {
	if err := os.MkdirAll(b.cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), b.random)
	if err != nil {
		return nil, err
	}
	data, err := keyfile.Encode(key, b.cfg.Passphrase, b.random, b.cfg.KeyIterations)
	if err != nil {
		return nil, err
	}
	return key, keyfile.Create(b.cfg.Dir, keyName, data)
}

// patienceWithNonces lets the library repeat what was refused for its nonce
// alone (RFC 8555, 6.5), often enough for a CA in a bad mood. All other
// repetitions are the engine's, which knows when.
func patienceWithNonces(n int, _ *http.Request, resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusBadRequest || n > maxNonces {
		return 0
	}
	return time.Duration(n) * 10 * time.Millisecond
}

// maxNonces is how often one request may be refused for its nonce.
const maxNonces = 20

// Check implements backends.Checker: it reads or makes the account key, finds or
// makes the account, and holds the configuration against what the CA offers. It
// asks the CA each time, since either may change.
func (b *Backend) Check(ctx context.Context) error {
	b.login.turn.Lock()
	s, err := b.lookAtAccount(ctx)
	b.login.turn.Unlock()
	if err != nil {
		return err
	}
	directory, err := s.Discover(ctx)
	if err != nil {
		return fmt.Errorf("upstream: read the directory: %w", err)
	}
	if _, offered := directory.Profiles[xacme.ProfileName(b.cfg.Profile)]; b.cfg.Profile != "" && !offered {
		return fmt.Errorf("upstream: the CA does not offer the profile %q", b.cfg.Profile)
	}
	for _, solver := range b.cfg.Solvers {
		if c, ok := solver.(backends.Checker); ok {
			if err := c.Check(ctx); err != nil {
				return fmt.Errorf("upstream: solver of %s: %w", solver.Type(), err)
			}
		}
	}
	return nil
}
