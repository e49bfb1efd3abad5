package digicerttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"
	"time"
)

// CA is the service. It may be used by several goroutines.
type CA struct {
	cfg  Config
	keys *hierarchy

	mu            sync.Mutex // guards everything below
	offset        time.Duration
	held          bool
	last          int64 // of any number that was given
	products      []string
	organizations []Organization
	domains       []Domain
	orders        map[int64]*order
	revocations   map[int64]*revocation
	plans         []plan
	next          []Outcome // of the next orders, before any plan
	faults        []*Fault
	draws         uint64      // how often chance was asked
	taken         []time.Time // requests of the last three minutes
	journal       []Event
	counts        map[string]int
}

// plan is an outcome for what has a common name of that pattern.
type plan struct {
	pattern string
	outcome Outcome
}

// New makes the service.
func New(cfg Config) (*CA, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	if cfg.Journal != nil {
		cfg.Journal = &lockedWriter{w: cfg.Journal}
	}
	ca := &CA{
		cfg: cfg, last: 900_000, products: slices.Clone(cfg.Products), organizations: slices.Clone(cfg.Organizations), domains: slices.Clone(cfg.Domains),
		orders: map[int64]*order{}, revocations: map[int64]*revocation{}, counts: map[string]int{},
	}
	var err error
	if ca.keys, err = newHierarchy(cfg.RSA, ca.now()); err != nil {
		return nil, fmt.Errorf("digicerttest: %w", err)
	}
	return ca, nil
}

// Now is the time at the CA.
func (ca *CA) Now() time.Time {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.now()
}

func (ca *CA) now() time.Time { return ca.cfg.Clock().Add(ca.offset).UTC() }

func (ca *CA) number() int64 {
	ca.last++
	return ca.last
}

// Advance lets time pass.
func (ca *CA) Advance(d time.Duration) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.offset += d
	ca.settle()
}

// Hold keeps every order from its outcome; Release lets them go on.
func (ca *CA) Hold() {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.held = true
}

// Release ends Hold.
func (ca *CA) Release() {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.held = false
	ca.settle()
}

// Next sets the outcomes of the next orders, in their order.
func (ca *CA) Next(outcomes ...Outcome) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.next = append(ca.next, outcomes...)
}

// Plan sets the outcome of orders whose common name fits the pattern, as in
// path.Match. A later plan comes before an earlier one.
func (ca *CA) Plan(pattern string, o Outcome) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("digicerttest: the pattern %q: %w", pattern, err)
	}
	if err := o.check(); err != nil {
		return err
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.plans = append([]plan{{pattern, o}}, ca.plans...)
	return nil
}

func (o Outcome) check() error {
	for _, k := range []Kind{o.Kind, or(o.Reissue, Ready)} {
		if !slices.Contains(Kinds(), k) {
			return fmt.Errorf("digicerttest: there is no outcome %q", k)
		}
	}
	return nil
}

// outcomeFor decides what becomes of a new order.
func (ca *CA) outcomeFor(commonName string) Outcome {
	if len(ca.next) > 0 {
		o := ca.next[0]
		ca.next = ca.next[1:]
		return o
	}
	for _, p := range ca.plans {
		if ok, _ := path.Match(p.pattern, commonName); ok {
			return p.outcome
		}
	}
	return Outcome{Kind: Ready}
}

// Approve is an administrator's yes to whatever of an order waits for one;
// Reject is the no.
func (ca *CA) Approve(order int64) error { return ca.decide(order, "approved") }

// Reject ends an order that waits.
func (ca *CA) Reject(order int64) error { return ca.decide(order, "rejected") }

func (ca *CA) decide(id int64, status string) error {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.settle()
	o := ca.orders[id]
	if o == nil || !o.open() {
		return fmt.Errorf("digicerttest: order %d does not wait", id)
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
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.products = names
}

// SetOrganization changes until when an organization is validated.
func (ca *CA) SetOrganization(id int64, until time.Time) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
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
	ca.mu.Lock()
	defer ca.mu.Unlock()
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
func (ca *CA) Roots() (issuing, root []byte) { return ca.keys.issuing.Raw, ca.keys.root.Raw }

// Event is one line of the journal.
type Event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	// Of a request.
	Endpoint string   `json:"endpoint,omitempty"`
	Method   string   `json:"method,omitempty"`
	Path     string   `json:"path,omitempty"`
	Query    string   `json:"query,omitempty"`
	Headers  []string `json:"headers,omitempty"`
	Body     string   `json:"body,omitempty"`
	Status   int      `json:"status,omitempty"` // none when the connection was cut
	Fault    string   `json:"fault,omitempty"`
	// Of what happened to an order.
	Order       int64    `json:"orderId,omitempty"`
	Certificate int64    `json:"certificateId,omitempty"`
	Reference   string   `json:"reference,omitempty"` // the alternative order id
	RenewalOf   int64    `json:"renewalOf,omitempty"`
	CommonName  string   `json:"commonName,omitempty"`
	Names       []string `json:"dnsNames,omitempty"`
	Usages      []string `json:"usages,omitempty"`
	Serial      string   `json:"serialNumber,omitempty"`
	KeySHA256   string   `json:"keySha256,omitempty"` // of the SubjectPublicKeyInfo
	Reason      string   `json:"reason,omitempty"`
}

// maxJournal bounds the journal in memory; the file has everything.
const maxJournal = 50_000

func (ca *CA) log(e Event) {
	e.Time = ca.now()
	if len(ca.journal) == maxJournal {
		ca.journal = slices.Delete(ca.journal, 0, maxJournal/2)
	}
	ca.journal = append(ca.journal, e)
	ca.counts[e.Kind]++
	if e.Endpoint != "" {
		ca.counts[e.Endpoint]++
	}
	if ca.cfg.Journal == nil {
		return
	}
	if line, err := json.Marshal(e); err == nil {
		_, _ = ca.cfg.Journal.Write(append(line, '\n')) // a full disk is seen by who reads the journal
	}
}

// Journal returns the events of these kinds, or all.
func (ca *CA) Journal(kinds ...string) []Event {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	var events []Event
	for _, e := range ca.journal {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			events = append(events, e)
		}
	}
	return events
}

// Purchases are what was bought: orders, and never reissues.
func (ca *CA) Purchases() []Event { return ca.Journal("purchase") }

// Count is how many requests an endpoint got, or how many events there were of
// a kind.
func (ca *CA) Count(name string) int {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.counts[name]
}

// Counts are all of them.
func (ca *CA) Counts() map[string]int {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return maps.Clone(ca.counts)
}

// Break adds a fault.
func (ca *CA) Break(f Fault) error {
	switch {
	case !knownFault(f.Kind):
		return fmt.Errorf("digicerttest: there is no fault %q", f.Kind)
	case f.Endpoint != "" && !knownEndpoint(f.Endpoint):
		return fmt.Errorf("digicerttest: there is no endpoint %q", f.Endpoint)
	case (f.Kind == "status" || f.Kind == "status-after") && (f.Status < 300 || f.Status > 599):
		return errors.New("digicerttest: the fault needs a status from 300 to 599")
	case f.Probability < 0 || f.Probability > 1 || f.Count < 0 || f.Skip < 0 || f.Delay < 0:
		return errors.New("digicerttest: the numbers of the fault are out of bounds")
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.faults = append(ca.faults, &f)
	return nil
}

// Mend removes all faults.
func (ca *CA) Mend() {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.faults = nil
}
