package engine_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/challenges"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// world is everything that outlives one run of the engine: the store, the CA,
// the validation targets and the keys of the clients.
type world struct {
	t       *testing.T
	store   storage.Store
	ca      *localca.CA
	fake    *fakeCA
	backend backends.Backend
	targets *targets
	profile acme.Profile
	change  func(*engine.Config)
}

// newWorld has a store that runs each change twice (storage.Store: fn may run
// again), so that every test here sees a change that remembers its first run.
func newWorld(t *testing.T) *world {
	t.Helper()
	// Bubbles of testing/synctest begin at this time, so the CA does too.
	born := func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
	ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: "local", Queued: true, Now: born})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: rerunning{memory.New()}, ca: ca, fake: &fakeCA{issuing: ca}, targets: &targets{}}
	w.backend = searchable{w.fake}
	w.profile = acme.Profile{
		Name: "tls", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
		Identifiers: acme.IdentifierPolicy{Max: 100}, Usages: []acme.Usage{acme.ServerAuth}, Subject: acme.SubjectCommonName,
		Validity: 90 * 24 * time.Hour, OrderLifetime: 24 * time.Hour, AuthorizationLifetime: 48 * time.Hour,
		Hold: 3 * time.Second, IssuanceDeadline: 7 * 24 * time.Hour,
	}
	return w
}

// run is one run of the engine over the world.
type run struct {
	*engine.Engine
	w     *world
	stop  context.CancelFunc
	ended chan error
}

// start starts an engine, under a new name as after a restart.
func (w *world) start() *run {
	w.t.Helper()
	cfg := engine.Config{
		Store: w.store, Backends: map[string]backends.Backend{"ca": w.backend}, Validators: []challenges.Validator{w.targets},
		Directories: []acme.Directory{
			{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}},
			{Name: "members", Path: "/members/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"tls"}},
		},
		Profiles: map[acme.ProfileName]acme.Profile{"tls": w.profile}, Sealer: sealer{}, Holder: rand.Text(),
	}
	if w.change != nil {
		w.change(&cfg)
	}
	e, err := engine.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	r := &run{Engine: e, w: w, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(ctx) }()
	return r
}

// close stops the run and returns what Run returned.
func (r *run) close() error {
	r.stop()
	return <-r.ended
}

// end stops the run, which has to end well.
func (r *run) end() {
	r.w.t.Helper()
	if err := r.close(); err != nil {
		r.w.t.Errorf("the run ended with %v", err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func accountRequest(t *testing.T, d acme.DirectoryName, pub crypto.PublicKey) engine.AccountRequest {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return engine.AccountRequest{
		Directory: d, Key: spki, KeyHash: sha256.Sum256(spki), Thumbprint: rand.Text(),
		CheckKey: func() *acme.Problem { return acme.CheckAccountKey(pub) },
	}
}

func (r *run) account() acme.Account {
	r.w.t.Helper()
	a, _, err := r.NewAccount(r.w.t.Context(), accountRequest(r.w.t, "default", newKey(r.w.t).Public()))
	if err != nil {
		r.w.t.Fatal(err)
	}
	return a
}

func (r *run) order(a acme.Account, names ...string) acme.Order {
	r.w.t.Helper()
	o, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns(names...)})
	if err != nil {
		r.w.t.Fatal(err)
	}
	return o
}

// ready brings an order to ready.
func (r *run) ready(a acme.Account, names ...string) acme.Order {
	r.w.t.Helper()
	o := r.order(a, names...)
	for _, id := range o.Authorizations {
		if _, _, err := r.Respond(r.w.t.Context(), a, id, acme.HTTP01); err != nil {
			r.w.t.Fatal(err)
		}
	}
	return r.wantStatus(a, o.ID, acme.OrderReady)
}

// finalized brings an order of a new account past finalize, whatever the CA
// makes of it.
func (r *run) finalized(names ...string) (acme.Account, acme.Order) {
	r.w.t.Helper()
	a := r.account()
	o := r.ready(a, names...)
	o, _, err := r.Finalize(r.w.t.Context(), a, o.ID, csrFor(r.w.t, newKey(r.w.t), names...))
	if err != nil {
		r.w.t.Fatal(err)
	}
	return a, o
}

func (r *run) wantStatus(a acme.Account, id acme.OrderID, want acme.OrderStatus) acme.Order {
	r.w.t.Helper()
	o, _, err := r.Order(r.w.t.Context(), a.ID, id)
	if err != nil {
		r.w.t.Fatal(err)
	}
	if o.Status != want {
		r.w.t.Fatalf("order is %s, want %s; problem %v; history %v", o.Status, want, o.Problem, o.History)
	}
	return o
}

// explain returns what the operator sees of an order.
func (r *run) explain(id acme.OrderID) engine.Explanation {
	r.w.t.Helper()
	x, err := r.Operator().Explain(r.w.t.Context(), id)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return x
}

func dns(names ...string) []acme.Identifier {
	ids := make([]acme.Identifier, len(names))
	for i, n := range names {
		ids[i] = acme.Identifier{Type: acme.DNSIdentifier, Value: n}
	}
	return ids
}

func csrFor(t *testing.T, key crypto.Signer, names ...string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// targets are the hosts that challenges are tried on. What a name's host does
// is told by the name: "down..." does not answer, "wrong..." answers wrongly,
// "flaky..." answers from the third time on, "slow..." takes its time.
type targets struct {
	mu    sync.Mutex
	tries map[string]int
}

func (v *targets) Type() acme.ChallengeType { return acme.HTTP01 }

func (v *targets) Validate(ctx context.Context, t challenges.Target) acme.Outcome {
	v.mu.Lock()
	if v.tries == nil {
		v.tries = map[string]int{}
	}
	v.tries[t.Identifier.Value]++
	n := v.tries[t.Identifier.Value]
	v.mu.Unlock()
	down := acme.Outcome{Retry: true, Problem: acme.Problemf(acme.Connection, "connection refused")}
	switch host, _, _ := strings.Cut(t.Identifier.Value, "."); host {
	case "down":
		return down
	case "flaky":
		if n < 3 {
			return down
		}
	case "wrong":
		return acme.Outcome{Problem: acme.Problemf(acme.Unauthorized, "the answer is 404")}
	case "panics":
		panic("a bug in a validator")
	case "slow":
		timer := time.NewTimer(10 * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return down
		}
	}
	return acme.Outcome{Valid: true}
}

func (v *targets) tried(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tries[name]
}

// sealer is no encryption, but notices a value that was moved.
type sealer struct{}

func (sealer) Seal(plain, associated []byte) ([]byte, error) {
	return append([]byte(string(associated)+"|"), plain...), nil
}

func (sealer) Open(sealed, associated []byte) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(sealed), string(associated)+"|")
	if !ok {
		return nil, errors.New("sealed for another record")
	}
	return []byte(plain), nil
}

// wantProblem checks the type of a problem.
func wantProblem(t *testing.T, err error, want acme.ProblemType) {
	t.Helper()
	_ = problemOf(t, err, want)
}

// problemOf returns the problem of that type that err has to be.
func problemOf(t *testing.T, err error, want acme.ProblemType) *acme.Problem {
	t.Helper()
	var p *acme.Problem
	if !errors.As(err, &p) || p.Type != want {
		t.Fatalf("got %v, want a problem of type %s", err, want)
	}
	return p
}
