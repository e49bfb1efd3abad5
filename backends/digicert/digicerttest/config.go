package digicerttest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"acmebridge/internal/standin"
)

// Config says what the service is like. Zero fields have the values named.
type Config struct {
	// Key is the API key of an administrator, "digicert-key"; ReadOnlyKey is
	// one that may look and not touch, none.
	Key, ReadOnlyKey string
	// Roles are those of the administrator's key, "Administrator".
	Roles []string
	// Clock is the time, that of this machine unless set.
	Clock standin.Clock
	// Processing is how long a validated order or a reissue takes; zero means
	// that the answer to the order has the certificate already.
	Processing time.Duration
	// Answer is what the answer to an order that is issued at once has:
	// "chain" (the default) or "id" of the certificate only.
	Answer string
	// Visibility is how long an order does not show by its alternative id.
	Visibility time.Duration
	// ForgetAlternative makes the service drop alternative ids without a word;
	// Twins makes two orders of each, as after a double purchase.
	ForgetAlternative, Twins bool
	// NoSwap is an account without the call that swaps a CSR.
	NoSwap bool
	// NoApproval: skip_approval has no effect, an administrator has to approve
	// by hand; NoSelfApproval: and the key's user may not.
	NoApproval, NoSelfApproval bool
	// RevokeByRequest makes a revocation a request that has to be approved.
	RevokeByRequest bool
	// Loose leaves unknown fields of an order unread; otherwise they are refused.
	Loose bool
	// ShortRate and LongRate are how many requests are taken in 5 seconds and
	// in 3 minutes: 100 and 1000; negative is no limit.
	ShortRate, LongRate int
	// RSA makes the CA's keys RSA, under which EC certificates are issued, as
	// the real one has it. The default is EC, which is quick.
	RSA bool
	// Products that are switched on: x9_pki.
	Products []string
	// Organizations are 117, validated for X9 for a year, and 118, which is not.
	Organizations []Organization
	// Domains that were validated for organization 117: example.org,
	// example.com and localhost.
	Domains []Domain
	// Required are the numbers of the account's own fields that each order must
	// have.
	Required []int64
	// Journal gets a line of JSON for each event; nil keeps them in memory
	// only.
	Journal io.Writer
	// Seed makes faults that come by chance come the same way again.
	Seed uint64
}

// Organization is one that certificates may be ordered for.
type Organization struct {
	ID         int64
	Name       string
	Inactive   bool
	ValidUntil time.Time // of the validation that X9 wants; zero has none
}

// Domain is one that the account has.
type Domain struct {
	ID           int64
	Name         string
	Organization int64
	ValidUntil   time.Time
}

func (cfg Config) complete() Config {
	cfg.Key = or(cfg.Key, "digicert-key")
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Roles == nil {
		cfg.Roles = []string{"Administrator"}
	}
	cfg.Answer = or(cfg.Answer, "chain")
	cfg.ShortRate, cfg.LongRate = or(cfg.ShortRate, 100), or(cfg.LongRate, 1000)
	if cfg.Products == nil {
		cfg.Products = []string{"x9_pki"}
	}
	const year = 365 * 24 * time.Hour
	until := cfg.Clock().Add(year)
	if cfg.Organizations == nil {
		cfg.Organizations = []Organization{{ID: 117, Name: "Example VASP", ValidUntil: until}, {ID: 118, Name: "Unvalidated Ltd"}}
	}
	if cfg.Domains == nil {
		for i, name := range []string{"example.org", "example.com", "localhost"} {
			cfg.Domains = append(cfg.Domains, Domain{ID: int64(501 + i), Name: name, Organization: 117, ValidUntil: until})
		}
	}
	return cfg
}

// Check says what a service cannot be like. New asks it as well.
func (cfg Config) Check() error {
	cfg = cfg.complete()
	switch {
	case !slices.Contains([]string{"chain", "id"}, cfg.Answer):
		return fmt.Errorf("digicerttest: there is no answer %q", cfg.Answer)
	case cfg.Processing < 0 || cfg.Visibility < 0:
		return errors.New("digicerttest: no time can be negative")
	case cfg.ReadOnlyKey == cfg.Key:
		return errors.New("digicerttest: the two keys must differ")
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

// Stopped is a clock that only moves when it is advanced.
func Stopped(at time.Time) standin.Clock { return standin.Stopped(at) }

// Kind is what becomes of an order.
type Kind string

// The outcomes.
const (
	Ready    Kind = "ready"
	Stuck    Kind = "stuck"    // pending for ever
	Rejected Kind = "rejected" // by a person
	Canceled Kind = "canceled" // in the portal
	Revoked  Kind = "revoked"  // issued, and revoked before anybody looked
	Approved Kind = "approved" // that word, and no certificate
	Pickup   Kind = "waiting_pickup"
	Strange  Kind = "strange" // a status that nobody has heard of
	Upper    Kind = "upper"   // ready, and its words in capitals

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
	return []Kind{Ready, Stuck, Rejected, Canceled, Revoked, Approved, Pickup, Strange, Upper, DropName, AddName, WrongKey, NoClient, NoServer, Outlived}
}

// Outcome is what becomes of an order, and why. Reissue is what becomes of its
// reissues, Ready unless set.
type Outcome struct {
	Kind    Kind   `json:"kind"`
	Reason  string `json:"reason,omitempty"`
	Reissue Kind   `json:"reissue,omitempty"`
}

// Fault is something that goes wrong with a request, of one of FaultKinds.
type Fault = standin.Fault

// faultKinds are those that other services do not have.
var faultKinds = []standin.FaultKind{
	{Name: "string-numbers", What: "do it and write numbers as strings"},
	{Name: "array-organization", What: "do it and write organizations as empty lists"},
	{Name: "pem-truncated", What: "leave out the end of the download"},
	{Name: "pem-leaf-only", What: "send the certificate without its chain"},
	{Name: "pem-no-root", What: "send the chain without its root"},
	{Name: "pem-shuffled", What: "send root first and certificate last"},
	{Name: "pem-extra", What: "put a CA certificate of somebody else into the chain"},
	{Name: "sibling", What: "send another certificate of the same order"},
}

// FaultKinds lists the kinds of faults, and what they do.
func FaultKinds() []string { return standin.FaultKinds(faultKinds) }
