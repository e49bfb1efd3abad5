package godaddytest

import (
	"errors"
	"io"
	"time"

	"acmebridge/internal/standin"
)

// Config says what the service is like. Zero fields have the values named.
type Config struct {
	// Key and Secret are what to log in with, "godaddy-key" and "godaddy-secret".
	Key, Secret string
	// Shopper is the number of the account, 1234567.
	Shopper int64
	// Clock is the time, that of this machine unless set.
	Clock standin.Clock
	// Processing is how long an order takes, and Visibility how long it does not
	// show in the list.
	Processing, Visibility time.Duration
	// Credits are how many certificates were paid for, 1,000,000.
	Credits int64
	// ServerOnlyFrom is from when certificates are for servers only; zero never.
	ServerOnlyFrom time.Time
	// RenewWithin is how long before its end a certificate can be renewed; zero is
	// always.
	RenewWithin time.Duration
	// ShowCSR has orders show the CSR that they are for.
	ShowCSR bool
	// HideProduct has the list leave out of what product an order is, and
	// HideProducts an order that is looked at by itself too.
	HideProduct, HideProducts bool
	// PerMinute is how many requests are taken in a minute, 60; negative is no
	// limit.
	PerMinute int
	// Journal gets a line of JSON for each event.
	Journal io.Writer
	// Seed makes faults that come by chance come the same way again.
	Seed uint64
}

func (cfg Config) complete() Config {
	cfg.Key, cfg.Secret = or(cfg.Key, "godaddy-key"), or(cfg.Secret, "godaddy-secret")
	cfg.Shopper, cfg.Credits, cfg.PerMinute = or(cfg.Shopper, 1234567), or(cfg.Credits, 1_000_000), or(cfg.PerMinute, 60)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return cfg
}

// Check says what a service cannot be like. New asks it as well.
func (cfg Config) Check() error {
	if cfg.Processing < 0 || cfg.Visibility < 0 {
		return errors.New("godaddytest: no time can be negative")
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
	Ready    Kind = "ready"
	Stuck    Kind = "stuck"    // pending for ever
	Denied   Kind = "denied"   // by the CA
	Canceled Kind = "canceled" // in the account
	Revoked  Kind = "revoked"  // issued, and revoked before anybody looked
	Strange  Kind = "strange"  // a status that nobody has heard of
	Refused  Kind = "refused"  // 422, and nothing is bought

	// These are ready, and the certificate is not what was asked for.
	DropName Kind = "drop-name"
	AddName  Kind = "add-name"
	WrongKey Kind = "wrong-key"
	NoClient Kind = "no-client"
	NoServer Kind = "no-server"
	Outlived Kind = "outlived" // its validity is over
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Ready, Stuck, Denied, Canceled, Revoked, Strange, Refused, DropName, AddName, WrongKey, NoClient, NoServer, Outlived}
}

// Outcome is what becomes of an order, and why.
type Outcome struct {
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason,omitempty"`
}
