package ocsp

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Issuer is a CA about whose certificates questions are answered.
type Issuer struct {
	Name        string // for the log
	Certificate *x509.Certificate
	// Signer is nil while there is none; clients are told to come back.
	Signer *Signer
	// Status reads the state of the certificate with that serial number (the
	// content octets of the INTEGER). It is called for every answer.
	Status func(ctx context.Context, serial []byte) (Status, error)
}

// Config says what a responder answers. Only Issuers is needed.
type Config struct {
	// Issuers are asked for again every few seconds, and when somebody asks
	// about another one, because CAs and signers get new keys.
	Issuers func(ctx context.Context) ([]Issuer, error)
	// Freshness is how old an answer may be for those who ask. Answers are kept
	// for half of that, and say that there is a newer one after all of it. An
	// hour unless set.
	Freshness time.Duration
	// IgnoreNonce answers as if there was none.
	IgnoreNonce bool
	// RefuseUnknown answers questions about certificates that were never issued
	// with "unauthorized", unsigned, and not with a signed "unknown".
	RefuseUnknown bool
	// CacheFor is how long HTTP caches may keep the answer to a GET: for so long
	// they do not hear of a revocation.
	CacheFor time.Duration
	// Entries bounds the answers that are kept, 20,000 unless set; each takes
	// about 1.5 KB.
	Entries int
	// Signatures bounds those made in a second for one request each, 200 unless
	// set.
	Signatures int
	// SharedSignatures bounds those made in a second, and for each issuer, for
	// answers that are kept for everybody, 500 unless set; ten times as many at
	// once. States that are recent have as many of their own.
	SharedSignatures int

	Log *slog.Logger
	Now func() time.Time
}

// Responder answers requests.
type Responder struct {
	cfg     Config
	kept    *cache
	special *allowance

	issuers atomic.Pointer[known]
	reading sync.Mutex         // held by whoever reads the issuers anew
	budgets map[string]*budget // by certificate of the issuer; guarded by reading
	told    atomic.Int64       // when it was last said that there are too many questions
}

// served is an issuer, and how much may be signed for it.
type served struct {
	Issuer
	budget *budget
}

// known is what was read of the issuers, at a time.
type known struct {
	at   time.Time
	byID map[string]*served // by hash algorithm, name hash and key hash
}

// How often the issuers are read anew: as a matter of course, and at most.
const (
	readEvery  = 10 * time.Second
	readAtMost = time.Second
)

// New returns a responder.
func New(cfg Config) (*Responder, error) {
	if cfg.Issuers == nil {
		return nil, errors.New("ocsp: a responder needs issuers")
	}
	if cfg.Freshness == 0 {
		cfg.Freshness = time.Hour
	}
	if cfg.Entries == 0 {
		cfg.Entries = 20000
	}
	if cfg.Signatures == 0 {
		cfg.Signatures = 200
	}
	if cfg.SharedSignatures == 0 {
		cfg.SharedSignatures = 500
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Freshness < time.Minute || cfg.CacheFor < 0 || cfg.Entries < 0 || cfg.Signatures < 0 || cfg.SharedSignatures < 0 {
		return nil, fmt.Errorf("ocsp: a freshness of %s, %s in caches, %d answers, %d and %d signatures: use a minute or more, and nothing negative",
			cfg.Freshness, cfg.CacheFor, cfg.Entries, cfg.Signatures, cfg.SharedSignatures)
	}
	return &Responder{cfg: cfg, kept: newCache(cfg.Entries), special: newAllowance(cfg.Signatures, cfg.Signatures), budgets: map[string]*budget{}}, nil
}

// Answer is a DER to send.
type Answer struct {
	Body []byte
	// At is the thisUpdate of a signed answer, Until its nextUpdate; zero for
	// errors.
	At, Until time.Time
	// Shared says that everybody who asks gets these bytes.
	Shared bool
	ETag   string // for shared ones
}

func refuse(s responseStatus) Answer { return Answer{Body: failure(s)} }

// Answer answers the DER of a request; what goes wrong is an answer, too.
func (r *Responder) Answer(ctx context.Context, der []byte) Answer {
	request, err := ParseRequest(der)
	if err != nil {
		return refuse(malformedRequest)
	}
	first, err := r.issuer(ctx, request.IDs[0])
	switch {
	case err != nil:
		r.cfg.Log.Error("cannot read whose certificates are asked about", "event", "ocsp.issuers", "cause", err)
		return refuse(internalError)
	case first == nil:
		// RFC 5019, section 2.2.3: not ours to say, signed by nobody.
		return refuse(unauthorized)
	}
	now := r.now()
	if first.Signer == nil || !first.Signer.good(now, now.Add(r.cfg.Freshness)) {
		r.cfg.Log.Error("nobody can sign answers for this CA", "event", "ocsp.signer", "issuer", first.Name)
		return refuse(tryLater)
	}
	if r.cfg.IgnoreNonce {
		request.Nonce = nil
	}
	if len(request.IDs) > 1 {
		return r.several(ctx, first, request, now)
	}
	return r.one(ctx, first, request, now)
}

// now is in the seconds that answers have.
func (r *Responder) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Second) }

