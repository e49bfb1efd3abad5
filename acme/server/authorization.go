package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"acmebridge/acme"
)

// authorizationObject is the wire form of an authorization (RFC 8555, 7.1.4).
type authorizationObject struct {
	Identifier identifierObject  `json:"identifier"`
	Status     string            `json:"status"`
	Expires    string            `json:"expires"`
	Challenges []challengeObject `json:"challenges"`
	// Wildcard is absent unless true (R8555-7.4-7).
	Wildcard bool `json:"wildcard,omitempty"`
}

// challengeObject is the wire form of a challenge (RFC 8555, 8).
type challengeObject struct {
	Type      string `json:"type"`
	URL       string `json:"url"`
	Status    string `json:"status"`
	Validated string `json:"validated,omitempty"`
	Token     string `json:"token,omitempty"`
	// The names of the CA in a record of dns-persist-01 (RDP-1), as revision 02
	// of the draft spells the member, and as revision 01 does.
	IssuerDomainNames  []string       `json:"issuerDomainNames,omitempty"`
	IssuerDomainNames1 []string       `json:"issuer-domain-names,omitempty"`
	Error              *problemObject `json:"error,omitempty"`
}

func (st *site) authorizationWire(a acme.Authorization) authorizationObject {
	w := authorizationObject{
		Identifier: identifierObject{Type: string(a.Identifier.Type), Value: a.Identifier.Wire()},
		Status:     string(a.Status), Expires: stamp(a.Expires), Wildcard: a.Wildcard,
		Challenges: make([]challengeObject, len(a.Challenges)),
	}
	for i, c := range a.Challenges {
		w.Challenges[i] = st.challengeWire(a, c)
	}
	return w
}

func (st *site) challengeWire(a acme.Authorization, c acme.Challenge) challengeObject {
	w := challengeObject{
		Type: string(c.Type), URL: st.challengeURL(a.ID, c.Type), Status: string(c.Status),
		Validated: stamp(c.ValidatedAt), Token: c.Token,
	}
	if st.cfg.AccountHashPrefix != "" {
		w.IssuerDomainNames = c.IssuerDomainNames
	} else {
		w.IssuerDomainNames1 = c.IssuerDomainNames
	}
	if c.Status == acme.ChallengeInvalid && c.Problem != nil { // R8555-8-2
		w.Error = problemWire(c.Problem)
		// R8555-8.2-2: an entry for each attempt, so that whoever reads it sees
		// what was looked up and connected to.
		for i, t := range c.Trials {
			w.Error.Subproblems = append(w.Error.Subproblems, subproblemObject{
				Type:       acme.ProblemPrefix + string(t.Type),
				Detail:     fmt.Sprintf("attempt %d of %d at %s: %s", i+1, len(c.Trials), stamp(t.At), t),
				Identifier: &identifierObject{Type: string(a.Identifier.Type), Value: a.Identifier.Wire()},
			})
		}
	}
	return w
}

// newAuthorization lets an account prove a name ahead of any order (RFC 8555,
// 7.4.1).
func (st *site) newAuthorization(rq *request) error {
	var payload struct {
		Identifier identifierObject `json:"identifier"`
	}
	if p := rq.decode(&payload); p != nil {
		return p
	}
	id := payload.Identifier
	if id.Type == "" || id.Value == "" {
		return acme.Problemf(acme.Malformed, "the request names no identifier, with type and value")
	}
	a, err := st.cfg.Engine.NewAuthorization(rq.r.Context(), rq.account, acme.Identifier{Type: acme.IdentifierType(id.Type), Value: id.Value})
	if err != nil {
		return err
	}
	rq.w.Header().Set("Location", st.authorizationURL(a.ID)) // R8555-7.4.1-4
	return rq.json(http.StatusCreated, st.authorizationWire(a))
}

// authorization reads or deactivates an authorization (RFC 8555, 7.5).
func (st *site) authorization(rq *request) error {
	id, p := rq.id("authz")
	if p != nil {
		return p
	}
	if rq.signed.PostAsGet() {
		a, retry, err := st.cfg.Engine.Authorization(rq.r.Context(), rq.account.ID, acme.AuthorizationID(id))
		if err != nil {
			return err
		}
		rq.comeBack(retry)
		return rq.json(http.StatusOK, st.authorizationWire(a))
	}
	var update struct {
		Status string `json:"status"`
	}
	if p := rq.decode(&update); p != nil {
		return p
	}
	if update.Status != string(acme.AuthorizationDeactivated) {
		return acme.Problemf(acme.Malformed, "an authorization can only be read, or be deactivated with {\"status\":\"deactivated\"}")
	}
	a, err := st.cfg.Engine.DeactivateAuthorization(rq.r.Context(), rq.account.ID, acme.AuthorizationID(id))
	if err != nil {
		return err
	}
	return rq.json(http.StatusOK, st.authorizationWire(a))
}

// challenge reads a challenge, or takes the client's word that it is ready to
// be tried (RFC 8555, 7.5.1). An object does the latter, whatever is in it
// (R8555-7.5.1-1).
func (st *site) challenge(rq *request) error {
	v, p := rq.id("authz")
	if p != nil {
		return p
	}
	id, t := acme.AuthorizationID(v), acme.ChallengeType(rq.variable("type"))
	var a acme.Authorization
	var retry time.Duration
	var err error
	if rq.signed.PostAsGet() {
		a, retry, err = st.cfg.Engine.Authorization(rq.r.Context(), rq.account.ID, id)
	} else {
		var ignored map[string]json.RawMessage
		if p := rq.decode(&ignored); p != nil {
			return p
		}
		a, retry, err = st.cfg.Engine.Respond(rq.r.Context(), rq.account, id, t)
	}
	if err != nil {
		return err
	}
	i := a.Challenge(t)
	if i < 0 {
		return acme.NotFound()
	}
	rq.link(st.authorizationURL(a.ID), "up") // D8: certbot insists
	rq.comeBack(retry)
	return rq.json(http.StatusOK, st.challengeWire(a, a.Challenges[i]))
}
