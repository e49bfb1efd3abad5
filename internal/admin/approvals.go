package admin

import (
	"net/http"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// Waiting is the wire form of an order that waits for somebody to approve it.
type Waiting struct {
	// Approver is "here" for an operator of this server, "ca" for somebody at
	// the CA.
	Approver string     `json:"approver"`
	Since    *time.Time `json:"since"`
	Until    *time.Time `json:"until"`
	Order    Order      `json:"order"`
}

// Decision is the body of a request to approve or to reject an order.
type Decision struct {
	// Reason is kept in the order's history. The client of a rejected order is
	// told.
	Reason string `json:"reason"`
}

// Approval is the wire form of who approved an order.
type Approval struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

func (h *handler) mountApprovals(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/orders/waiting-approval", h.answer(func(r *http.Request) (any, error) {
		return page(r, h.Operator.WaitingForApproval, viewWaiting)
	}))
	mux.HandleFunc("POST /v1/orders/{id}/approve", h.answer(func(r *http.Request) (any, error) {
		reason, err := decision(r)
		if err != nil {
			return nil, err
		}
		if err := h.Operator.Approve(r.Context(), acme.OrderID(r.PathValue("id")), caller(r), reason); err != nil {
			return nil, err
		}
		return h.done("the CA is asked"), nil
	}))
	mux.HandleFunc("POST /v1/orders/{id}/reject", h.answer(func(r *http.Request) (any, error) {
		reason, err := decision(r)
		if err != nil {
			return nil, err
		}
		return Done{}, h.Operator.Reject(r.Context(), acme.OrderID(r.PathValue("id")), caller(r), reason)
	}))
}

func decision(r *http.Request) (reason string, err error) {
	body, err := read[Decision](r)
	if err != nil {
		return "", err
	}
	if reason = strings.TrimSpace(body.Reason); reason == "" {
		return "", badRequest("give a reason; it is kept with the order")
	}
	if len(reason) > maxReason {
		return "", badRequest("the reason is too long: the limit is %d characters", maxReason)
	}
	return reason, nil
}

// maxReason keeps a record small (SL-29).
const maxReason = 500

func viewWaiting(w engine.WaitingOrder) Waiting {
	return Waiting{Approver: string(w.Approver), Since: timeOf(w.Since), Until: timeOf(w.Until), Order: viewOrder(w.Order)}
}

func viewApproval(a *acme.Approval) *Approval {
	if a == nil {
		return nil
	}
	return &Approval{By: a.By, At: a.At.UTC(), Reason: a.Reason}
}
