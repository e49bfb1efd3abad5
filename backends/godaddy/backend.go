package godaddy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// BackendConfig says how a client is used as a backend.
type BackendConfig struct {
	Client *Client // required
	// Shopper is the number of the account, by which its orders are listed.
	// Required.
	Shopper int64
	// Product is what is ordered, DV_SSL unless set; there must be credits for it.
	Product string
	// RootType is the hierarchy, GODADDY_SHA_2 unless set.
	RootType string
	// Years is how long certificates are paid for, 1 unless set.
	Years int
	// MaxNames is how many names the credits of a product for several are for, 5
	// unless set.
	MaxNames int
	// ServerOnlyFrom is the day from which certificates are for servers only. Before
	// it they are for both usages, and nobody can choose. Zero is a hierarchy that
	// gives both for ever.
	ServerOnlyFrom time.Time
	// Renew has an order that says what it replaces placed as the renewal of that.
	Renew bool
	// Reissue has a certificate issued again for a client that comes back with
	// another key. What was there is revoked after ReissueDelay, whole hours.
	Reissue      bool
	ReissueDelay time.Duration
	// MaxValidity is the longest that the CA gives, zero when unknown.
	MaxValidity time.Duration
	// Roots are what chains lead to, in DER, and required; Intermediates complete
	// them where a download does not.
	Roots, Intermediates [][]byte
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Backend has certificates issued for the credits of one account. It keeps
// nothing that another instance would miss.
type Backend struct {
	cfg           BackendConfig
	client        *Client
	product       Product
	intermediates []*x509.Certificate

	mu       sync.Mutex // guards what is remembered of the account
	customer string
}

var (
	_ backends.Backend  = (*Backend)(nil)
	_ backends.Finder   = (*Backend)(nil)
	_ backends.Canceler = (*Backend)(nil)
	_ backends.Revoker  = (*Backend)(nil)
	_ backends.Rooted   = (*Backend)(nil)
	_ backends.Checker  = (*Backend)(nil)
	_ backends.Surveyor = (*Backend)(nil)
)

// NewBackend checks cfg. It does not connect: a CA that is away must not keep
// a server from starting.
func NewBackend(cfg BackendConfig) (*Backend, error) {
	cfg.Product, cfg.RootType = or(cfg.Product, "DV_SSL"), or(cfg.RootType, "GODADDY_SHA_2")
	cfg.Years, cfg.MaxNames = or(cfg.Years, 1), or(cfg.MaxNames, 5)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	product, known := Products()[cfg.Product]
	switch {
	case cfg.Client == nil:
		return nil, errors.New("godaddy: a backend needs a client")
	case !known:
		return nil, fmt.Errorf("godaddy: the product %s is none for TLS; there are %s", cfg.Product, strings.Join(slices.Sorted(maps.Keys(Products())), ", "))
	case cfg.Shopper <= 0:
		return nil, errors.New("godaddy: whose account? Give the number of the shopper")
	case len(cfg.Roots) == 0:
		return nil, errors.New("godaddy: no root: without the roots of the hierarchy no chain can be checked")
	case cfg.Years < 0 || cfg.MaxNames < 0 || cfg.MaxValidity < 0 || cfg.ReissueDelay < 0:
		return nil, errors.New("godaddy: numbers and times cannot be negative")
	}
	for _, der := range cfg.Roots {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("godaddy: a root cannot be read: %w", err)
		}
	}
	b := &Backend{cfg: cfg, client: cfg.Client, product: product}
	for _, der := range cfg.Intermediates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("godaddy: an intermediate certificate cannot be read: %w", err)
		}
		b.intermediates = append(b.intermediates, cert)
	}
	return b, nil
}

// Traits implements backends.Backend.
func (b *Backend) Traits() backends.Traits {
	return backends.Traits{MaxValidity: b.cfg.MaxValidity, TakesOver: b.cfg.Reissue}
}

// Roots implements backends.Rooted.
func (b *Backend) Roots() [][]byte { return slices.Clone(b.cfg.Roots) }

// Intermediates implements backends.Rooted.
func (b *Backend) Intermediates() [][]byte { return slices.Clone(b.cfg.Intermediates) }

