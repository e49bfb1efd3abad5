package globalsign

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// BackendConfig says how a client is used as a backend.
type BackendConfig struct {
	Client *Client // required
	// Usages are what each of the profiles in front of it wants, for Check to hold
	// against the policy of the account.
	Usages [][]acme.Usage
	// ServerOnlyFrom is the day from which the CA's certificates are for servers
	// only, whatever the policy of the account says. Zero: the policy decides.
	ServerOnlyFrom time.Time
	// Domains are those whose proof is looked at by Check; the names of orders are
	// looked at whatever is here.
	Domains []string
	// AnyDomain is an account whose names need not lie in domains that it has
	// proved to the CA, as with private roots.
	AnyDomain bool
	// Private: the roots are in no public store.
	Private bool
	// Floor is how many certificates of the quota are kept for renewals, where the
	// CA counts (SC-16). Low is when to begin to complain.
	Floor, Low int64
	// MaxValidity is the longest that is asked for; zero leaves it to the policy.
	MaxValidity time.Duration
	// Roots are what chains lead to, in DER, and required; Intermediates complete
	// them where the CA does not.
	Roots, Intermediates [][]byte
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Backend has certificates issued under the policy of one account. It keeps
// nothing that another instance would miss.
type Backend struct {
	cfg           BackendConfig
	client        *Client
	intermediates []*x509.Certificate

	mu    sync.Mutex // guards what is remembered of the account
	ready standing
}

var (
	_ backends.Backend  = (*Backend)(nil)
	_ backends.Finder   = (*Backend)(nil)
	_ backends.Revoker  = (*Backend)(nil)
	_ backends.Rooted   = (*Backend)(nil)
	_ backends.Checker  = (*Backend)(nil)
	_ backends.Surveyor = (*Backend)(nil)
)

// NewBackend checks cfg. It does not connect: a CA that is away must not keep
// a server from starting.
func NewBackend(cfg BackendConfig) (*Backend, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Client == nil:
		return nil, errors.New("globalsign: a backend needs a client")
	case len(cfg.Roots) == 0:
		return nil, errors.New("globalsign: no root: without the roots of the account's hierarchy no chain can be checked")
	case cfg.MaxValidity < 0 || cfg.Floor < 0 || cfg.Low < 0:
		return nil, errors.New("globalsign: no time and no number can be negative")
	}
	for _, der := range cfg.Roots {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("globalsign: a root cannot be read: %w", err)
		}
	}
	b := &Backend{cfg: cfg, client: cfg.Client}
	for _, der := range cfg.Intermediates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("globalsign: an intermediate certificate cannot be read: %w", err)
		}
		b.intermediates = append(b.intermediates, cert)
	}
	return b, nil
}

// Traits implements backends.Backend. The end of a certificate is said to the CA
// to the second.
func (b *Backend) Traits() backends.Traits {
	return backends.Traits{HonoursNotAfter: true, MaxValidity: b.cfg.MaxValidity, Private: b.cfg.Private}
}

// Roots implements backends.Rooted.
func (b *Backend) Roots() [][]byte { return slices.Clone(b.cfg.Roots) }

// Intermediates implements backends.Rooted.
func (b *Backend) Intermediates() [][]byte { return slices.Clone(b.cfg.Intermediates) }

// Poll implements backends.Backend: one look at the certificate.
func (b *Backend) Poll(ctx context.Context, text backends.Ticket) (backends.Result, error) {
	t, err := readTicket(text)
	if err != nil {
		return backends.Result{}, err
	}
	got, err := b.client.Certificate(ctx, t.ID)
	switch {
	case errors.Is(err, ErrNotYet):
		return backends.Result{After: b.pause(t), Note: "certificate " + t.ID + " is being made"}, nil
	case errors.Is(err, caclient.ErrNotFound) && b.cfg.Now().Sub(t.Since) < settled:
		// It may show late. After that it is an error, for a person to see.
		return backends.Result{After: b.pause(t), Note: "certificate " + t.ID + " does not show at the CA yet"}, nil
	case err != nil:
		return backends.Result{}, err
	case got.Status == "REVOKED":
		return backends.Result{}, backends.Refused(refusedGone, fmt.Errorf("globalsign: certificate %s is revoked at the CA", t.ID))
	}
	chain := caclient.Chain(got.Leaf, b.intermediates)
	if len(chain) == 1 || !b.rooted(chain) {
		more, err := b.client.TrustChain(ctx)
		if err != nil {
			return backends.Result{}, err
		}
		chain = caclient.Chain(got.Leaf, append(more, b.intermediates...))
	}
	return backends.Result{Chain: chain}, nil
}

// rooted says whether a root certifies the end of a chain.
func (b *Backend) rooted(chain [][]byte) bool {
	last, err := x509.ParseCertificate(chain[len(chain)-1])
	return err == nil && slices.ContainsFunc(b.cfg.Roots, func(der []byte) bool {
		root, err := x509.ParseCertificate(der)
		return err == nil && last.CheckSignatureFrom(root) == nil
	})
}

// settled is how old an order is when its certificate should be there.
const settled = 10 * time.Minute

func (b *Backend) pause(t caclient.Ticket) time.Duration {
	switch age := b.cfg.Now().Sub(t.Since); {
	case age < 10*time.Second:
		return 2 * time.Second
	case age < time.Minute:
		return 5 * time.Second
	case age < settled:
		return 20 * time.Second
	}
	return 5 * time.Minute
}

// reasons are the words of the API for those of RFC 5280 that it has.
var reasons = map[acme.RevocationReason]string{
	acme.Unspecified: "unspecified", acme.KeyCompromise: "keyCompromise", acme.AffiliationChanged: "affiliationChanged",
	acme.Superseded: "superseded", acme.CessationOfOperation: "cessationOfOperation", acme.PrivilegeWithdrawn: "privilegeWithdrawn",
}

// Revoke implements backends.Revoker.
func (b *Backend) Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error {
	word := reasons[reason]
	if word == "" {
		// What the API has no word for is revoked all the same: it is the
		// revocation that protects somebody, and not its reason.
		word = reasons[acme.Unspecified]
	}
	serial := fmt.Sprintf("%X", new(big.Int).SetBytes(c.Serial).Bytes())
	err := b.client.Revoke(ctx, serial, word, b.cfg.Now())
	if err == nil || OutcomeOf(err) == caclient.NotSent {
		return err
	}
	// How it is called that there was nothing left to revoke is not documented.
	if got, look := b.client.Certificate(ctx, serial); look == nil && got.Status == "REVOKED" {
		return nil
	}
	return err
}
