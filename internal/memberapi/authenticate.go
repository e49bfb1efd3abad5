package memberapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/internal/ratelimit"
)

// Identities knows people by bearer tokens that others made.
type Identities interface {
	// Identify returns whose token it is, or an error that wraps ErrUnknown for
	// one that is not accepted.
	Identify(ctx context.Context, bearer string) (Identity, error)
}

// Identity is a person, and the members that it may act for.
type Identity struct {
	Name    string
	Members []acme.MemberID
}

// ErrUnknown says that a token is not accepted, for a reason that is only for
// the log.
var ErrUnknown = errors.New("the token is not accepted")

// organizationHeader selects one of the members that a person may act for.
const organizationHeader = "X-Organization"

// authenticate finds out who asks. On open routes nobody has to say.
func (a *API) authenticate(q *request, open bool) error {
	header := q.r.Header.Get("Authorization")
	if header == "" && open {
		return nil
	}
	scheme, bearer, _ := strings.Cut(header, " ")
	bearer = strings.TrimSpace(bearer)
	if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		return unauthorized("show a token of your member, as Authorization: Bearer")
	}
	peer, counted := ratelimit.Peer(q.r.RemoteAddr)
	if counted {
		if wait := ratelimit.For(a.failures, peer).Wait(); wait > 0 {
			return acme.OverLimit(wait, a.cfg.Now(), "too many tokens from your address were not accepted: the limit is %s", a.failures.Rate())
		}
	}
	d, err := a.delegate(q, bearer)
	if errors.Is(err, ErrUnknown) || errors.Is(err, engine.ErrNobody) {
		if counted {
			ratelimit.For(a.failures, peer).Take()
		}
		a.log.Warn("a token for the member API was not accepted", "event", "member_api.stranger", "from", q.r.RemoteAddr, "cause", err)
		return unauthorized("the token was not accepted; it may have expired or been revoked. Ask the operator for another one, or log in again")
	}
	if err != nil {
		return err
	}
	q.delegate, q.known = d, true
	return nil
}

func (a *API) delegate(q *request, bearer string) (engine.Delegate, error) {
	wanted := acme.MemberID(q.r.Header.Get(organizationHeader))
	if _, ours := acme.MemberOfToken(bearer); ours {
		d, err := a.cfg.Engine.DelegateByToken(q.ctx(), bearer)
		if err == nil && wanted != "" && wanted != d.Member() {
			return d, foreign(wanted)
		}
		return d, err
	}
	if a.cfg.Identities == nil {
		return engine.Delegate{}, engine.ErrNobody
	}
	id, err := a.cfg.Identities.Identify(q.ctx(), bearer)
	if err != nil {
		return engine.Delegate{}, err
	}
	switch {
	case wanted == "" && len(id.Members) == 1:
		wanted = id.Members[0]
	case wanted == "":
		return engine.Delegate{}, acme.Problemf(acme.Malformed, "you may act for %d members; say for which with the header %s", len(id.Members), organizationHeader)
	}
	for _, m := range id.Members {
		if m == wanted {
			return a.cfg.Engine.DelegateOf(q.ctx(), m, id.Name)
		}
	}
	return engine.Delegate{}, foreign(wanted)
}

func foreign(m acme.MemberID) *acme.Problem {
	return acme.Problemf(acme.Unauthorized, "you may not act for member %.100q", string(m))
}

func unauthorized(detail string) *acme.Problem {
	return acme.Problemf(acme.Unauthorized, "%s", detail).WithStatus(http.StatusUnauthorized)
}
