package backendtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/challenges"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// front is an engine in front of a backend. It lives in turns: in each a new
// engine takes over the store, does whatever is due, and ends. Between two turns
// time passes, at the CA and for the engine. So every turn is a restart, and
// nobody waits for the pauses that the engine makes.
type front struct {
	subject Subject
	profile acme.Profile
	store   storage.Store
	crashes []*crashStore // what comes after store, when that died
	offset  atomic.Int64  // of the engine's clock, ahead of the subject's

	// Where the engine meets the backend.
	hide      bool // the backend's ability to issue at once
	plain     bool // hides that it can have something issued again
	bend      func(chain [][]byte) [][]byte
	sends     atomic.Int64 // submissions that may have reached the CA
	calls     atomic.Int64 // of those, how many were for several at once
	again     atomic.Int64 // requests to issue again that may have reached the CA
	delivered sync.Map     // the leaves of a Continuer, which are counted instead

	before int // what was bought when it was made
}

// newFront makes one for orders like r.
func newFront(s Subject, r backends.Request) *front {
	f := &front{subject: s, store: memory.New()}
	_, finds := s.Backend.(backends.Finder)
	// A little less than may be asked for: the engine's clock runs ahead.
	validity := r.Contract.NotAfter.Sub(r.Contract.NotBefore)
	f.profile = acme.Profile{
		Name: "tls", Backend: "ca", Authorization: acme.AuthorizeByChallenge,
		Challenges: []acme.ChallengeType{acme.HTTP01, acme.DNS01},
		Identifiers: acme.IdentifierPolicy{
			Types: []acme.IdentifierType{acme.DNSIdentifier, acme.IPIdentifier}, Max: 100, Wildcard: true,
		},
		Usages: r.Contract.Usages, Subject: r.Contract.Subject, Validity: validity - validity/20,
		OrderLifetime: 30 * 24 * time.Hour, AuthorizationLifetime: 30 * 24 * time.Hour, IssuanceDeadline: 7 * 24 * time.Hour,
		// With this permission it shows when something is sent again too lightly.
		ResubmitOnDoubt: finds,
	}
	if s.Profile != nil {
		s.Profile(&f.profile)
	}
	f.before = f.bought()
	return f
}

// order makes a need of a new request, and a front for it.
func (s Subject) order() (*front, *need, error) {
	r := s.Request()
	n, err := newNeed(r)
	return newFront(s, r), n, err
}

// buys takes one more need to its end.
func (f *front) buys(ctx context.Context) (*need, acme.Order, error) {
	n, err := newNeed(f.subject.Request())
	if err != nil {
		return n, acme.Order{}, err
	}
	o, err := f.follow(ctx, n)
	return n, o, err
}

// well wants one more need to be granted, now that nothing is wrong any more.
func (f *front) well(ctx context.Context) error {
	n, o, err := f.buys(ctx)
	if err == nil {
		err = f.granted(ctx, n, o)
	}
	if err != nil {
		return fmt.Errorf("the order after that: %w", err)
	}
	return nil
}

func (f *front) now() time.Time { return f.subject.Now().Add(time.Duration(f.offset.Load())) }

// pass lets time pass until the next job is due, or a minute.
func (f *front) pass(ctx context.Context) error {
	before := f.now()
	f.subject.Settle()
	var due time.Time
	err := f.store.View(ctx, func(tx storage.Tx) (err error) {
		due, _, err = tx.Jobs().Next()
		return err
	})
	if wanted := min(max(due.Sub(before), time.Second), time.Minute); f.now().Sub(before) < wanted {
		f.offset.Add(int64(wanted - f.now().Sub(before)))
	}
	return err
}

