package server

import (
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/ratelimit"
)

// Limits bound what comes from one address, and how often one order is looked
// at. A zero field is no limit. What an account or a member may do is the
// engine's business.
//
// An address is the one of the connection: an IPv6 one counts with its /64,
// which one customer has. Behind a proxy all clients have one, so there these
// limits are off.
type Limits struct {
	// Requests of one address, of whatever kind.
	Requests ratelimit.Rate
	// NewAccounts of one address, and NetworkAccounts of one /48 (SL-19). An
	// account that exists already is found without a limit.
	NewAccounts, NetworkAccounts ratelimit.Rate
	// ExternalKeyFailures are bindings from one address that were not accepted
	// (SL-26).
	ExternalKeyFailures ratelimit.Rate
	// Polls of one order (SL-25).
	Polls ratelimit.Rate
	// Help is a page about the limits, for the link of a refusal (R8555-6.6-3).
	Help string
	// Rates is where the rates are kept; a table of their own when nil.
	Rates *ratelimit.Table
}

// limits are the rates of a server.
type limits struct {
	badSignatures, requests, newAccounts, networkAccounts, externalKeyFailures, polls *ratelimit.Limit

	now  func() time.Time
	shed atomic.Int64
}

func newLimits(c Config) *limits {
	table := c.Limits.Rates
	if table == nil {
		table = ratelimit.New(ratelimit.Config{Now: c.Now, Entries: 1 << 14})
	}
	return &limits{
		badSignatures:       table.Limit(ratelimit.Rate{Count: c.BadSignatures, Per: time.Minute}),
		requests:            table.Limit(c.Limits.Requests),
		newAccounts:         table.Limit(c.Limits.NewAccounts),
		networkAccounts:     table.Limit(c.Limits.NetworkAccounts),
		externalKeyFailures: table.Limit(c.Limits.ExternalKeyFailures),
		polls:               table.Limit(c.Limits.Polls),
		now:                 c.Now,
	}
}

// Limited says how often each rate refused, by its name in the configuration,
// and Shed how many requests were put off.
func (s *Server) Limited() map[string]int64 {
	l := s.limits
	return map[string]int64{
		"bad_signatures": l.badSignatures.Refused(), "requests": l.requests.Refused(), "new_accounts": l.newAccounts.Refused(),
		"network_accounts": l.networkAccounts.Refused(), "external_key_failures": l.externalKeyFailures.Refused(), "polls": l.polls.Refused(),
	}
}

// Shed says how many requests were put off because too many waited.
func (s *Server) Shed() int64 { return s.limits.shed.Load() }

// request counts a request of an address.
func (l *limits) request(r *http.Request) *acme.Problem {
	if l.requests == nil {
		return nil
	}
	peer, ok := peerOf(r.RemoteAddr)
	if !ok {
		return nil
	}
	if wait := ratelimit.For(l.requests, peer).Take(); wait > 0 {
		return l.over(wait, "too many requests came from your address: the limit is %s", l.requests.Rate())
	}
	return nil
}

// banned refuses an address from which too many bad signatures came (SL-11).
func (l *limits) banned(r *http.Request) *acme.Problem {
	peer, ok := peerOf(r.RemoteAddr)
	if !ok {
		return nil
	}
	if wait := ratelimit.For(l.badSignatures, peer).Wait(); wait > 0 {
		return l.over(wait, "too many requests with a bad signature came from your address: the limit is %s", l.badSignatures.Rate())
	}
	return nil
}

func (l *limits) badSignature(r *http.Request) {
	if peer, ok := peerOf(r.RemoteAddr); ok {
		ratelimit.For(l.badSignatures, peer).Take()
	}
}

// newAccount takes one of the new accounts of an address and of its network.
// giveBack is for when none was made.
func (l *limits) newAccount(r *http.Request) (giveBack func(), p *acme.Problem) {
	peer, ok := peerOf(r.RemoteAddr)
	if !ok || l.newAccounts == nil && l.networkAccounts == nil {
		return func() {}, nil
	}
	address, network := ratelimit.For(l.newAccounts, peer), ratelimit.Claim{}
	if !peer.Addr().Is4() {
		wide, err := peer.Addr().Prefix(48)
		if err == nil {
			network = ratelimit.For(l.networkAccounts, wide)
		}
	}
	refusing, wait := ratelimit.TakeAll(address, network)
	switch {
	case wait == 0:
		return func() { address.Return(); network.Return() }, nil
	case refusing == address:
		return nil, l.over(wait, "too many accounts were made from your address: the limit is %s", refusing.Limit().Rate())
	default:
		return nil, l.over(wait, "too many accounts were made from your network: the limit is %s", refusing.Limit().Rate())
	}
}

// mayBind refuses an address that tried too many bindings that were not
// accepted: keys are not to be guessed, nor to be probed for (SL-26).
func (l *limits) mayBind(r *http.Request) *acme.Problem {
	peer, ok := peerOf(r.RemoteAddr)
	if !ok {
		return nil
	}
	if wait := ratelimit.For(l.externalKeyFailures, peer).Wait(); wait > 0 {
		return l.over(wait, "too many external account bindings from your address were not accepted: the limit is %s", l.externalKeyFailures.Rate())
	}
	return nil
}

// bound counts a binding that was not accepted.
func (l *limits) bound(r *http.Request, err error) {
	var p *acme.Problem
	if !errors.As(err, &p) || p.Type != acme.Unauthorized {
		return
	}
	if peer, ok := peerOf(r.RemoteAddr); ok {
		ratelimit.For(l.externalKeyFailures, peer).Take()
	}
}

// polled is an order that an account looks at.
type polled struct {
	account acme.AccountID
	order   string
}

// poll counts a look at an order (SL-25).
func (l *limits) poll(owner acme.AccountID, order string) *acme.Problem {
	if wait := ratelimit.For(l.polls, polled{owner, order}).Take(); wait > 0 {
		return l.over(wait, "you look at this order too often: the limit is %s; the Retry-After of an order says when something may have happened", l.polls.Rate())
	}
	return nil
}

func (l *limits) over(wait time.Duration, format string, args ...any) *acme.Problem {
	return acme.OverLimit(wait, l.now(), format, args...)
}

// worth says what is put off first when too much waits (SL-45): new orders,
// then new accounts. 0 is never put off: it ends work rather than begins it.
func (row route) worth() int {
	switch row.entry {
	case "newOrder", "newAuthz":
		return 1
	case "newAccount":
		return 2
	default:
		return 0
	}
}

// waitingChecks is how many requests may wait for each slot of the signature
// checks before new orders are put off: half a second's worth of RSA.
const waitingChecks = 256

// crowded puts a request off before anything is spent on it, when too many
// wait for their signatures to be checked.
func (s *Server) crowded(row route) *acme.Problem {
	worth := row.worth()
	if worth == 0 || s.waiting.Load() < int64(worth*waitingChecks*cap(s.checks)) {
		return nil
	}
	s.limits.shed.Add(1)
	return acme.Overloaded(10*time.Second, "more requests wait than the server can answer now")
}

// peerOf returns what an address counts as: itself, or its /64.
func peerOf(remote string) (netip.Prefix, bool) { return ratelimit.Peer(remote) }
