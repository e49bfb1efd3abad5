package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// MemberContent is what the registry says of a member.
type MemberContent struct {
	ID          string            `json:"id" yaml:"id"`
	Name        string            `json:"name,omitempty" yaml:"name"`
	Identifiers []string          `json:"identifiers,omitempty" yaml:"identifiers"`
	Profiles    []string          `json:"profiles,omitempty" yaml:"profiles"`
	Attributes  map[string]string `json:"attributes,omitempty" yaml:"attributes"`
	// OpenOrders and Certificates are what it may have at a time; 0 is no limit.
	OpenOrders   int `json:"open_orders,omitempty" yaml:"open_orders"`
	Certificates int `json:"certificates,omitempty" yaml:"certificates"`
	// Country, Roles and Applications are for IB1 frameworks. Those that are
	// absent stay as they are; an empty list takes all.
	Country      string        `json:"country,omitempty" yaml:"country"`
	Roles        []string      `json:"roles,omitzero" yaml:"roles"`
	Applications []Application `json:"applications,omitzero" yaml:"applications"`
}

// Member is the wire form of a member.
type Member struct {
	MemberContent
	Version   int        `json:"version"`
	Status    string     `json:"status"`
	Reason    string     `json:"reason,omitempty"`
	ChangedAt *time.Time `json:"changed_at"`
	// Progress is there for one member that is not active.
	Progress *MemberProgress `json:"progress,omitempty"`
	// Review is there once the registry took something from it.
	Review *Review `json:"review,omitempty"`
}

// Review is how far the certificates of a member were gone through after the
// registry took something from it.
type Review struct {
	Since   *time.Time `json:"since"`
	Revoked int        `json:"certificates_revoked"`
	Done    bool       `json:"done"`
}

// MemberProgress is how far the end of a member has got.
type MemberProgress struct {
	Since      *time.Time `json:"since"`
	Revoke     bool       `json:"revoke"`
	Open       int        `json:"orders_open"`
	Processing int        `json:"orders_processing"`
	Standing   int        `json:"certificates_standing"`
	Revoking   int        `json:"certificates_revoking"`
	Revoked    int        `json:"certificates_revoked"`
	Done       bool       `json:"done"`
}

// UpdateMember is the body of a request to replace what is said of a member, and
// an entry of an import with ImportMode.Versioned.
type UpdateMember struct {
	MemberContent
	// Version is the one that the change was made to.
	Version int `json:"version"`
}

// StopMember is the body of a request to freeze, thaw or remove a member.
type StopMember struct {
	Reason string `json:"reason,omitempty"`
	Revoke bool   `json:"revoke,omitempty"`
	// RevocationReason is a number of RFC 5280; 0 means cessationOfOperation.
	RevocationReason int `json:"revocation_reason,omitempty"`
}

// Import is what an import did.
type Import struct {
	Created   []string `json:"created"`
	Changed   []string `json:"changed"`
	Unchanged []string `json:"unchanged"`
	Removed   []string `json:"removed"`
	// Narrowed have less than before, so some of their certificates are revoked.
	Narrowed []string `json:"narrowed,omitempty"`
	// Refused were left out, with ImportMode.SkipRefused.
	Refused []Refused `json:"refused,omitempty"`
	// Stale have changed since they were read, and were left out, with
	// ImportMode.Versioned and SkipRefused.
	Stale []string `json:"stale,omitempty"`
}

// Refused is a member of a list that the registry does not take.
type Refused struct {
	Member string `json:"member"`
	Reason string `json:"reason"`
}

// uploads is the path that may carry more than others.
const uploads = "/v1/member-import"

// MaxMemberImport bounds a list of members. It has room for a whole directory of a
// framework, of a hundred parts of a MiB each, and what the registry adds to it:
// a list is brought in as a whole or not at all, and an application may move in it
// from one member to another, so it cannot come in pages. Whoever may send it runs
// the server.
const MaxMemberImport = 128 << 20

func (h *handler) mountMembers(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/members", h.answer(func(r *http.Request) (any, error) { return page(r, h.Operator.Members, viewMember) }))
	mux.HandleFunc("POST /v1/members", h.answer(func(r *http.Request) (any, error) {
		body, err := read[MemberContent](r)
		if err != nil {
			return nil, err
		}
		m, err := h.Operator.CreateMember(r.Context(), body.member())
		return viewMember(m), err
	}))
	mux.HandleFunc("GET /v1/members/{id}", h.answer(func(r *http.Request) (any, error) {
		m, err := h.Operator.Member(r.Context(), acme.MemberID(r.PathValue("id")))
		if err != nil {
			return nil, err
		}
		return h.withProgress(r.Context(), m)
	}))
	mux.HandleFunc("POST /v1/members/{id}", h.answer(func(r *http.Request) (any, error) {
		body, err := read[UpdateMember](r)
		if err != nil {
			return nil, err
		}
		body.ID = r.PathValue("id")
		m, err := h.Operator.UpdateMember(r.Context(), body.member())
		return viewMember(m), err
	}))
	mux.HandleFunc("POST /v1/members/{id}/freeze", h.stopMember(h.Operator.FreezeMember))
	mux.HandleFunc("POST /v1/members/{id}/remove", h.stopMember(h.Operator.RemoveMember))
	mux.HandleFunc("POST /v1/members/{id}/thaw", h.answer(func(r *http.Request) (any, error) {
		body, err := read[StopMember](r)
		if err != nil {
			return nil, err
		}
		m, err := h.Operator.ThawMember(r.Context(), acme.MemberID(r.PathValue("id")), body.Reason)
		return viewMember(m), err
	}))
	mux.HandleFunc("POST "+uploads, h.answer(h.importMembers))
	h.mountApplications(mux)
	h.mountMemberTokens(mux)
}

