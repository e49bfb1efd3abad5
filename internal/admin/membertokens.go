package admin

import (
	"net/http"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// MemberToken is the wire form of a token for the member API.
type MemberToken struct {
	ID        string     `json:"id"`
	Member    string     `json:"member"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	Status    string     `json:"status"`
	CreatedAt *time.Time `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	Expires   *time.Time `json:"expires"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// NewMemberToken is the body of a request to make one.
type NewMemberToken struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes,omitempty"`
	Expires *time.Time `json:"expires"`
}

// CreatedMemberToken is the answer to it, and the only place where the token
// itself ever appears.
type CreatedMemberToken struct {
	MemberToken
	Token string `json:"token"`
}

func (h *handler) mountMemberTokens(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/members/{id}/tokens", h.answer(func(r *http.Request) (any, error) {
		m, err := h.Operator.Member(r.Context(), acme.MemberID(r.PathValue("id")))
		return Page[MemberToken]{Items: views(m.Tokens, func(t acme.MemberToken) MemberToken { return h.viewMemberToken(m.ID, t) })}, err
	}))
	mux.HandleFunc("POST /v1/members/{id}/tokens", h.answer(h.createMemberToken))
	mux.HandleFunc("POST /v1/members/{id}/tokens/{token}/revoke", h.answer(func(r *http.Request) (any, error) {
		member := acme.MemberID(r.PathValue("id"))
		t, err := h.Operator.RevokeMemberToken(r.Context(), member, r.PathValue("token"), caller(r))
		return h.viewMemberToken(member, t), err
	}))
}

func (h *handler) createMemberToken(r *http.Request) (any, error) {
	body, err := read[NewMemberToken](r)
	if err != nil {
		return nil, err
	}
	if body.Expires == nil {
		return nil, badRequest("say when the token ends")
	}
	n := engine.NewMemberToken{Member: acme.MemberID(r.PathValue("id")), Name: body.Name, Expires: *body.Expires, By: caller(r)}
	for _, s := range body.Scopes {
		n.Scopes = append(n.Scopes, acme.TokenScope(s))
	}
	t, text, err := h.Operator.CreateMemberToken(r.Context(), n)
	if err != nil {
		return nil, err
	}
	return CreatedMemberToken{h.viewMemberToken(n.Member, t), text}, nil
}

func (h *handler) viewMemberToken(member acme.MemberID, t acme.MemberToken) MemberToken {
	return MemberToken{
		ID: t.ID, Member: string(member), Name: t.Name, Scopes: texts(t.Scopes), Status: t.Standing(h.Now()),
		CreatedAt: timeOf(t.CreatedAt), CreatedBy: t.CreatedBy, Expires: timeOf(t.Expires), RevokedAt: timeOf(t.RevokedAt),
	}
}
