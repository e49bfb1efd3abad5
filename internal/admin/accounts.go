package admin

import (
	"encoding/hex"
	"net/http"
	"time"

	"acmebridge/acme"
)

// Account is the wire form of an account.
type Account struct {
	ID            string     `json:"id"`
	Directory     string     `json:"directory"`
	Status        string     `json:"status"`
	Contact       []string   `json:"contact,omitempty"`
	Member        string     `json:"member,omitempty"`
	ExternalKey   string     `json:"external_key,omitempty"`
	KeyHash       string     `json:"key_hash"`
	Thumbprint    string     `json:"thumbprint"`
	CreatedAt     *time.Time `json:"created_at"`
	TermsAgreedAt *time.Time `json:"terms_agreed_at,omitempty"`
	// ForCSRs says that it stands for CSRs that come without ACME, and
	// Application is what it orders for then.
	ForCSRs     bool   `json:"for_csrs,omitempty"`
	Application string `json:"application,omitempty"`
}

func viewAccount(a acme.Account) Account {
	return Account{
		ID: string(a.ID), Directory: string(a.Directory), Status: string(a.Status), Contact: a.Contact,
		Member: string(a.Member), ExternalKey: string(a.ExternalKey),
		KeyHash: hex.EncodeToString(a.KeyHash[:]), Thumbprint: a.Thumbprint,
		CreatedAt: timeOf(a.CreatedAt), TermsAgreedAt: timeOf(a.TermsAgreedAt), ForCSRs: a.ForCSRs, Application: a.Application,
	}
}

func (h *handler) mountAccounts(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/accounts", h.answer(func(r *http.Request) (any, error) {
		return page(r, h.Operator.Accounts, viewAccount)
	}))
	mux.HandleFunc("GET /v1/accounts/{id}", h.answer(func(r *http.Request) (any, error) {
		a, err := h.Operator.Account(r.Context(), acme.AccountID(r.PathValue("id")))
		return viewAccount(a), err
	}))
	mux.HandleFunc("POST /v1/accounts/{id}/revoke", h.answer(func(r *http.Request) (any, error) {
		a, err := h.Operator.RevokeAccount(r.Context(), acme.AccountID(r.PathValue("id")))
		return viewAccount(a), err
	}))
}
