package admin

import (
	"encoding/pem"
	"net/http"
	"strings"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// SubmitCSR is the body of a request to order with a CSR.
type SubmitCSR struct {
	// CSR is in PEM.
	CSR string `json:"csr"`
	// Profile and Directory may be empty where there is no choice.
	Profile     string `json:"profile,omitempty"`
	Directory   string `json:"directory,omitempty"`
	Member      string `json:"member,omitempty"`
	Application string `json:"application,omitempty"`
	// Replaces is the id of the certificate that is renewed.
	Replaces string `json:"replaces,omitempty"`
	// Vouch is why the operator answers for the control of the names, where the
	// profile wants it proved.
	Vouch string `json:"vouch,omitempty"`
}

// SubmittedCSR is what became of a CSR.
type SubmittedCSR struct {
	Order Order `json:"order"`
	// Known says that the CSR was submitted before, and the order is that one.
	Known bool `json:"known"`
	// RetryAfter is in how many seconds to look again; 0 when the order is over.
	RetryAfter int `json:"retry_after"`
	// Certificate is there as soon as the order is valid.
	Certificate *Certificate `json:"certificate,omitempty"`
	Note        string       `json:"note,omitempty"`
}

// Submitter is the wire form of who handed in a CSR, and on what ground.
type Submitter struct {
	By    string `json:"by"`
	Via   string `json:"via"`
	Vouch string `json:"vouch,omitempty"`
}

func viewSubmitter(s *acme.Submitter) *Submitter {
	if s == nil {
		return nil
	}
	return &Submitter{By: s.By, Via: string(s.Via), Vouch: s.Vouch}
}

func (h *handler) mountCSRs(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/csrs", h.answer(h.submitCSR))
}

func (h *handler) submitCSR(r *http.Request) (any, error) {
	body, err := read[SubmitCSR](r)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(body.CSR))
	if block == nil || !strings.HasSuffix(block.Type, "CERTIFICATE REQUEST") || strings.TrimSpace(string(rest)) != "" {
		return nil, badRequest("csr is not one CSR in PEM")
	}
	x, err := h.Operator.SubmitCSR(r.Context(), engine.CSRRequest{
		Directory: acme.DirectoryName(body.Directory), Profile: acme.ProfileName(body.Profile), Member: acme.MemberID(body.Member),
		Application: body.Application, Replaces: acme.CertificateID(body.Replaces), CSR: block.Bytes, Submitted: acme.Submitter{By: caller(r), Vouch: body.Vouch},
	})
	if err != nil {
		return nil, err
	}
	v := SubmittedCSR{Order: viewOrder(x.Order), Known: x.Known, RetryAfter: int(x.RetryAfter.Seconds())}
	switch x.Order.Status {
	case acme.OrderValid:
		c, err := h.certificate(r.Context(), x.Order.Certificate)
		v.Certificate = &c
		return v, err
	case acme.OrderProcessing:
		v.Note = h.done("the CA is asked").Note
	case acme.OrderPending, acme.OrderReady, acme.OrderInvalid:
	}
	return v, nil
}
