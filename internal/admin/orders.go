package admin

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// Order is the wire form of an order.
type Order struct {
	ID             string       `json:"id"`
	Account        string       `json:"account"`
	Directory      string       `json:"directory"`
	Profile        string       `json:"profile"`
	Member         string       `json:"member,omitempty"`
	Status         string       `json:"status"`
	Identifiers    []Identifier `json:"identifiers"`
	Authorizations []string     `json:"authorizations"`
	CreatedAt      *time.Time   `json:"created_at"`
	Expires        *time.Time   `json:"expires"`
	NotBefore      *time.Time   `json:"not_before,omitempty"`
	NotAfter       *time.Time   `json:"not_after,omitempty"`
	Submission     string       `json:"submission,omitempty"`
	Certificate    string       `json:"certificate,omitempty"`
	Replaces       string       `json:"replaces,omitempty"`
	AttachedTo     string       `json:"attached_to,omitempty"`
	// Submitted is there for an order that did not come over ACME.
	Submitted *Submitter `json:"submitted,omitempty"`
	Problem   *Problem   `json:"problem,omitempty"`
	History   []Event    `json:"history,omitempty"`
	// XRoad is the usage that a Security Server ordered for, empty for other
	// clients, and Refused why its last finalize request was refused.
	XRoad   string `json:"xroad,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// Identifier is the wire form of an identifier.
type Identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Problem is the wire form of a problem.
type Problem struct {
	Type   string   `json:"type"`
	Detail string   `json:"detail"`
	Parts  []string `json:"parts,omitempty"`
}

// Event is one line in the life of an order.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Authorization is the wire form of an authorization.
type Authorization struct {
	ID string `json:"id"`
	// Order is what it was made for; empty when it was asked for ahead of any.
	Order      string      `json:"order"`
	Account    string      `json:"account"`
	Identifier Identifier  `json:"identifier"`
	Wildcard   bool        `json:"wildcard,omitempty"`
	Status     string      `json:"status"`
	Expires    *time.Time  `json:"expires"`
	Challenges []Challenge `json:"challenges"`
	// Sharing are the further orders that it serves, Profile by whose rules it
	// is proved when there is no order to say so.
	Sharing []string `json:"sharing,omitempty"`
	Profile string   `json:"profile,omitempty"`
	// CAACheckedAt is when CAA records last allowed a certificate.
	CAACheckedAt *time.Time `json:"caa_checked_at,omitempty"`
}

// Challenge is the wire form of a challenge. Its token stays out: whoever has
// it and nothing else could ask a target about somebody's order.
type Challenge struct {
	Type        string     `json:"type"`
	Status      string     `json:"status"`
	Attempts    int        `json:"attempts"`
	ValidatedAt *time.Time `json:"validated_at,omitempty"`
	Problem     *Problem   `json:"problem,omitempty"`
	// Trials are the attempts that failed.
	Trials []Trial `json:"trials,omitempty"`
}

// Trial is the wire form of an attempt at a challenge that failed.
type Trial struct {
	At     *time.Time `json:"at"`
	Detail string     `json:"detail"`
	Steps  []string   `json:"steps,omitempty"`
}

// Submission is the wire form of what was asked of a CA.
type Submission struct {
	ID          string     `json:"id"`
	Key         string     `json:"key"`
	Batch       string     `json:"batch,omitempty"`
	Order       string     `json:"order"`
	Account     string     `json:"account"`
	Backend     string     `json:"backend"`
	CreatedAt   *time.Time `json:"created_at"`
	SentAt      *time.Time `json:"sent_at,omitempty"`
	Attempts    int        `json:"attempts"`
	Ticket      string     `json:"ticket,omitempty"`
	Deadline    *time.Time `json:"deadline,omitempty"`
	Evidence    string     `json:"evidence,omitempty"`
	Misses      int        `json:"misses,omitempty"`
	Quarantined int        `json:"quarantined,omitempty"`
	// Quarantine is what the CA sent and nobody gets, in PEM: what came first comes
	// first. What is in it need not be certificates.
	Quarantine string     `json:"quarantine,omitempty"`
	KeyHash    string     `json:"key_hash"`
	ApproveBy  *time.Time `json:"approve_by,omitempty"`
	Approval   *Approval  `json:"approval,omitempty"`
}

// Job is the wire form of due work.
type Job struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	Due       *time.Time `json:"due"`
	Attempt   int        `json:"attempt"`
	Account   string     `json:"account,omitempty"`
	Subject   string     `json:"subject"`
	Backend   string     `json:"backend,omitempty"`
	Parked    string     `json:"parked,omitempty"`
	LastError string     `json:"last_error,omitempty"`
	// Failures counts those since a step last got somewhere. Credentials says
	// that the last one was a CA that does not accept ours.
	Failures    int        `json:"failures,omitempty"`
	Credentials bool       `json:"credentials,omitempty"`
	LeasedUntil *time.Time `json:"leased_until,omitempty"`
	// Waits says who has to approve the order: "here" or "ca".
	Waits string `json:"waits,omitempty"`
}

// Explanation is everything there is to know of an order.
type Explanation struct {
	Order          Order           `json:"order"`
	Authorizations []Authorization `json:"authorizations"`
	Submission     *Submission     `json:"submission,omitempty"`
	Job            *Job            `json:"job,omitempty"`
	ValidationJobs []Job           `json:"validation_jobs,omitempty"`
	Certificate    *Certificate    `json:"certificate,omitempty"`
	// Attached are the orders that wait for the same certificate.
	Attached []string `json:"attached,omitempty"`
	// Offline says that no server is at work on it.
	Offline bool `json:"offline"`
}

// Retry is the body of a request to put a parked order back to work.
type Retry struct {
	// Resend says that the operator answers for the CA not having the request.
	Resend bool `json:"resend"`
}

// Abandon is the body of a request to end an order.
type Abandon struct {
	Reason string `json:"reason"`
	// Cancel has the CA asked first to give the order up.
	Cancel bool `json:"cancel,omitempty"`
}

// Done says what became of a request that changes something.
type Done struct {
	// Note is for the operator; empty when everything is done.
	Note string `json:"note,omitempty"`
}

func (h *handler) mountOrders(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/orders", h.answer(func(r *http.Request) (any, error) {
		account := acme.AccountID(r.FormValue("account"))
		return page(r, func(ctx context.Context, p storage.Page) ([]acme.Order, string, error) {
			return h.Operator.Orders(ctx, account, p)
		}, func(o acme.Order) Order { return viewOrder(o.At(h.Now())) })
	}))
	mux.HandleFunc("GET /v1/jobs/parked", h.answer(func(r *http.Request) (any, error) {
		return page(r, h.Operator.Parked, viewJob)
	}))
	mux.HandleFunc("GET /v1/orders/{id}", h.answer(func(r *http.Request) (any, error) {
		x, err := h.Operator.Explain(r.Context(), acme.OrderID(r.PathValue("id")))
		if err != nil {
			return nil, err
		}
		v := viewExplanation(x)
		v.Offline = h.Offline
		return v, nil
	}))
	mux.HandleFunc("POST /v1/orders/{id}/retry", h.answer(h.retryOrder))
	mux.HandleFunc("POST /v1/orders/{id}/abandon", h.answer(h.abandonOrder))
}

func (h *handler) retryOrder(r *http.Request) (any, error) {
	body, err := read[Retry](r)
	if err != nil {
		return nil, err
	}
	if err := h.Operator.Retry(r.Context(), acme.OrderID(r.PathValue("id")), body.Resend); err != nil {
		return nil, err
	}
	return h.done("the order is resumed"), nil
}

func (h *handler) abandonOrder(r *http.Request) (any, error) {
	body, err := read[Abandon](r)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(body.Reason) == "" {
		return nil, badRequest("give a reason; the client is told")
	}
	end := h.Operator.Abandon
	if body.Cancel {
		if h.Offline {
			return nil, badRequest("no server is running here, and only that speaks with the CA: start it, or end the order without --cancel")
		}
		end = h.Operator.Cancel
	}
	if err := end(r.Context(), acme.OrderID(r.PathValue("id")), body.Reason); err != nil {
		return nil, err
	}
	return Done{}, nil
}

// done says when the rest happens, if there is nobody to do it now.
func (h *handler) done(what string) Done {
	if h.Offline {
		return Done{Note: "no server is running here: " + what + " when it starts"}
	}
	return Done{}
}

func viewOrder(o acme.Order) Order {
	v := Order{
		Submitted: viewSubmitter(o.Submitted),
		ID:        string(o.ID), Account: string(o.Account), Directory: string(o.Directory), Profile: string(o.Profile),
		Member: string(o.Member), Status: string(o.Status), Identifiers: views(o.Identifiers, viewIdentifier),
		Authorizations: views(o.Authorizations, func(id acme.AuthorizationID) string { return string(id) }),
		CreatedAt:      timeOf(o.CreatedAt), Expires: timeOf(o.Expires), NotBefore: timeOf(o.NotBefore), NotAfter: timeOf(o.NotAfter),
		Submission: string(o.Submission), Certificate: string(o.Certificate), Replaces: o.Replaces, Problem: viewProblem(o.Problem),
		AttachedTo: string(o.AttachedTo), XRoad: string(o.XRoad), Refused: o.LastRefusal(),
	}
	for _, e := range o.History {
		v.History = append(v.History, Event{At: e.At.UTC(), What: e.What})
	}
	return v
}

func viewIdentifier(i acme.Identifier) Identifier {
	return Identifier{Type: string(i.Type), Value: i.Value}
}

func viewProblem(p *acme.Problem) *Problem {
	if p == nil {
		return nil
	}
	v := &Problem{Type: string(p.Type), Detail: p.Detail}
	for _, s := range p.Subproblems {
		v.Parts = append(v.Parts, s.Identifier.Value+": "+string(s.Type)+": "+s.Detail)
	}
	return v
}

func viewAuthorization(a acme.Authorization) Authorization {
	v := Authorization{
		ID: string(a.ID), Order: string(a.Order), Account: string(a.Account), Identifier: viewIdentifier(a.Identifier),
		Wildcard: a.Wildcard, Status: string(a.Status), Expires: timeOf(a.Expires), Profile: string(a.Profile),
		Sharing: views(a.Sharing, func(id acme.OrderID) string { return string(id) }),
		Challenges: views(a.Challenges, func(c acme.Challenge) Challenge {
			return Challenge{
				Type: string(c.Type), Status: string(c.Status), Attempts: c.Attempts,
				ValidatedAt: timeOf(c.ValidatedAt), Problem: viewProblem(c.Problem),
				Trials: views(c.Trials, func(t acme.Trial) Trial { return Trial{At: timeOf(t.At), Detail: t.Detail, Steps: t.Steps} }),
			}
		}),
	}
	if a.CAA != nil {
		v.CAACheckedAt = timeOf(a.CAA.At)
	}
	return v
}

func viewSubmission(s storage.Submission) Submission {
	quarantined := s.Quarantine
	if s.Reissue != nil {
		quarantined = slices.Concat(s.Reissue.Wrong, s.Quarantine)
	}
	return Submission{
		ID: string(s.ID), Key: s.Key, Batch: s.Batch, Order: string(s.Order), Account: string(s.Account), Backend: s.Backend,
		CreatedAt: timeOf(s.CreatedAt), SentAt: timeOf(s.SentAt), Attempts: s.Attempts, Ticket: s.Ticket,
		Deadline: timeOf(s.Deadline), Evidence: s.Evidence, Misses: s.Misses, Quarantined: len(quarantined), Quarantine: inPEM(quarantined),
		KeyHash: hex.EncodeToString(s.Contract.KeyHash[:]), ApproveBy: timeOf(s.ApproveBy), Approval: viewApproval(s.Approval),
	}
}

func viewJob(j storage.Job) Job {
	return Job{
		ID: string(j.ID), Kind: string(j.Kind), Due: timeOf(j.Due), Attempt: j.Attempt, Account: string(j.Account),
		Subject: j.Subject, Backend: j.Backend, Parked: j.Parked, LastError: j.LastError, Failures: j.Failures, Credentials: j.Credentials && j.LastError != "",
		LeasedUntil: timeOf(j.Lease.Until), Waits: string(j.Waits),
	}
}

func viewExplanation(x engine.Explanation) Explanation {
	v := Explanation{Order: viewOrder(x.Order), Authorizations: views(x.Authorizations, viewAuthorization)}
	for _, id := range x.Attached {
		v.Attached = append(v.Attached, string(id))
	}
	if x.Submission != nil {
		s := viewSubmission(*x.Submission)
		v.Submission = &s
	}
	if x.Job != nil {
		j := viewJob(*x.Job)
		v.Job = &j
	}
	for _, j := range x.ValidationJobs {
		v.ValidationJobs = append(v.ValidationJobs, viewJob(j))
	}
	if x.Certificate != nil {
		c := viewCertificate(*x.Certificate)
		v.Certificate = &c
	}
	return v
}