// Poll implements backends.Backend: one look at the order. A word that nobody
// knows never ends an order.
func (b *Backend) Poll(ctx context.Context, text backends.Ticket) (backends.Result, error) {
	t, err := readTicket(text)
	if err != nil {
		return backends.Result{}, err
	}
	got, err := b.client.Certificate(ctx, t.ID)
	switch {
	case errors.Is(err, caclient.ErrNotFound) && b.cfg.Now().Sub(t.Since) < settled:
		// It may show late. After that it is an error, for a person to see.
		return backends.Result{After: b.pause(t), Note: "certificate " + t.ID + " does not show at the CA yet"}, nil
	case err != nil:
		return backends.Result{}, err
	}
	status := strings.ToUpper(got.Status)
	switch status {
	case "ISSUED":
		leaf, upper, err := b.client.Download(ctx, t.ID)
		if err != nil {
			return backends.Result{}, err
		}
		return backends.Result{Chain: caclient.Chain(leaf, append(upper, b.intermediates...))}, nil
	case "DENIED":
		return backends.Result{}, backends.Refused(refusedDenied, got.says())
	case "CANCELED":
		return backends.Result{}, backends.Refused(refusedCanceled, got.says())
	case "REVOKED":
		return backends.Result{}, backends.Refused(refusedGone, got.says())
	}
	result := backends.Result{After: b.pause(t), Note: fmt.Sprintf("certificate %s at the CA: %s, %d %%", t.ID, caclient.Printable(status), got.Progress)}
	switch {
	case status != "PENDING_ISSUANCE" && status != "PENDING_REKEY":
		result.Note += ", which needs a look at the account"
	case b.cfg.Now().Sub(t.Since) > settled:
		result.Note += "; is the domain's TXT record or file in place that the CA wants?"
	}
	return result, nil
}

// settled is how old an order is when only people are waited for.
const settled = 10 * time.Minute

func (b *Backend) pause(t caclient.Ticket) time.Duration {
	switch age := b.cfg.Now().Sub(t.Since); {
	case age < time.Minute:
		return 10 * time.Second
	case age < settled:
		return 30 * time.Second
	case age < time.Hour:
		return 2 * time.Minute
	}
	return 10 * time.Minute // 60 requests in a minute are for all orders together
}

// account is the id of the customer whose orders these are.
func (b *Backend) account(ctx context.Context) (string, error) {
	b.mu.Lock()
	known := b.customer
	b.mu.Unlock()
	if known != "" {
		return known, nil
	}
	known, err := b.client.Customer(ctx, b.cfg.Shopper)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.customer = known
	return known, nil
}

// reasons are the words of the API for those of RFC 5280.
var reasons = map[acme.RevocationReason]string{
	acme.AffiliationChanged: "AFFILIATION_CHANGED", acme.CessationOfOperation: "CESSATION_OF_OPERATION", acme.KeyCompromise: "KEY_COMPROMISE",
	acme.PrivilegeWithdrawn: "PRIVILEGE_WITHDRAWN", acme.Superseded: "SUPERSEDED",
}

// Revoke implements backends.Revoker. The CA revokes by its own id, so the serial
// number is looked for first.
func (b *Backend) Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error {
	// What the API has no word for is revoked all the same: it is the revocation
	// that protects somebody, and not its reason.
	word := or(reasons[reason], reasons[acme.CessationOfOperation])
	found, err := b.bySerial(ctx, new(big.Int).SetBytes(c.Serial), maxPages)
	switch {
	case err != nil:
		return fmt.Errorf("revoke: %w", err)
	case strings.EqualFold(found.Status, "REVOKED"), strings.EqualFold(found.Status, "PENDING_REVOCATION"):
		return nil
	}
	err = b.client.Revoke(ctx, found.ID, word)
	if err == nil || caclient.OutcomeOf(err) == caclient.NotSent {
		return err
	}
	if now, look := b.client.Certificate(ctx, found.ID); look == nil && (now.Status == "REVOKED" || now.Status == "PENDING_REVOCATION") {
		return nil
	}
	return err
}

// says is what the CA says of how an order has ended.
func (c Certificate) says() error {
	return fmt.Errorf("godaddy: certificate %s is %s: %s", c.ID, caclient.Printable(c.Status), or(caclient.Printable(c.Denied), "no reason given"))
}

// has compares a serial number, which the CA writes in one of two ways.
func (c Certificate) has(serial *big.Int) bool {
	if n, ok := new(big.Int).SetString(c.SerialHex, 16); ok && n.Cmp(serial) == 0 {
		return true
	}
	n, ok := new(big.Int).SetString(c.Serial, 10)
	return ok && n.Cmp(serial) == 0
}
