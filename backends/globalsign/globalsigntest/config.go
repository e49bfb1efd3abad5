package globalsigntest

import (
	"errors"
	"io"
	"time"

	"acmebridge/internal/standin"
)

// Config says what the service is like. Zero fields have the values named.
type Config struct {
	// Key and Secret are what to log in with, "hvca-key" and "hvca-secret".
	Key, Secret string
	// Clock is the time, that of this machine unless set.
	Clock standin.Clock
	// Processing is how long a certificate takes; Visibility is how long it then
	// does not show in the statistics.
	Processing, Visibility time.Duration
	// ServerOnly is an account whose policy has no clientAuth; StaticUsages puts
	// the usages of the policy into each certificate, and takes none.
	ServerOnly, StaticUsages bool
	// Curves are EC keys only, of 256 and 384 bits; RSA of 2048 to 4096 otherwise.
	Curves bool
	// BareKeys takes keys without a CSR, and Possession wants them proved.
	BareKeys, Possession bool
	// Organization is put into each subject; empty puts none.
	Organization string
	// NoCommonName takes no common name.
	NoCommonName bool
	// MaxValidity is the longest, 398 days.
	MaxValidity time.Duration
	// Skew is how far in the past a certificate may begin, a day.
	Skew time.Duration
	// Quota is how many certificates may be issued, 1,000,000.
	Quota int64
	// Domains that were verified: example.org, example.com and localhost.
	Domains []string
	// TokenAge is how long a token is good, 10 minutes.
	TokenAge time.Duration
	// NoCertificate does without client certificates, and Clear without TLS.
	NoCertificate, Clear bool
	// Journal gets a line of JSON for each event.
	Journal io.Writer
	// Seed makes faults that come by chance come the same way again.
	Seed uint64
}

func (cfg Config) complete() Config {
	cfg.Key, cfg.Secret = or(cfg.Key, "hvca-key"), or(cfg.Secret, "hvca-secret")
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	cfg.MaxValidity, cfg.TokenAge = or(cfg.MaxValidity, 398*24*time.Hour), or(cfg.TokenAge, 10*time.Minute)
	cfg.Skew = or(cfg.Skew, 24*time.Hour)
	cfg.Quota = or(cfg.Quota, 1_000_000)
	if cfg.Domains == nil {
		cfg.Domains = []string{"example.org", "example.com", "localhost"}
	}
	return cfg
}

// Check says what a service cannot be like. New asks it as well.
func (cfg Config) Check() error {
	if cfg.Processing < 0 || cfg.Visibility < 0 || cfg.MaxValidity < 0 || cfg.TokenAge < 0 {
		return errors.New("globalsigntest: no time can be negative")
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Kind is what becomes of an order.
type Kind string

// The outcomes.
const (
	Ready   Kind = "ready"
	Stuck   Kind = "stuck"   // 202 for ever
	Refused Kind = "refused" // 422, and nothing is bought
	Revoked Kind = "revoked" // issued, and revoked before anybody looked

	// These are ready, and the certificate is not what was asked for.
	DropName Kind = "drop-name"
	AddName  Kind = "add-name"
	WrongKey Kind = "wrong-key"
	NoClient Kind = "no-client"
	NoServer Kind = "no-server"
	Outlived Kind = "outlived" // its validity is over
	Shorter  Kind = "shorter"  // it ends a day early
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Ready, Stuck, Refused, Revoked, DropName, AddName, WrongKey, NoClient, NoServer, Outlived, Shorter}
}

// Outcome is what becomes of an order, and why.
type Outcome struct {
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason,omitempty"`
}
