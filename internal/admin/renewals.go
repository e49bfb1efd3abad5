package admin

import (
	"context"
	"net/http"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// Renewal is the wire form of when a certificate should be renewed.
type Renewal struct {
	Certificate Certificate `json:"certificate"`
	// CertID is the name of the certificate in RFC 9773.
	CertID      string     `json:"cert_id"`
	WindowStart *time.Time `json:"window_start"`
	WindowEnd   *time.Time `json:"window_end"`
	// DecidedBy is member, operator, revocation, backend, profile or usual.
	DecidedBy      string `json:"decided_by"`
	ExplanationURL string `json:"explanation_url,omitempty"`
	Reason         string `json:"reason,omitempty"`
	// AskAgain is after how many seconds clients are to ask again.
	AskAgain int `json:"ask_again_seconds"`
	// ReplacedBy is the order that says it replaces the certificate.
	ReplacedBy string `json:"replaced_by,omitempty"`
	// CAAsked is when the CA was last heard on this renewal, if ever.
	CAAsked *time.Time `json:"ca_heard_at,omitempty"`
}

// MoveRenewal is the body of a request to decide when to renew one certificate,
// or those of a member, a profile or a backend.
type MoveRenewal struct {
	Certificate string `json:"certificate,omitempty"`
	Member      string `json:"member,omitempty"`
	Profile     string `json:"profile,omitempty"`
	Backend     string `json:"backend,omitempty"`

	WindowStart *time.Time `json:"window_start,omitempty"`
	WindowEnd   *time.Time `json:"window_end,omitempty"`
	// AtOnce and Usual stand in place of a window.
	AtOnce bool `json:"at_once,omitempty"`
	Usual  bool `json:"usual,omitempty"`

	ExplanationURL string     `json:"explanation_url,omitempty"`
	Reason         string     `json:"reason,omitempty"`
	IssuedBefore   *time.Time `json:"issued_before,omitempty"`
}

// MovedRenewal is what came of it.
type MovedRenewal struct {
	// Changed is false when it was decided so already.
	Changed bool `json:"changed"`
	// Certificates is how many the decision is about.
	Certificates int `json:"certificates"`
	// TooShort is how many more end before the window begins, and keep the one
	// that they have.
	TooShort     int        `json:"too_short,omitempty"`
	WindowStart  *time.Time `json:"window_start,omitempty"`
	WindowEnd    *time.Time `json:"window_end,omitempty"`
	DecidedAt    *time.Time `json:"decided_at,omitempty"`
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
}

// RenewalDecision is a decision in force about the certificates of a member, a
// profile or a backend.
type RenewalDecision struct {
	Member         string     `json:"member,omitempty"`
	Profile        string     `json:"profile,omitempty"`
	Backend        string     `json:"backend,omitempty"`
	WindowStart    *time.Time `json:"window_start"`
	WindowEnd      *time.Time `json:"window_end"`
	IssuedBefore   *time.Time `json:"issued_before"`
	DecidedAt      *time.Time `json:"decided_at"`
	ExplanationURL string     `json:"explanation_url,omitempty"`
	Reason         string     `json:"reason,omitempty"`
}

func (h *handler) mountRenewals(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/renewals", h.answer(h.listRenewals))
	mux.HandleFunc("GET /v1/renewals/{id}", h.answer(func(r *http.Request) (any, error) {
		d, err := h.Operator.Renewal(r.Context(), acme.CertificateID(r.PathValue("id")))
		if err != nil {
			return nil, err
		}
		return viewRenewal(d), nil
	}))
	mux.HandleFunc("POST /v1/renewals", h.answer(h.moveRenewal))
	mux.HandleFunc("GET /v1/renewal-decisions", h.answer(func(r *http.Request) (any, error) {
		all, err := h.Operator.RenewalDecisions(r.Context())
		return Page[RenewalDecision]{Items: views(all, viewRenewalDecision)}, err
	}))
}

func (h *handler) listRenewals(r *http.Request) (any, error) {
	f := engine.RenewalFilter{
		Member: acme.MemberID(r.FormValue("member")), Profile: acme.ProfileName(r.FormValue("profile")), Backend: r.FormValue("backend"),
	}
	if text := r.FormValue("due_before"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, badRequest("due_before is a time as in RFC 3339")
		}
		f.DueBefore = t
	}
	return page(r, func(ctx context.Context, p storage.Page) ([]engine.DueRenewal, string, error) {
		return h.Operator.Renewals(ctx, f, p)
	}, viewRenewal)
}

func (h *handler) moveRenewal(r *http.Request) (any, error) {
	body, err := read[MoveRenewal](r)
	if err != nil {
		return nil, err
	}
	done, err := h.Operator.MoveRenewal(r.Context(), engine.RenewalMove{
		Certificate: acme.CertificateID(body.Certificate), Member: acme.MemberID(body.Member), Profile: acme.ProfileName(body.Profile), Backend: body.Backend,
		Window: acme.Window{Start: given(body.WindowStart), End: given(body.WindowEnd)}, AtOnce: body.AtOnce, Lift: body.Usual,
		Explanation: body.ExplanationURL, Reason: body.Reason, IssuedBefore: given(body.IssuedBefore),
	})
	if err != nil {
		return nil, err
	}
	return MovedRenewal{
		Changed: done.Changed, Certificates: done.Certificates, TooShort: done.TooShort, WindowStart: timeOf(done.Renewal.Window.Start), WindowEnd: timeOf(done.Renewal.Window.End),
		DecidedAt: timeOf(done.Renewal.At), IssuedBefore: timeOf(done.Renewal.IssuedBefore),
	}, nil
}

// given is the inverse of timeOf.
func given(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func viewRenewal(d engine.DueRenewal) Renewal {
	c, s := d.Certificate, d.Suggestion
	v := Renewal{
		Certificate: viewCertificate(c), CertID: acme.CertID(c.AuthorityKeyID, c.Serial),
		WindowStart: timeOf(s.Window.Start), WindowEnd: timeOf(s.Window.End), DecidedBy: string(s.Source),
		ExplanationURL: s.Explanation, Reason: s.Reason, AskAgain: int(s.Again.Seconds()), ReplacedBy: string(c.ReplacedBy),
	}
	if c.RenewalAdvice != nil {
		v.CAAsked = timeOf(c.RenewalAdvice.At)
	}
	return v
}

func viewRenewalDecision(d engine.RenewalDecision) RenewalDecision {
	r := d.Renewal
	return RenewalDecision{
		Member: string(d.Member), Profile: string(d.Profile), Backend: d.Backend,
		WindowStart: timeOf(r.Window.Start), WindowEnd: timeOf(r.Window.End), IssuedBefore: timeOf(r.IssuedBefore), DecidedAt: timeOf(r.At),
		ExplanationURL: r.Explanation, Reason: r.Reason,
	}
}
