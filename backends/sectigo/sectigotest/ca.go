package sectigotest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"acmebridge/internal/standin"
)

// CA is the service. It may be used by several goroutines.
type CA struct {
	*standin.Server
	*standin.Plans[Outcome]

	cfg    Config
	keys   *hierarchy
	secret []byte // signs tokens

	// Guarded by Server.Lock:
	held    bool
	tenant  tenant
	batches map[int64]*batch
	pending map[int64]*batch // those whose outcome is not there yet
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
	ca := &CA{cfg: cfg, batches: map[int64]*batch{}, pending: map[int64]*batch{}}
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
	ca.secret = ca.tenant.Secret
	ca.Server = standin.New(standin.Config{
		Name: "sectigotest", Base: "/", ContentType: "application/json;charset=UTF-8", Endpoints: ca.endpoints(), Settle: ca.settle, Admit: ca.admit,
		Fail:   func(c *standin.Call, status int, _, message string) { ca.fail(c, status, "%s", message) },
		Faults: faults(), Bend: bend, Clock: cfg.Clock, Offset: ca.tenant.Offset, Journal: cfg.Journal, Seed: cfg.Seed,
	})
	ca.Plans = standin.NewPlans(ca.Server, Outcome{Kind: Ready})
	return ca, nil
}

// Hold keeps every batch from its outcome; Release lets them go on.
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
	if !slices.Contains(Kinds(), o.Kind) {
		return fmt.Errorf("sectigotest: there is no outcome %q", o.Kind)
	}
	return nil
}

// Reject is an administrator's no to a batch that has no outcome yet.
func (ca *CA) Reject(id int64, reason string) error {
	ca.Lock()
	defer ca.Unlock()
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
	ca.Lock()
	defer ca.Unlock()
	ca.tenant.Balances[authority] = balance
	_ = ca.saveTenant() // a setting that is lost with a disk is set again
}

// Balance is what an authority may have issued.
func (ca *CA) Balance(authority int64) int64 {
	ca.Lock()
	defer ca.Unlock()
	return ca.tenant.Balances[authority]
}

// SetPassword changes the password of the user, and SetLogin how logins are
// answered: as Config.Login.
func (ca *CA) SetPassword(password string) {
	ca.Lock()
	defer ca.Unlock()
	ca.tenant.Password, ca.tenant.FailedLogins = password, 0
	_ = ca.saveTenant() // a setting that is lost with a disk is set again
}

// SetLogin changes how logins are answered.
func (ca *CA) SetLogin(mode string) {
	ca.Lock()
	defer ca.Unlock()
	ca.tenant.LoginMode = mode
	_ = ca.saveTenant() // a setting that is lost with a disk is set again
}

// EditProfile changes a profile while the service runs, as an administrator
// can.
func (ca *CA) EditProfile(id int64, edit func(*Profile)) error {
	ca.Lock()
	defer ca.Unlock()
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
	ca.Lock()
	defer ca.Unlock()
	return ca.upload
}

// Roots are the CA's certificates above the leaf, in DER: the issuer, then the
// root.
func (ca *CA) Roots() (issuing, root []byte) { return ca.keys.issuing.Raw, ca.keys.root.Raw }

// Start serves on a port of its own on this machine, in the clear, and returns
// where. stop ends it.
func (ca *CA) Start() (url string, stop func(), err error) { return ca.Server.Start(nil) }
