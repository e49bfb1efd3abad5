package digicerttest

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"acmebridge/internal/standin"
)

// CA is the service. It may be used by several goroutines.
type CA struct {
	*standin.Server
	*standin.Plans[Outcome]

	cfg  Config
	keys *hierarchy

	// Guarded by Server.Lock:
	held          bool
	last          int64 // of any number that was given
	products      []string
	organizations []Organization
	domains       []Domain
	orders        map[int64]*order
	revocations   map[int64]*revocation
	taken         []time.Time // requests of the last three minutes
}

// New makes the service.
func New(cfg Config) (*CA, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	ca := &CA{
		cfg: cfg, last: 900_000, products: slices.Clone(cfg.Products), organizations: slices.Clone(cfg.Organizations), domains: slices.Clone(cfg.Domains),
		orders: map[int64]*order{}, revocations: map[int64]*revocation{},
	}
	var err error
	if ca.keys, err = newHierarchy(cfg.RSA, cfg.Clock().UTC()); err != nil {
		return nil, fmt.Errorf("digicerttest: %w", err)
	}
	ca.Server = standin.New(standin.Config{
		Name: "digicerttest", Base: base, Endpoints: ca.endpoints(), Settle: ca.settle, Admit: ca.admit, Fail: fail, Faults: faultKinds, Bend: bend,
		Clock: cfg.Clock, Journal: cfg.Journal, Seed: cfg.Seed,
	})
	ca.Plans = standin.NewPlans(ca.Server, Outcome{Kind: Ready})
	return ca, nil
}

// Start serves on a port of its own on this machine, in the clear, and returns the
// root of the API. stop ends it.
func (ca *CA) Start() (url string, stop func(), err error) { return ca.Server.Start(nil) }

func (ca *CA) number() int64 {
	ca.last++
	return ca.last
}

// Hold keeps every order from its outcome; Release lets them go on.
func (ca *CA) Hold() {
	ca.Lock()
	defer ca.Unlock()
	ca.held = true
}

// Release ends Hold.
func (ca *CA) Release() {
	ca.Lock()
	defer ca.Unlock()
	ca.held = false
	ca.settle()
}

// Check says what there is not.
func (o Outcome) Check() error {
	for _, k := range []Kind{o.Kind, or(o.Reissue, Ready)} {
		if !slices.Contains(Kinds(), k) {
			return fmt.Errorf("digicerttest: there is no outcome %q", k)
		}
	}
	return nil
}

// Approve is an administrator's yes to whatever of an order waits for one;
// Reject is the no.
func (ca *CA) Approve(order string) error { return ca.decide(order, "approved") }

// Reject ends an order that waits.
func (ca *CA) Reject(order string) error { return ca.decide(order, "rejected") }

func (ca *CA) decide(text, status string) error {
	id, _ := strconv.ParseInt(text, 10, 64) // what is no number is no order
	ca.Lock()
	defer ca.Unlock()
	ca.settle()
	o := ca.orders[id]
	if o == nil || !o.open() {
		return fmt.Errorf("digicerttest: order %s does not wait", text)
	}
	if status == "rejected" {
		ca.end(o, Outcome{Kind: Rejected, Reason: "by an administrator"})
		return nil
	}
	ca.approve(o)
	return nil
}

// SetProducts changes what the account may order.
func (ca *CA) SetProducts(names ...string) {
	ca.Lock()
	defer ca.Unlock()
	ca.products = names
}

// SetOrganization changes until when an organization is validated.
func (ca *CA) SetOrganization(id int64, until time.Time) {
	ca.Lock()
	defer ca.Unlock()
	for i := range ca.organizations {
		if ca.organizations[i].ID == id {
			ca.organizations[i].ValidUntil = until
		}
	}
	ca.settle()
}

// SetDomain adds a domain of organization 117, or changes until when one is
// validated.
func (ca *CA) SetDomain(name string, until time.Time) {
	ca.Lock()
	defer ca.Unlock()
	i := slices.IndexFunc(ca.domains, func(d Domain) bool { return d.Name == name })
	if i < 0 {
		ca.domains = append(ca.domains, Domain{ID: ca.number(), Name: name, Organization: 117})
		i = len(ca.domains) - 1
	}
	ca.domains[i].ValidUntil = until
	ca.settle()
}

// Roots are the CA's certificates above the leaf, in DER: the issuer, then the
// root.
func (ca *CA) Roots() (issuing, root []byte) { return ca.keys.Issuing.Raw, ca.keys.Root.Raw }
