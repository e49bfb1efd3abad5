package digicert

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
)

// X9 is the product that TRUST asks for: X9 PKI for TLS.
const X9 = "x9_pki"

// BackendConfig says how a client is used as a backend.
type BackendConfig struct {
	Client *Client // required
	// Product is what is ordered, X9 unless set.
	Product string
	// Organization is whom certificates are for, by its number. Required.
	Organization int64
	// Validation is the type of the organization's validation that the product
	// wants, or a part of its name; "x9" for X9 unless set, and any otherwise.
	Validation string
	// Domains are those that have to be validated when Check looks; names of
	// orders are looked at one by one whatever is here.
	Domains []string
	// AnyDomain has orders placed for names in domains that the CA has not
	// validated. They then wait there, and are paid for.
	AnyDomain bool
	// Days is how long certificates are asked to be valid, 365 unless set.
	Days int
	// Renewal is how long before the end of an earlier order for the same names
	// a new one is linked to it; zero links none.
	Renewal time.Duration
	// ServerOnlyFrom is the day from which products other than X9 are for servers
	// only; zero has them for servers and clients for ever.
	ServerOnlyFrom time.Time
	// KeyExchange asks for keyEncipherment (RSA) or keyAgreement (EC), too.
	KeyExchange bool
	// WaitForApproval leaves orders to the administrators of the account.
	WaitForApproval bool
	// Container, Payment and CustomFields go into each order.
	Container    int64
	Payment      string
	CustomFields []Field
	// Roots are what chains lead to, in DER, and required; Intermediates
	// complete them where a download has the certificate alone.
	Roots, Intermediates [][]byte
	// MaxValidity is the longest that the product gives, zero when unknown.
	MaxValidity time.Duration
	// Now is the time, time.Now unless set.
	Now func() time.Time
}

// Backend has certificates issued by one product for one organization. It
// keeps nothing that another instance would miss.
type Backend struct {
	cfg           BackendConfig
	client        *Client
	intermediates []*x509.Certificate

	mu    sync.Mutex // guards what is remembered of the account
	ready standing
	watch watch
}

var (
	_ backends.Backend  = (*Backend)(nil)
	_ backends.Finder   = (*Backend)(nil)
	_ backends.Reissuer = (*Backend)(nil)
	_ backends.Canceler = (*Backend)(nil)
	_ backends.Revoker  = (*Backend)(nil)
	_ backends.Rooted   = (*Backend)(nil)
	_ backends.Checker  = (*Backend)(nil)
)

// NewBackend checks cfg. It does not connect: a CA that is away must not keep
// a server from starting.
func NewBackend(cfg BackendConfig) (*Backend, error) {
	cfg.Product, cfg.Days = or(cfg.Product, X9), or(cfg.Days, 365)
	if cfg.Product == X9 {
		cfg.Validation = or(cfg.Validation, "x9")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Client == nil:
		return nil, errors.New("digicert: a backend needs a client")
	case cfg.Organization <= 0:
		return nil, errors.New("digicert: which organization? Give its number")
	case len(cfg.Roots) == 0:
		return nil, errors.New("digicert: no root: X9 is in no system's store, and without its root no chain can be checked")
	case cfg.Days < 0 || cfg.Renewal < 0 || cfg.MaxValidity < 0 || cfg.Container < 0:
		return nil, errors.New("digicert: numbers and times cannot be negative")
	}
	for _, der := range cfg.Roots {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("digicert: a root cannot be read: %w", err)
		}
	}
	b := &Backend{cfg: cfg, client: cfg.Client, watch: watch{seen: map[int64]*seen{}}}
	for _, der := range cfg.Intermediates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("digicert: an intermediate certificate cannot be read: %w", err)
		}
		b.intermediates = append(b.intermediates, cert)
	}
	return b, nil
}

// Traits implements backends.Backend.
func (b *Backend) Traits() backends.Traits {
	return backends.Traits{MaxValidity: b.cfg.MaxValidity, Private: b.cfg.Product == X9, TakesOver: true}
}

// Roots implements backends.Rooted.
func (b *Backend) Roots() [][]byte { return slices.Clone(b.cfg.Roots) }

// Intermediates implements backends.Rooted.
func (b *Backend) Intermediates() [][]byte { return slices.Clone(b.cfg.Intermediates) }

// reasons are the words of the API for those of RFC 5280 that it has.
var reasons = map[acme.RevocationReason]string{
	acme.Unspecified: "unspecified", acme.KeyCompromise: "key_compromise", acme.AffiliationChanged: "affiliation_changed",
	acme.Superseded: "superseded", acme.CessationOfOperation: "cessation_of_operation", acme.PrivilegeWithdrawn: "privilege_withdrawn",
}

// Revoke implements backends.Revoker: the one certificate, and never its whole
// order, which may have others that are in use.
func (b *Backend) Revoke(ctx context.Context, c acme.Certificate, reason acme.RevocationReason) error {
	word := reasons[reason]
	if word == "" {
		// What the API has no word for is revoked all the same: it is the
		// revocation that protects somebody, and not its reason.
		word = reasons[acme.Unspecified]
	}
	request, err := b.client.Revoke(ctx, serialOf(c), word)
	if hasCode(err, "order_already_revoked") || hasCode(err, "order_is_revoked") || hasCode(err, "certificate_already_revoked") {
		return nil
	}
	if err != nil || request == 0 {
		return err
	}
	if err := b.client.Approve(ctx, request); err != nil {
		return fmt.Errorf("digicert: the revocation waits for an administrator of the account, as request %d: %w", request, err)
	}
	return nil
}

// serialOf writes a serial number as the portal shows it: whole octets, without
// the one that only keeps the number positive.
func serialOf(c acme.Certificate) string {
	return fmt.Sprintf("%X", new(big.Int).SetBytes(c.Serial).Bytes())
}
