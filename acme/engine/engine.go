package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/challenges"
	"acmebridge/storage"
)

// Sealer encrypts what must be kept secret at rest. associated names the
// record, so that a sealed value cannot be moved to another one.
type Sealer interface {
	Seal(plain, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
}

// Config is what an engine is made of. Only the first group is required.
type Config struct {
	Store       storage.Store
	Backends    map[string]backends.Backend
	Validators  []challenges.Validator
	Directories []acme.Directory
	Profiles    map[acme.ProfileName]acme.Profile
	Sealer      Sealer
	// CAA is required where a profile wants CAA records asked.
	CAA CAAChecker
	// Holder is the name of this run of the program in leases. It must differ
	// from that of every other run.
	Holder string

	// AccountURL mints the URL of an account, for validators that need it.
	AccountURL func(acme.Account) string
	Log        *slog.Logger
	Now        func() time.Time
	Random     io.Reader

	// Validations and CallsPerBackend bound the work done at once (SL-13,
	// SC-14); 256 and 4 when zero. Four times as many validations may be under
	// way, because most of that many wait for hosts that do not answer: whoever
	// makes the validators bounds their connections to this number.
	Validations     int
	CallsPerBackend int
	// Attempts at a challenge, Interval apart, that nobody answers; 3 and 5 s.
	Attempts int
	Interval time.Duration
	// ValidationTimeout and CallTimeout bound one attempt and one call; 30 s. A
	// backend may need longer for its calls: backends.Traits.
	ValidationTimeout time.Duration
	CallTimeout       time.Duration
	// Lease is how long a job belongs to whom took it; 2 minutes.
	Lease time.Duration
	// Drain is how long steps may go on after Run was told to stop; 20 s.
	Drain time.Duration
	// Settling is how long a challenge response waits for its outcome before
	// it is stored as processing; 150 ms.
	Settling time.Duration
	// MaxAttempts is how often a step may fail before its job is parked (SS-15).
	MaxAttempts int
	// Limits bound what accounts and members may do; none when zero.
	Limits Limits
}

func (c *Config) setDefaults() error {
	switch {
	case c.Store == nil:
		return errors.New("engine: no store")
	case c.Sealer == nil:
		return errors.New("engine: no sealer")
	case c.Holder == "":
		return errors.New("engine: no holder")
	}
	setDefault(&c.Log, slog.New(slog.DiscardHandler))
	setDefault(&c.Random, rand.Reader)
	setDefault(&c.Validations, 256)
	setDefault(&c.CallsPerBackend, 4)
	setDefault(&c.Attempts, 3)
	setDefault(&c.Interval, 5*time.Second)
	setDefault(&c.ValidationTimeout, 30*time.Second)
	setDefault(&c.CallTimeout, 30*time.Second)
	setDefault(&c.Lease, 2*time.Minute)
	setDefault(&c.Drain, 20*time.Second)
	setDefault(&c.Settling, 150*time.Millisecond)
	setDefault(&c.MaxAttempts, 10)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.AccountURL == nil {
		c.AccountURL = func(a acme.Account) string { return string(a.ID) }
	}
	return nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Engine moves orders. Its verbs may be called as soon as New has returned;
// what they leave for the work half is done while Run runs.
type Engine struct {
	cfg         Config
	store       storage.Store
	log         *slog.Logger
	directories map[acme.DirectoryName]acme.Directory
	validators  map[acme.ChallengeType]challenges.Validator
	backends    map[string]*authority
	lanes       *lanes
	watchers    *watchers
	wake        chan struct{} // a job may be due earlier than Run believes; buffered, sends never block
	started     chan struct{} // closed when Run begins to work
	away        chan struct{} // closed when no CA is looked at any more
	startOnce   sync.Once
	stopOnce    sync.Once
	fatal       chan error // the reason to stop at once; buffered, the first one stays
	inflight    inflight
	rates       rates
	queues      queues
	committing  atomic.Int64 // commits that have begun and not ended
	damaged     string       // the last complaint of a damaged job; owned by the Run goroutine
	Counters    Counters
}

// Counters count what happened since the start, for metrics.
type Counters struct {
	OrdersCreated, OrdersAttached, OrdersValid, OrdersInvalid, Validations, ValidationsFailed,
	Submissions, Quarantined, Orphans, Parked, Rescued, Revocations, StepFailures,
	Stopped, OverOpenOrders, OverProcessing, OverNameSet, OverMember, Shed atomic.Int64
}

// authority is a backend and the abilities it has, asked for once.
type authority struct {
	name    string
	backend backends.Backend
	traits  backends.Traits
	issuer  backends.Issuer
	// rehearser is nil where any holder will do.
	rehearser backends.Rehearser
	finder    backends.Finder
	// reissuer is nil for a CA that issues once.
	reissuer backends.Reissuer
	// batcher is nil where each request goes alone; company is for where not.
	batcher backends.Batcher
	company company
	// canceler is nil for a CA that cannot be told to give a request up.
	canceler backends.Canceler
	// continuer is nil for a CA that has the whole request with Submit.
	continuer backends.Continuer
	revoker   backends.Revoker
	crls      backends.CRLSigner
	keeper    backends.CRLKeeper
	revoked   revoked
	crossed   backends.CrossSigned
	// delegate is nil for a CA that lets nobody sign OCSP answers.
	delegate backends.StatusDelegate
	// informer is nil for a CA that says nothing of renewals.
	informer backends.RenewalInformer
	surveyor backends.Surveyor
	checker  backends.Checker
	standing *standing
	trust    *acme.Trust
}

// New returns an engine, or an error that says what does not fit together.
func New(cfg Config) (*Engine, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, store: cfg.Store, log: cfg.Log,
		directories: map[acme.DirectoryName]acme.Directory{},
		validators:  map[acme.ChallengeType]challenges.Validator{},
		backends:    map[string]*authority{},
		watchers:    newWatchers(),
		wake:        make(chan struct{}, 1),
		started:     make(chan struct{}),
		away:        make(chan struct{}),
		fatal:       make(chan error, 1),
	}
	e.rates = newRates(cfg)
	e.lanes = newLanes(cfg.Validations, cfg.CallsPerBackend)
	for _, v := range cfg.Validators {
		e.validators[v.Type()] = v
	}
	for name, b := range cfg.Backends {
		a, err := newAuthority(name, b)
		if err != nil {
			return nil, err
		}
		e.backends[name] = a
	}
	for name, p := range cfg.Profiles {
		if e.backends[p.Backend] == nil {
			return nil, fmt.Errorf("engine: profile %s names backend %q, which does not exist", name, p.Backend)
		}
		for _, t := range p.Challenges {
			if e.validators[t] == nil {
				return nil, fmt.Errorf("engine: profile %s offers challenge %s, which has no validator", name, t)
			}
			if t == acme.DNSPersist01 {
				if err := challenges.CheckIssuerDomainNames(p.IssuerDomainNames); err != nil {
					return nil, fmt.Errorf("engine: profile %s: %w", name, err)
				}
			}
		}
		if p.Approval.Required && p.Approval.Within <= 0 {
			return nil, fmt.Errorf("engine: profile %s wants approvals, but leaves no time for them", name)
		}
		if p.CAA && (cfg.CAA == nil || len(p.IssuerDomainNames) == 0) {
			return nil, fmt.Errorf("engine: profile %s wants CAA, which needs a checker and the names of its CA", name)
		}
	}
	for _, d := range cfg.Directories {
		if !d.ExternalAccount.Known() {
			// SP-3: nobody gets in by a rule that nobody knows.
			return nil, fmt.Errorf("engine: directory %s: external account rule %q does not exist; use required, optional or off", d.Name, d.ExternalAccount)
		}
		if len(d.Profiles) == 0 {
			return nil, fmt.Errorf("engine: directory %s offers no profile", d.Name)
		}
		if d.PreAuthorization && !cfg.Profiles[d.Profiles[0]].Authorization.AsksProof() {
			return nil, fmt.Errorf("engine: directory %s takes pre-authorizations, but its first profile, %s, wants nothing proved", d.Name, d.Profiles[0])
		}
		for _, p := range d.Profiles {
			if _, ok := cfg.Profiles[p]; !ok {
				return nil, fmt.Errorf("engine: directory %s lists profile %s, which does not exist", d.Name, p)
			}
		}
		e.directories[d.Name] = d
	}
	return e, nil
}

func newAuthority(name string, b backends.Backend) (*authority, error) {
	a := &authority{name: name, backend: b, traits: b.Traits(), standing: newStanding()}
	a.issuer, _ = b.(backends.Issuer)
	a.rehearser, _ = b.(backends.Rehearser)
	a.finder, _ = b.(backends.Finder)
	a.reissuer, _ = b.(backends.Reissuer)
	a.canceler, _ = b.(backends.Canceler)
	a.continuer, _ = b.(backends.Continuer)
	if batcher, ok := b.(backends.Batcher); ok && a.finder != nil && a.continuer == nil {
		if size, wait := batcher.Batching(); size > 1 {
			a.batcher, a.company.size, a.company.wait = batcher, size, wait
		}
	}
	a.revoker, _ = b.(backends.Revoker)
	a.crls, _ = b.(backends.CRLSigner)
	a.keeper, _ = b.(backends.CRLKeeper)
	a.crossed, _ = b.(backends.CrossSigned)
	a.delegate, _ = b.(backends.StatusDelegate)
	a.informer, _ = b.(backends.RenewalInformer)
	a.surveyor, _ = b.(backends.Surveyor)
	a.checker, _ = b.(backends.Checker)
	var roots [][]byte
	if r, ok := b.(backends.Rooted); ok {
		roots = r.Roots()
	}
	trust, err := acme.NewTrust(roots)
	if err != nil {
		return nil, fmt.Errorf("engine: backend %s: %w", name, err)
	}
	a.trust = trust
	return a, nil
}

// Directory returns the directory of that name.
func (e *Engine) Directory(name acme.DirectoryName) (acme.Directory, bool) {
	d, ok := e.directories[name]
	return d, ok
}

// Directories returns them all, in the order of the configuration.
func (e *Engine) Directories() []acme.Directory { return e.cfg.Directories }

// Profile returns the profile of that name.
func (e *Engine) Profile(name acme.ProfileName) (acme.Profile, bool) {
	p, ok := e.cfg.Profiles[name]
	return p, ok
}

// Roots returns the roots that chains of the configured backends end in, and
// the intermediates worth publishing, in DER.
func (e *Engine) Roots() (roots, intermediates [][]byte) {
	for _, name := range sortedKeys(e.backends) {
		if r, ok := e.backends[name].backend.(backends.Rooted); ok {
			roots = append(roots, r.Roots()...)
			intermediates = append(intermediates, r.Intermediates()...)
		}
	}
	return roots, intermediates
}

func (e *Engine) now() time.Time { return e.cfg.Now() }

// view reads, for verbs and steps alike.
func (e *Engine) view(ctx context.Context, fn func(storage.Tx) error) error {
	return e.store.View(ctx, fn)
}