// turn runs an engine while do uses it, and until nothing is due any more.
func (f *front) turn(ctx context.Context, do func(*engine.Engine)) error {
	b := f.subject.Backend
	if f.subject.Reopen != nil {
		b = f.subject.Reopen()
	}
	e, err := engine.New(engine.Config{
		Store: f.store, Backends: map[string]backends.Backend{"ca": f.watch(b)},
		Validators:  []challenges.Validator{willing(acme.HTTP01), willing(acme.DNS01)},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}},
		Profiles:    map[acme.ProfileName]acme.Profile{"tls": f.profile}, Sealer: open{}, Holder: rand.Text(), Now: f.now, MaxAttempts: 1000,
	})
	if err != nil {
		return fmt.Errorf("put an engine in front of the backend: %w", err)
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(run) }()
	select {
	case <-e.Started():
	case err := <-ended:
		return err
	}
	do(e)
	for {
		idle, err := f.idle(ctx)
		if idle || err != nil || ctx.Err() != nil {
			stop()
			return <-ended
		}
		select {
		case err := <-ended: // its store died
			return err
		case <-time.After(time.Millisecond):
		}
	}
}

// idle reports whether no job is due or under way.
func (f *front) idle(ctx context.Context) (idle bool, err error) {
	err = f.store.View(ctx, func(tx storage.Tx) error {
		due, err := tx.Jobs().Due(f.now(), 1)
		if err != nil {
			return err
		}
		leased, _, err := tx.Jobs().LeasedByOthers("", storage.Page{Limit: 1})
		idle = len(due)+len(leased) == 0
		return err
	})
	return idle, err
}

// need is somebody who wants one certificate, and does for it what ACME clients
// do: go on from what was said last, and ask again when nothing was.
type need struct {
	request backends.Request // CSR and names
	spki    []byte           // of the account
	account acme.Account
	order   acme.OrderID
	problem error // what the server said no with
	waits   bool  // does not finalize yet
}

func newNeed(r backends.Request) (*need, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	return &need{request: r, spki: spki}, err
}

// goOn takes the order as far as it gets.
func (n *need) goOn(ctx context.Context, e *engine.Engine) {
	if err := n.steps(ctx, e); err != nil {
		if p := (*acme.Problem)(nil); errors.As(err, &p) {
			n.problem = err
		}
	}
}

func (n *need) steps(ctx context.Context, e *engine.Engine) (err error) {
	if n.account.ID == "" {
		hash := sha256.Sum256(n.spki)
		if n.account, _, err = e.NewAccount(ctx, engine.AccountRequest{
			Directory: "default", Key: n.spki, KeyHash: hash, Thumbprint: hex.EncodeToString(hash[:]), CheckKey: func() *acme.Problem { return nil },
		}); err != nil {
			return err
		}
	}
	if n.order == "" {
		o, err := e.NewOrder(ctx, n.account, engine.OrderRequest{Identifiers: n.request.Contract.Identifiers})
		if err != nil {
			return err
		}
		n.order = o.ID
	}
	for range 3 {
		o, _, err := e.Order(ctx, n.account.ID, n.order)
		if err != nil {
			return err
		}
		switch o.Status {
		case acme.OrderPending:
			for _, id := range o.Authorizations {
				if err := n.proves(ctx, e, id); err != nil {
					return err
				}
			}
		case acme.OrderReady:
			if n.waits {
				return nil
			}
			if _, _, err := e.Finalize(ctx, n.account, o.ID, n.request.CSR); err != nil {
				return err
			}
		case acme.OrderProcessing, acme.OrderValid, acme.OrderInvalid:
			return nil
		}
	}
	return nil
}

func (n *need) proves(ctx context.Context, e *engine.Engine, id acme.AuthorizationID) error {
	a, _, err := e.Authorization(ctx, n.account.ID, id)
	if err != nil || a.Status != acme.AuthorizationPending {
		return err
	}
	_, _, err = e.Respond(ctx, n.account, id, a.Challenges[0].Type)
	return err
}

// turns is how many turns an order gets. Most need three.
const turns = 60

