package sectigotest

import (
	"crypto/rand"
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
	cfg    Config
	keys   *hierarchy
	secret []byte // signs tokens

	mu      sync.Mutex // guards everything below
	offset  time.Duration
	held    bool
	tenant  tenant
	batches map[int64]*batch
	pending map[int64]*batch // those whose outcome is not there yet
	plans   []plan
	next    []Outcome // of the next batches, before any plan
	faults  []*Fault
	draws   uint64 // how often chance was asked
	journal []Event
	counts  map[string]int
	upload  RawUpload
}

// tenant is what the account has besides its batches.
type tenant struct {
	LastBatch    int64           `json:"lastBatch"`
	LastUser     int64           `json:"lastUser"`
	Balances     map[int64]int64 `json:"balances"` // by authority
	Ordered      int64           `json:"ordered"`
	Issued       int64           `json:"issued"`
	Password     string          `json:"password"`
	LoginMode    string          `json:"loginMode"`
	FailedLogins int             `json:"failedLogins"`
	Used         map[string]bool `json:"used"` // single-use refresh tokens
	Profiles     []Profile       `json:"profiles"`
	Secret       []byte          `json:"secret"`
	Offset       time.Duration   `json:"offset"`
}

// plan is an outcome for what has a common name of that pattern.
type plan struct {
	pattern string
	outcome Outcome
}

// RawUpload is an upload as it came, for those who look at bytes.
type RawUpload struct {
	ContentType string
	Body        []byte
}

// New makes the service, or brings it back from cfg.StateDir.
func New(cfg Config) (*CA, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	if cfg.Journal != nil {
		cfg.Journal = &lockedWriter{w: cfg.Journal}
	}
	ca := &CA{cfg: cfg, batches: map[int64]*batch{}, pending: map[int64]*batch{}, counts: map[string]int{}}
	ca.tenant = tenant{
		LastBatch: 241000, LastUser: 10, Balances: map[int64]int64{}, Password: cfg.Password, LoginMode: cfg.Login,
		Used: map[string]bool{}, Profiles: cfg.Profiles, Secret: make([]byte, 64),
	}
	rand.Read(ca.tenant.Secret) // never fails
	for _, p := range cfg.Profiles {
		ca.tenant.Balances[p.AuthorityID] = cfg.Balance
	}
	if err := ca.restore(); err != nil {
		return nil, fmt.Errorf("sectigotest: %w", err)
	}
	ca.secret, ca.offset = ca.tenant.Secret, ca.tenant.Offset
	return ca, nil
}

// Now is the time at the CA.
func (ca *CA) Now() time.Time {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.now()
}

func (ca *CA) now() time.Time { return ca.cfg.Clock().Add(ca.offset).UTC() }

// Advance lets time pass.
func (ca *CA) Advance(d time.Duration) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.offset += d
	ca.tenant.Offset = ca.offset
	ca.settle()
	_ = ca.saveTenant() // a clock that is a little behind after a restart is no harm
}

// Hold keeps every batch from its outcome; Release lets them go on.
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

// Next sets the outcomes of the next batches, in their order.
func (ca *CA) Next(outcomes ...Outcome) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.next = append(ca.next, outcomes...)
}

// Plan sets the outcome of batches whose first common name fits the pattern,
// as in path.Match. A later plan comes before an earlier one.
func (ca *CA) Plan(pattern string, o Outcome) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("sectigotest: the pattern %q: %w", pattern, err)
	}
	if err := checkKind(o.Kind); err != nil {
		return err
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.plans = append([]plan{{pattern, o}}, ca.plans...)
	return nil
}

func checkKind(k Kind) error {
	if !slices.Contains(Kinds(), k) {
		return fmt.Errorf("sectigotest: there is no outcome %q", k)
	}
	return nil
}

// outcomeFor decides what becomes of a new batch.
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

// Reject is an administrator's no to a batch that has no outcome yet.
func (ca *CA) Reject(id int64, reason string) error {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.settle()
	b, ok := ca.pending[id]
	if !ok {
		return fmt.Errorf("sectigotest: batch %d cannot be rejected", id)
	}
	ca.finish(b, Outcome{Kind: Rejected, Reason: reason})
	return ca.saveBatch(b)
}

// SetBalance changes what an authority may have issued.
func (ca *CA) SetBalance(authority, balance int64) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.tenant.Balances[authority] = balance
}

// Balance is what an authority may have issued.
func (ca *CA) Balance(authority int64) int64 {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.tenant.Balances[authority]
}

// SetPassword changes the password of the user, and SetLogin how logins are
// answered: as Config.Login.
func (ca *CA) SetPassword(password string) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.tenant.Password, ca.tenant.FailedLogins = password, 0
}

// SetLogin changes how logins are answered.
func (ca *CA) SetLogin(mode string) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.tenant.LoginMode = mode
}

// EditProfile changes a profile while the service runs, as an administrator
// can.
func (ca *CA) EditProfile(id int64, edit func(*Profile)) error {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	profiles := slices.Clone(ca.tenant.Profiles)
	for i := range profiles {
		if profiles[i].ID == id {
			profiles[i].Params = slices.Clone(profiles[i].Params)
			edit(&profiles[i])
			ca.tenant.Profiles = profiles
			return ca.saveTenant()
		}
	}
	return fmt.Errorf("sectigotest: there is no profile %d", id)
}

// LastUpload is the latest upload as it came.
func (ca *CA) LastUpload() RawUpload {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.upload
}

// Roots are the CA's certificates above the leaf, in DER: the issuer, then the
// root.
func (ca *CA) Roots() (issuing, root []byte) { return ca.keys.issuing.Raw, ca.keys.root.Raw }

// Event is one line of the journal.
type Event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	// Of a request.
	Endpoint string `json:"endpoint,omitempty"`
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`
	Status   int    `json:"status,omitempty"` // none when the connection was cut
	Fault    string `json:"fault,omitempty"`
	// Of a purchase, a certificate, a download or a revocation.
	Batch      int64    `json:"batchId,omitempty"`
	Name       string   `json:"batchName,omitempty"`
	Profile    int64    `json:"profileId,omitempty"`
	Size       int      `json:"size,omitempty"`
	CommonName string   `json:"commonName,omitempty"`
	Names      []string `json:"dnsNames,omitempty"`
	Serial     string   `json:"serialNumber,omitempty"`
	NotAfter   string   `json:"notAfter,omitempty"`
	// KeySHA256 is of the SubjectPublicKeyInfo, CertSHA256 of the certificate. A
	// purchase of several has the first key here, and the others in MoreKeys.
	KeySHA256  string   `json:"keySha256,omitempty"`
	MoreKeys   []string `json:"moreKeysSha256,omitempty"`
	CertSHA256 string   `json:"certSha256,omitempty"`
	Reason     string   `json:"reason,omitempty"`
}

// maxJournal bounds the journal in memory; the file has everything.
const maxJournal = 100_000

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

// Purchases are what was bought.
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
		return fmt.Errorf("sectigotest: there is no fault %q", f.Kind)
	case f.Endpoint != "" && !knownEndpoint(f.Endpoint):
		return fmt.Errorf("sectigotest: there is no endpoint %q", f.Endpoint)
	case (f.Kind == "status" || f.Kind == "status-after") && (f.Status < 300 || f.Status > 599):
		return errors.New("sectigotest: the fault needs a status from 300 to 599")
	case f.Probability < 0 || f.Probability > 1 || f.Count < 0 || f.Skip < 0 || f.Delay < 0:
		return errors.New("sectigotest: the numbers of the fault are out of bounds")
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