func (r *Responder) one(ctx context.Context, is *served, request *Request, now time.Time) Answer {
	id := request.IDs[0]
	status, err := is.Status(ctx, id.Serial)
	if err != nil {
		return r.unread(is, err)
	}
	if status.State == Unknown && r.cfg.RefuseUnknown {
		return refuse(unauthorized)
	}
	if request.Nonce != nil && r.special.take(r.cfg.Now()) {
		return r.alone(is, []single{{id.Raw, status}}, request.Nonce, now)
	}
	if status.State == Unknown {
		// Not kept: there are more numbers that were never issued than memory.
		if request.Nonce != nil || !r.special.take(r.cfg.Now()) {
			return refuse(tryLater)
		}
		return r.alone(is, []single{{id.Raw, status}}, nil, now)
	}
	// A nonce beyond what can be signed for is left out, as RFC 9654, section 2.1,
	// allows: who can do without has an answer.
	key := string(id.Raw)
	e := r.kept.get(key)
	if e != nil && e.by(is.Signer) && e.serves(status, now, r.cfg.Freshness/2) {
		e.use()
		return e.answer
	}
	if !is.budget.take(status.recent(now, r.cfg.Freshness), r.cfg.Now()) {
		r.tooMany(is, now)
		if e != nil && e.serves(status, now, r.cfg.Freshness/4*3) {
			e.use()
			return e.answer
		}
		return refuse(tryLater)
	}
	e, err = r.sign(is, id, status, now)
	if err != nil {
		return r.unread(is, err)
	}
	e.asked.Store(true)
	r.kept.put(key, e)
	return e.answer
}

// tooMany says now and then that more is asked than may be signed.
func (r *Responder) tooMany(is *served, now time.Time) {
	if last := r.told.Load(); now.Unix()-last >= 60 && r.told.CompareAndSwap(last, now.Unix()) {
		r.cfg.Log.Warn("more certificates are asked about in turn than answers are kept (ocsp.entries) or may be signed (ocsp.shared_signatures)",
			"event", "ocsp.limited", "issuer", is.Name)
	}
}

// several answers about more than one certificate. One signature can only speak
// for one CA; of others' certificates nothing is known.
func (r *Responder) several(ctx context.Context, is *served, request *Request, now time.Time) Answer {
	if !r.special.take(r.cfg.Now()) {
		return refuse(tryLater)
	}
	var all []single
	for _, id := range request.IDs {
		s := single{id: id.Raw}
		if other, err := r.issuer(ctx, id); err == nil && other != nil && other.Certificate.Equal(is.Certificate) {
			if s.status, err = is.Status(ctx, id.Serial); err != nil {
				return r.unread(is, err)
			}
		}
		all = append(all, s)
	}
	return r.alone(is, all, request.Nonce, now)
}

// alone signs an answer that only one client has a use for.
func (r *Responder) alone(is *served, all []single, nonce []byte, now time.Time) Answer {
	until := is.Signer.until(now.Add(r.cfg.Freshness))
	body, err := is.Signer.respond(all, nonce, now, until)
	if err != nil {
		return r.unread(is, err)
	}
	return Answer{Body: body, At: now, Until: until}
}

func (r *Responder) unread(is *served, err error) Answer {
	r.cfg.Log.Error("a question about a certificate has no answer", "event", "ocsp.failed", "issuer", is.Name, "cause", err)
	return refuse(tryLater)
}

// sign makes an answer that will be kept.
func (r *Responder) sign(is *served, id CertID, status Status, now time.Time) (*entry, error) {
	until := is.Signer.until(now.Add(r.cfg.Freshness))
	body, err := is.Signer.respond([]single{{id.Raw, status}}, nil, now, until)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &entry{
		id: id, status: status, signer: is.Signer,
		answer: Answer{Body: body, At: now, Until: until, Shared: true, ETag: `"` + hex.EncodeToString(sum[:]) + `"`},
	}, nil
}

// issuer finds whom a CertID means; nil is nobody.
func (r *Responder) issuer(ctx context.Context, id CertID) (*served, error) {
	if id.Hash == 0 {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	key := issuerKey(id)
	k, now := r.issuers.Load(), r.cfg.Now()
	if k != nil {
		found, age := k.byID[key], now.Sub(k.at)
		wanted := age >= readEvery || (found == nil || found.Signer == nil) && age >= readAtMost
		if !wanted || !r.reading.TryLock() {
			return found, nil
		}
	} else {
		r.reading.Lock()
	}
	defer r.reading.Unlock()
	if again := r.issuers.Load(); again != k {
		return again.byID[key], nil // somebody else was faster
	}
	next, err := r.read(context.WithoutCancel(ctx), now) // for everybody: nobody who hangs up may spoil it
	switch {
	case err == nil:
		r.issuers.Store(next)
		return next.byID[key], nil
	case k == nil:
		return nil, err
	}
	// What was known is still true; ask again in a while.
	r.cfg.Log.Error("cannot read the issuers anew", "event", "ocsp.issuers", "cause", err)
	r.issuers.Store(&known{at: now, byID: k.byID})
	return k.byID[key], nil
}

func (r *Responder) read(ctx context.Context, now time.Time) (*known, error) {
	all, err := r.cfg.Issuers(ctx)
	if err != nil {
		return nil, err
	}
	k := &known{at: now, byID: map[string]*served{}}
	budgets := map[string]*budget{}
	for _, is := range all {
		bits, err := keyBits(is.Certificate)
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", is.Name, err)
		}
		one := &served{is, r.budgets[string(is.Certificate.Raw)]}
		if one.budget == nil {
			one.budget = newBudget(r.cfg.SharedSignatures)
		}
		budgets[string(is.Certificate.Raw)] = one.budget
		for _, h := range hashes {
			name, key := h.hash.New(), h.hash.New()
			name.Write(is.Certificate.RawSubject)
			key.Write(bits)
			k.byID[issuerKey(CertID{Hash: h.hash, NameHash: name.Sum(nil), KeyHash: key.Sum(nil)})] = one
		}
	}
	r.budgets = budgets
	return k, nil
}

func issuerKey(id CertID) string {
	return string(append(append([]byte{byte(id.Hash)}, id.NameHash...), id.KeyHash...))
}

// Run signs anew, ahead of time, what was asked for lately, and forgets what
// nobody asks for, until ctx ends.
func (r *Responder) Run(ctx context.Context) {
	t := time.NewTicker(max(r.cfg.Freshness/16, time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.renew(ctx)
		}
	}
}

func (r *Responder) renew(ctx context.Context) {
	now := r.now()
	for key, e := range r.kept.all() {
		if ctx.Err() != nil {
			return
		}
		age := now.Sub(e.answer.At)
		switch {
		case age < r.cfg.Freshness/4:
		case !e.asked.Load():
			if age >= r.cfg.Freshness/2 {
				r.kept.drop(key, e)
			}
		default:
			is, err := r.issuer(ctx, e.id)
			if err != nil || is == nil || is.Signer == nil || !is.Signer.good(now, now.Add(r.cfg.Freshness)) {
				continue // whoever asks will hear of it
			}
			status, err := is.Status(ctx, e.id.Serial)
			if err != nil || status.State == Unknown {
				continue
			}
			if fresh, err := r.sign(is, e.id, status, now); err == nil {
				fresh.again.Store(true)
				r.kept.put(key, fresh)
			}
		}
	}
}
