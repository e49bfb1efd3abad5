package admin

import (
	"encoding/base64"
	"net/http"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// ExternalKey is the wire form of an external account key.
type ExternalKey struct {
	ID          string     `json:"id"`
	Directory   string     `json:"directory"`
	Member      string     `json:"member"`
	Profiles    []string   `json:"profiles,omitempty"`
	Identifiers []string   `json:"identifiers,omitempty"`
	Application string     `json:"application,omitempty"`
	Uses        int        `json:"uses"`
	Used        int        `json:"used"`
	Status      string     `json:"status"`
	CreatedAt   *time.Time `json:"created_at"`
	Expires     *time.Time `json:"expires,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
}

// NewExternalKey is the body of a request to make an external account key.
type NewExternalKey struct {
	Directory   string     `json:"directory"`
	Member      string     `json:"member"`
	Profiles    []string   `json:"profiles"`
	Identifiers []string   `json:"identifiers"`
	Application string     `json:"application,omitempty"`
	Uses        int        `json:"uses"`
	Expires     *time.Time `json:"expires,omitempty"`
}

// CreatedExternalKey is the answer to it, and the only place where the MAC key
// ever appears (SK-5).
type CreatedExternalKey struct {
	ExternalKey
	// HMACKey is base64url without padding, as clients take it.
	HMACKey string `json:"hmac_key"`
	// Warning says what keeps its accounts from ordering as things are.
	Warning string `json:"warning,omitempty"`
}

func (h *handler) mountExternalKeys(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/external-keys", h.answer(func(r *http.Request) (any, error) {
		return page(r, h.Operator.ExternalKeys, h.viewExternalKey)
	}))
	mux.HandleFunc("POST /v1/external-keys", h.answer(h.createExternalKey))
	mux.HandleFunc("POST /v1/external-keys/check", h.answer(func(r *http.Request) (any, error) {
		body, err := read[NewExternalKey](r)
		if err != nil {
			return nil, err
		}
		return Done{}, h.Operator.CheckExternalKey(r.Context(), body.key())
	}))
	mux.HandleFunc("GET /v1/external-keys/{id}", h.answer(func(r *http.Request) (any, error) {
		k, err := h.Operator.ExternalKey(r.Context(), acme.KeyID(r.PathValue("id")))
		return h.viewExternalKey(k), err
	}))
	mux.HandleFunc("POST /v1/external-keys/{id}/revoke", h.answer(func(r *http.Request) (any, error) {
		k, err := h.Operator.RevokeExternalKey(r.Context(), acme.KeyID(r.PathValue("id")))
		return h.viewExternalKey(k), err
	}))
}

func (h *handler) createExternalKey(r *http.Request) (any, error) {
	body, err := read[NewExternalKey](r)
	if err != nil {
		return nil, err
	}
	k, mac, err := h.Operator.CreateExternalKey(r.Context(), body.key())
	if err != nil {
		return nil, err
	}
	// The key exists and its secret is shown this once: an error of what is but
	// advice must not lose it.
	warning, err := h.Operator.ExternalKeyWarning(r.Context(), k)
	if err != nil {
		warning = "whether its member may order could not be looked up: " + err.Error()
	}
	return CreatedExternalKey{ExternalKey: h.viewExternalKey(k), HMACKey: base64.RawURLEncoding.EncodeToString(mac), Warning: warning}, nil
}

func (k NewExternalKey) key() engine.NewExternalKey {
	n := engine.NewExternalKey{
		Directory: acme.DirectoryName(k.Directory), Member: acme.MemberID(k.Member),
		Identifiers: k.Identifiers, Application: k.Application, Uses: k.Uses,
	}
	for _, p := range k.Profiles {
		n.Profiles = append(n.Profiles, acme.ProfileName(p))
	}
	if k.Expires != nil {
		n.Expires = *k.Expires
	}
	return n
}

func (h *handler) viewExternalKey(k acme.ExternalAccountKey) ExternalKey {
	v := ExternalKey{
		ID: string(k.ID), Directory: string(k.Directory), Member: string(k.Member), Identifiers: k.Identifiers, Application: k.Application,
		Uses: k.Uses, Used: k.Used, Status: "usable",
		CreatedAt: timeOf(k.CreatedAt), Expires: timeOf(k.Expires), RevokedAt: timeOf(k.RevokedAt),
	}
	for _, p := range k.Profiles {
		v.Profiles = append(v.Profiles, string(p))
	}
	switch {
	case !k.RevokedAt.IsZero():
		v.Status = "revoked"
	case !k.Expires.IsZero() && !h.Now().Before(k.Expires):
		v.Status = "expired"
	case k.Uses > 0 && k.Used >= k.Uses:
		v.Status = "used up"
	}
	return v
}