// follow goes on with a need, turn after turn, until its order has ended.
func (f *front) follow(ctx context.Context, n *need) (acme.Order, error) {
	for i := range turns {
		err := f.turn(ctx, func(e *engine.Engine) { n.goOn(ctx, e) })
		switch died := f.revive(); {
		case died && !errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrClosed):
			return acme.Order{}, fmt.Errorf("the engine's store died, and it ended with %w", err)
		case died:
			continue
		case err != nil:
			return acme.Order{}, err
		case n.problem != nil:
			return acme.Order{}, fmt.Errorf("the engine does not take the order; does Subject.Profile fit Subject.Request?: %w", n.problem)
		}
		if o, err := f.read(ctx, n); err != nil || o.Status.Final() {
			return o, err
		}
		if err := f.pass(ctx); err != nil {
			return acme.Order{}, err
		}
		// A CA in the same process is done by now; a real one needs real time.
		select {
		case <-ctx.Done():
			return acme.Order{}, ctx.Err()
		case <-time.After(min(time.Duration(i)*3*time.Millisecond, 150*time.Millisecond)):
		}
	}
	return f.read(ctx, n)
}

// read is the order of a need, as it is stored.
func (f *front) read(ctx context.Context, n *need) (o acme.Order, err error) {
	err = f.store.View(ctx, func(tx storage.Tx) error {
		o, err = tx.Orders().Get(n.order)
		return err
	})
	return o, err
}

// chains are the certificates that are stored for an account, with what is
// above them.
func (f *front) chains(ctx context.Context, n *need) (chains [][][]byte, err error) {
	err = f.store.View(ctx, func(tx storage.Tx) error {
		chains = nil
		certs, _, err := tx.Certificates().ByAccount(n.account.ID, storage.Page{Limit: 100})
		for _, c := range certs {
			upper, err := tx.Certificates().Chain(c.Chain)
			if err != nil {
				return err
			}
			chains = append(chains, append([][]byte{c.Leaf}, upper.Certificates...))
		}
		return err
	})
	return chains, err
}

// granted wants a need to have its certificate, and only that one.
func (f *front) granted(ctx context.Context, n *need, o acme.Order) error {
	if o.Status != acme.OrderValid {
		return fmt.Errorf("the order is %s: %s", o.Status, why(o))
	}
	chains, err := f.chains(ctx, n)
	if err != nil {
		return err
	}
	if len(chains) != 1 {
		return fmt.Errorf("there are %d certificates for one order", len(chains))
	}
	leaf, err := parseChain(chains[0])
	if err != nil {
		return err
	}
	if err := checkLeaf(leaf[0], n.request); err != nil {
		return fmt.Errorf("what was delivered: %w", err)
	}
	return nil
}

// denied wants a need to have got nothing. Its order may still be open.
func (f *front) denied(ctx context.Context, n *need, o acme.Order) error {
	chains, err := f.chains(ctx, n)
	switch {
	case err != nil:
		return err
	case o.Status == acme.OrderValid, len(chains) != 0:
		return fmt.Errorf("the order is %s and has %d certificates", o.Status, len(chains))
	}
	return nil
}

// why is what an order says of itself.
func why(o acme.Order) string {
	var what []string
	for _, e := range o.History {
		what = append(what, e.What)
	}
	if o.Problem != nil {
		what = append(what, o.Problem.Error())
	}
	return strings.Join(what, "; ")
}

// bought is how many purchases there were at the CA: as it says itself, if it
// can be asked, and otherwise as many as may have reached it.
func (f *front) bought() int {
	if f.subject.Bought != nil {
		return f.subject.Bought()
	}
	return int(f.sends.Load())
}

// paid wants that many purchases since the front was made. Where certificates
// are a function of the request there are none.
func (f *front) paid(least, most int) error {
	if _, issues := f.subject.Backend.(backends.Issuer); issues && !f.hide || f.subject.Derived {
		return nil
	}
	if n := f.bought() - f.before; n < least || n > most {
		return fmt.Errorf("the CA has %d purchases, want %d to %d", n, least, most)
	}
	return nil
}

// willing is a validator to whom everybody controls every name.
type willing acme.ChallengeType

func (w willing) Type() acme.ChallengeType { return acme.ChallengeType(w) }
func (willing) Validate(context.Context, challenges.Target) acme.Outcome {
	return acme.Outcome{Valid: true}
}

// open seals nothing.
type open struct{}

func (open) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (open) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }
