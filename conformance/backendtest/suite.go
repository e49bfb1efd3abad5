package backendtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// Subject is a backend under test, and what its surroundings can arrange.
// Only Backend is needed.
type Subject struct {
	Backend backends.Backend
	// Roots are what chains must lead to, in DER; those of a Rooted backend
	// unless set.
	Roots [][]byte
	// Request returns a request that the CA will grant, with a key and a
	// public key that were never used before. NewRequest unless set.
	Request func() backends.Request
	// Now is the time at the CA, time.Now unless set.
	Now func() time.Time
	// Settle makes the CA finish what was submitted to it. It is called before
	// each poll.
	Settle func()
	// Reopen returns another instance on the state that the backend keeps, as
	// after a restart.
	Reopen func() backends.Backend
	// Refuse returns a request that the CA will refuse.
	Refuse func() backends.Request
	// LoseReply makes the next request reach the CA and its reply get lost.
	LoseReply func()
	// Unreachable returns an instance whose CA cannot be connected to.
	Unreachable func() backends.Backend
	// Bought returns how many certificates were ordered from the CA so far,
	// whether or not it issued them, as its own books say. Without it, what
	// was sent is counted.
	Bought func() int
	// Misissue are ways in which the CA issues something else than what is
	// ordered next: for another key, without a name, what another order was
	// for. Each func arranges that for the next request, once.
	Misissue map[string]func()
	// MisissueTwice are such ways in which the CA issues that once more when it is
	// asked to issue again, for a backends.Reissuer. LoseReissue makes the next
	// request to issue again reach the CA and its reply get lost, and Reissued
	// returns how often the CA has issued again so far, as its own books say.
	MisissueTwice map[string]func()
	LoseReissue   func()
	Reissued      func() int
	// Damage are ways in which what the CA delivers is damaged or meant to do
	// harm, by name: an archive that is cut off, or one that inflates without
	// end. Each func begins with it, and Mend ends all of them.
	Damage map[string]func()
	Mend   func()
	// Profile changes the profile of the engine that is put in front of the
	// backend, where the one made of a request's contract does not do.
	Profile func(*acme.Profile)
	// Derived says that certificates are a function of the request, so that
	// Find may also find what was never sent.
	Derived bool

	// requests are what was submitted, by ticket: a Continuer gets them again,
	// as it does from the engine.
	requests *sync.Map
}

// patience bounds one check, including whatever time the CA takes.
const patience = 2 * time.Minute

// Run runs every check that fits the subject, each on a subject of its own.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t).complete()
			if c.fits != nil && !c.fits(s) {
				t.Logf("not applicable to this backend")
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := c.run(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is one property. It returns an error instead of failing a test, so
// that the suite can itself be tested with backends that break the contract.
type check struct {
	name string
	fits func(Subject) bool // nil fits all
	run  func(context.Context, Subject) error
}

var checks = []check{
	{"traits do not change", nil, checkTraits},
	{"a submitted request is granted as its contract says", nil, checkGranted},
	{"polling again gives the same", nil, checkPollAgain},
	{"another instance polls the same", func(s Subject) bool { return s.Reopen != nil }, checkReopened},
	{"the end asked for is honoured as the traits say", nil, checkNotAfter},
	{"no validity beyond the traits", func(s Subject) bool { return s.Backend.Traits().MaxValidity > 0 }, checkMaxValidity},
	{"an unknown ticket is an error", nil, checkUnknownTicket},
	{"methods return when their context has ended", nil, checkCancelled},
	{"many at once", nil, checkConcurrent},
	{"issuing is a function of the request", has[backends.Issuer], checkIssuer},
	{"a lost request is found", has[backends.Finder], checkFinder},
	{"a request never sent is not found", has[backends.Finder], checkNotFound},
	{"what is issued again is another certificate, and found", Subject.mends, checkReissuer},
	{"revoking may be repeated", has[backends.Revoker], checkRevoker},
	{"renewals are suggested for a time that comes", has[backends.RenewalInformer], checkInformer},
	{"lists say what was revoked", has[backends.CRLSigner], checkCRL},
	{"answers are signed by whom the CA has certified for it", has[backends.StatusDelegate], checkSigners},
	{"roots certify what was issued", has[backends.Rooted], checkRoots},
	{"a check of a healthy CA finds nothing", has[backends.Checker], checkChecker},
	{"a slow CA is waited for", nil, checkSlow},
	{"a request that comes twice", nil, checkTwice},
	{"what is delivered damaged is asked for again", func(s Subject) bool { return len(s.Damage) > 0 }, checkDamage},
	{"a refusal is one", func(s Subject) bool { return s.Refuse != nil }, checkRefusal},
	{"not sent is said when nothing was sent", func(s Subject) bool { return s.Unreachable != nil }, checkNotSent},

	// With the engine in front of it.
	{"the engine gets what it orders, and pays once", nil, checkOrder},
	{"the engine crashes at every commit, and pays once", nil, checkCrash},
	{"the engine loses a reply, and pays once", func(s Subject) bool { return s.LoseReply != nil }, checkLostReply},
	{"the engine sends several at once, and pays once for each", func(s Subject) bool { return s.together() > 1 }, checkTogether},
	{"the engine delivers nobody else's certificate", nil, checkForeign},
	{"the engine delivers nothing that was issued wrongly", func(s Subject) bool { return len(s.Misissue) > 0 }, checkMisissue},
	{"the engine has what is wrong issued again, and pays once", Subject.mends, checkMends},
	{"the engine has it issued again once", func(s Subject) bool { return s.mends() && len(s.MisissueTwice) > 0 }, checkWrongTwice},
	{"the engine loses the reply to that, and asks once", func(s Subject) bool { return s.mends() && s.LoseReissue != nil }, checkLostReissue},
	{"the engine crashes at every commit of that, and asks once", Subject.mends, checkReissueCrash},
	{"the engine outlasts what is delivered damaged", func(s Subject) bool { return len(s.Damage) > 0 }, checkOutlasts},
	{"the engine ends what is refused", func(s Subject) bool { return s.Refuse != nil }, checkEnds},
}

func has[A any](s Subject) bool { _, ok := s.Backend.(A); return ok }

func (s Subject) complete() Subject {
	if s.Now == nil {
		s.Now = time.Now
	}
	s.requests = &sync.Map{}
	if s.Settle == nil {
		s.Settle = func() {}
	}
	if r, ok := s.Backend.(backends.Rooted); ok && s.Roots == nil {
		s.Roots = r.Roots()
	}
	if s.Request == nil {
		s.Request = func() backends.Request { return NewRequest(s.Now(), s.Backend.Traits()) }
	}
	return s
}
