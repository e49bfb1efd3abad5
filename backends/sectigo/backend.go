package sectigo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"acmebridge/backends"
)

// BackendConfig says how a client is used as a backend.
type BackendConfig struct {
	Client *Client // required
	// Server is a mark of this server in the names of its batches, a few letters
	// and digits: what bears another one belongs to another server on the account.
	// Empty: there is no other.
	Server string
	// Profile names the profile, with or without the number of its template at
	// the end; ProfileID is its number. One of them is required.
	Profile   string
	ProfileID int64
	// Params are sent along with each CSR. A value that is one of Placeholders
	// stands for what the registry says of the member.
	Params map[string]string
	// Roots are what chains lead to, in DER, and required; Intermediates
	// complete them where an archive has the certificate alone.
	Roots, Intermediates [][]byte
	// Floor is how many certificates are kept for renewals: others are bought
	// as long as more are left (SC-16). Low is when to begin to complain.
	Floor, Low int64
	// Batch is how many requests may go in one upload, one or none for each alone
	// and MaxBatch at most; BatchWait is for how long one waits for others.
	Batch     int
	BatchWait time.Duration
	// MaxValidity is the longest that the profile gives, zero when unknown.
	MaxValidity time.Duration
	// Archive bounds what is read of archives.
	Archive ArchiveLimits
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Backend has certificates issued by one profile of the service. It keeps
// nothing that another instance would miss.
type Backend struct {
	cfg           BackendConfig
	client        *Client
	intermediates []*x509.Certificate
	crowd         crowd
	shared        shared

	purse purse

	mu      sync.Mutex // guards what is remembered of the account
	account account
}

// account is what was last seen of the account, to save calls.
type account struct {
	authority Authority
	seen      time.Time // when the authority was looked up, zero never
}

const authorityAge = time.Hour

var (
	_ backends.Backend  = (*Backend)(nil)
	_ backends.Finder   = (*Backend)(nil)
	_ backends.Batcher  = (*Backend)(nil)
	_ backends.Revoker  = (*Backend)(nil)
	_ backends.Rooted   = (*Backend)(nil)
	_ backends.Checker  = (*Backend)(nil)
	_ backends.Surveyor = (*Backend)(nil)
)

// NewBackend checks cfg. It does not connect: a CA that is away must not keep
// a server from starting.
func NewBackend(cfg BackendConfig) (*Backend, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("sectigo: a backend needs a client")
	case cfg.Profile == "" && cfg.ProfileID == 0:
		return nil, errors.New("sectigo: which profile? Give its name or its number")
	case len(cfg.Roots) == 0:
		return nil, errors.New("sectigo: no root: without one no chain of the CA can be checked")
	case cfg.Floor < 0 || cfg.Low < 0 || cfg.MaxValidity < 0 || cfg.ProfileID < 0:
		return nil, errors.New("sectigo: numbers and times cannot be negative")
	case cfg.Batch < 0 || cfg.Batch > MaxBatch || cfg.BatchWait < 0 || cfg.BatchWait > MaxBatchWait:
		return nil, fmt.Errorf("sectigo: at most %d requests can go in one upload, and wait for each other for at most %s", MaxBatch, MaxBatchWait)
	}
	if err := checkServer(cfg.Server); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	for _, der := range cfg.Roots {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("sectigo: a root cannot be read: %w", err)
		}
	}
	b := &Backend{cfg: cfg, client: cfg.Client}
	for _, der := range cfg.Intermediates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("sectigo: an intermediate certificate cannot be read: %w", err)
		}
		b.intermediates = append(b.intermediates, cert)
	}
	return b, nil
}

// Traits implements backends.Backend. The end of a certificate is the
// profile's business. A call transfers one archive at most, and asks a little more.
func (b *Backend) Traits() backends.Traits {
	of := b.client.cfg
	return backends.Traits{MaxValidity: b.cfg.MaxValidity, Private: true, CallTime: of.TransferTimeout + of.CallTimeout}
}

// Roots implements backends.Rooted.
func (b *Backend) Roots() [][]byte { return slices.Clone(b.cfg.Roots) }

// Intermediates implements backends.Rooted.
func (b *Backend) Intermediates() [][]byte { return slices.Clone(b.cfg.Intermediates) }

// authority is the one of the profile, looked up now and then: its number is
// what balances are asked for by, and it can be switched off.
func (b *Backend) authority(ctx context.Context) (Authority, error) {
	b.mu.Lock()
	known, fresh := b.account.authority, b.cfg.Now().Sub(b.account.seen) < authorityAge
	b.mu.Unlock()
	if fresh {
		return known, nil
	}
	all, err := b.client.Authorities(ctx)
	if err != nil {
		return Authority{}, err
	}
	found, err := FindAuthority(all, b.cfg.ProfileID, b.cfg.Profile)
	if err != nil {
		return Authority{}, fmt.Errorf("%w; it has %s", err, describe(all))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account.authority, b.account.seen = found, b.cfg.Now()
	return found, nil
}

func describe(all []Authority) string {
	if len(all) == 0 {
		return "none at all"
	}
	var parts []string
	for _, a := range all {
		parts = append(parts, fmt.Sprintf("profile %d %q", a.ProfileID, printable(a.ProfileName)))
	}
	return strings.Join(parts, ", ")
}

// Check implements backends.Checker: it surveys, and complains of whatever it
// finds.
func (b *Backend) Check(ctx context.Context) error {
	s, err := b.Survey(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, f := range s.Findings {
		all = append(all, fmt.Errorf("sectigo: %s", f.Text))
	}
	return errors.Join(all...)
}

// authorityOfOld is the authority of what was bought before. Other than for a
// purchase it may be switched off: what it has issued must not outlive that, and
// what it was asked for must not get lost by it.
func (b *Backend) authorityOfOld(ctx context.Context) (Authority, error) {
	a, err := b.authority(ctx)
	if !errors.Is(err, ErrNoAuthority) {
		return a, err
	}
	all, err := b.client.Authorities(ctx)
	if err != nil {
		return Authority{}, err
	}
	for i := range all {
		all[i].Enabled = true
	}
	return FindAuthority(all, b.cfg.ProfileID, b.cfg.Profile)
}