func (h *handler) stopMember(stop func(context.Context, acme.MemberID, engine.Measures) (acme.Member, error)) http.HandlerFunc {
	return h.answer(func(r *http.Request) (any, error) {
		body, err := read[StopMember](r)
		if err != nil {
			return nil, err
		}
		if n := body.RevocationReason; n < 0 || n > 10 || n == 7 || acme.RevocationReason(n) == acme.RemoveFromCRL {
			return nil, badRequest("reason %d is none of RFC 5280 that revokes", n)
		}
		m, err := stop(r.Context(), acme.MemberID(r.PathValue("id")), engine.Measures{
			Reason: body.Reason, Revoke: body.Revoke, RevocationReason: acme.RevocationReason(body.RevocationReason),
		})
		if err != nil {
			return nil, err
		}
		return h.withProgress(r.Context(), m)
	})
}

func (h *handler) importMembers(r *http.Request) (any, error) {
	mode, err := importMode(r)
	if err != nil {
		return nil, err
	}
	body, err := read[[]UpdateMember](r)
	if err != nil {
		return nil, err
	}
	members := make([]acme.Member, len(body))
	for i, c := range body {
		if c.Version != 0 && !mode.Versioned {
			return nil, badRequest("entry %d has a version, which only an import with versioned=true looks at", i+1)
		}
		members[i] = c.member()
	}
	done, err := h.Operator.ImportMembers(r.Context(), members, mode)
	in := Import{Created: texts(done.Created), Changed: texts(done.Changed), Unchanged: texts(done.Unchanged), Removed: texts(done.Removed), Narrowed: texts(done.Narrowed)}
	if len(done.Stale) > 0 {
		in.Stale = texts(done.Stale)
	}
	for _, x := range done.Refused {
		why := x.Why.Error()
		var p *acme.Problem
		if errors.As(x.Why, &p) {
			why = p.Detail
		}
		in.Refused = append(in.Refused, Refused{string(x.ID), why})
	}
	return in, err
}

func (h *handler) withProgress(ctx context.Context, m acme.Member) (any, error) {
	v := viewMember(m)
	if m.Enforcement == nil {
		return v, nil
	}
	p, err := h.Operator.MemberProgress(ctx, m.ID)
	v.Progress = &MemberProgress{
		Since: timeOf(m.Enforcement.Since), Revoke: m.Enforcement.Revoke, Open: p.Open, Processing: p.Processing,
		Standing: p.Standing, Revoking: p.Revoking, Revoked: p.Revoked, Done: p.Done,
	}
	return v, err
}

func (c MemberContent) member() acme.Member {
	m := acme.Member{ID: acme.MemberID(c.ID), Name: c.Name, Identifiers: c.Identifiers, Attributes: c.Attributes, OpenOrders: c.OpenOrders, Certificates: c.Certificates, Country: c.Country, Roles: c.Roles}
	if c.Applications != nil {
		m.Applications = make([]acme.Application, len(c.Applications))
		for i, a := range c.Applications {
			m.Applications[i] = a.application()
		}
	}
	for _, p := range c.Profiles {
		m.Profiles = append(m.Profiles, acme.ProfileName(p))
	}
	return m
}

func (u UpdateMember) member() acme.Member {
	m := u.MemberContent.member()
	m.Version = u.Version
	return m
}

func viewMember(m acme.Member) Member {
	v := Member{
		MemberContent: MemberContent{
			ID: string(m.ID), Name: m.Name, Identifiers: m.Identifiers, Profiles: texts(m.Profiles), Attributes: m.Attributes,
			OpenOrders: m.OpenOrders, Certificates: m.Certificates, Country: m.Country, Roles: m.Roles,
		},
		Version: m.Version, Status: string(m.Status), Reason: m.Reason, ChangedAt: timeOf(m.ChangedAt),
	}
	for _, a := range m.Applications {
		v.Applications = append(v.Applications, viewApplication(m, a))
	}
	if x := m.Review; x != nil {
		v.Review = &Review{Since: timeOf(x.Since), Revoked: x.Certificates, Done: !x.DoneAt.IsZero()}
	}
	return v
}

// texts never returns nil.
func texts[T ~string](all []T) []string { return views(all, func(x T) string { return string(x) }) }
