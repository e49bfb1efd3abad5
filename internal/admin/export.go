package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// Lines of an export: each is one JSON object with its kind and the fields of
// its record. There is no secret in any of them.
type (
	exportedKey struct {
		Kind string `json:"kind"`
		ExternalKey
	}
	exportedMember struct {
		Kind string `json:"kind"`
		Member
	}
	exportedAccount struct {
		Kind string `json:"kind"`
		Account
	}
	exportedOrder struct {
		Kind string `json:"kind"`
		Order
	}
	exportedAuthorization struct {
		Kind string `json:"kind"`
		Authorization
	}
	exportedSubmission struct {
		Kind string `json:"kind"`
		Submission
	}
	exportedCertificate struct {
		Kind string `json:"kind"`
		Certificate
	}
	exportedJob struct {
		Kind string `json:"kind"`
		Job
	}
	exportedRenewalDecision struct {
		Kind string `json:"kind"`
		RenewalDecision
	}
	exportedPublication struct {
		Kind string `json:"kind"`
		List
		Backend string `json:"backend"`
	}
)

func (h *handler) export(w http.ResponseWriter, r *http.Request) {
	h.stream(w, "application/x-ndjson", func(w io.Writer) error { return h.writeExport(r.Context(), json.NewEncoder(w)) })
}

// writeExport writes everything, what others refer to first. Each page is read
// in a transaction of its own: a long one would keep the database from reusing
// space while clients go on writing.
func (h *handler) writeExport(ctx context.Context, e *json.Encoder) error {
	if err := each(ctx, h.Operator.ExternalKeys, func(k acme.ExternalAccountKey) error {
		return e.Encode(exportedKey{"key", h.viewExternalKey(k)})
	}); err != nil {
		return err
	}
	if err := each(ctx, h.Operator.Members, func(m acme.Member) error {
		return e.Encode(exportedMember{"member", viewMember(m)})
	}); err != nil {
		return err
	}
	decisions, err := h.Operator.RenewalDecisions(ctx)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		if err := e.Encode(exportedRenewalDecision{"renewal-decision", viewRenewalDecision(d)}); err != nil {
			return err
		}
	}
	if err := each(ctx, h.Operator.Accounts, func(a acme.Account) error {
		return e.Encode(exportedAccount{"account", viewAccount(a)})
	}); err != nil {
		return err
	}
	allOrders := func(ctx context.Context, p storage.Page) ([]acme.Order, string, error) {
		return h.Operator.Orders(ctx, "", p)
	}
	if err := each(ctx, allOrders, func(o acme.Order) error { return h.exportOrder(ctx, e, o.ID) }); err != nil {
		return err
	}
	if err := each(ctx, h.Operator.PreAuthorizations, func(x engine.PreAuthorization) error {
		if err := e.Encode(exportedAuthorization{"authorization", viewAuthorization(x.Authorization)}); err != nil || x.Job == nil {
			return err
		}
		return e.Encode(exportedJob{"job", viewJob(*x.Job)})
	}); err != nil {
		return err
	}
	allCertificates := func(ctx context.Context, p storage.Page) ([]acme.Certificate, string, error) {
		return h.Operator.Certificates(ctx, "", p)
	}
	if err := each(ctx, allCertificates, func(c acme.Certificate) error {
		v, err := h.certificate(ctx, c.ID)
		if err != nil {
			return err
		}
		return e.Encode(exportedCertificate{"certificate", v})
	}); err != nil {
		return err
	}
	return each(ctx, h.Operator.Publications, func(p storage.Publication) error {
		l := List{Name: p.Name, Number: p.Number, At: p.At.UTC().Format(timeLayout), Next: p.Next.UTC().Format(timeLayout)}
		return e.Encode(exportedPublication{"publication", l, p.Backend})
	})
}

// exportOrder writes an order and what belongs to it alone.
func (h *handler) exportOrder(ctx context.Context, e *json.Encoder, id acme.OrderID) error {
	x, err := h.Operator.Explain(ctx, id)
	if err != nil {
		return err
	}
	v := viewExplanation(x)
	if err := e.Encode(exportedOrder{"order", v.Order}); err != nil {
		return err
	}
	for _, a := range v.Authorizations {
		if a.Order != string(id) {
			continue // it is another order's, or nobody's, and comes with that
		}
		if err := e.Encode(exportedAuthorization{"authorization", a}); err != nil {
			return err
		}
	}
	if v.Submission != nil {
		if err := e.Encode(exportedSubmission{"submission", *v.Submission}); err != nil {
			return err
		}
	}
	jobs := v.ValidationJobs
	if v.Job != nil {
		jobs = append(jobs, *v.Job)
	}
	for _, j := range jobs {
		if err := e.Encode(exportedJob{"job", j}); err != nil {
			return err
		}
	}
	return nil
}

// each calls fn for every record of a list.
func each[R any](ctx context.Context, list func(context.Context, storage.Page) ([]R, string, error), fn func(R) error) error {
	p := storage.Page{Limit: 500}
	for {
		records, next, err := list(ctx, p)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		p.After = next
	}
}
