package admin

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"acmebridge/storage"
)

// CAStatus is what is known of one CA that signs here.
type CAStatus struct {
	Name string  `json:"name"`
	Keys []CAKey `json:"keys"`
	// Lists are its revocation lists as published.
	Lists []List `json:"lists"`
	// Signers are the keys that sign its OCSP answers.
	Signers []Signer `json:"ocsp_signers"`
}

// Signer describes a key that signs OCSP answers in the name of a CA.
type Signer struct {
	Name      string    `json:"name"`
	Number    int64     `json:"number"`
	Subject   string    `json:"subject"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Next is when another one follows.
	Next string `json:"next"`
}

// CAKey is a key of a CA that signs here, with its certificate.
type CAKey struct {
	File string `json:"file"`
	// Role is "root", "issuing" or "retired".
	Role      string    `json:"role"`
	Subject   string    `json:"subject"`
	KeyID     string    `json:"key_id"`
	KeyType   string    `json:"key_type"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Key says where the private key is, for people (SK-7).
	Key            string `json:"key"`
	RevocationList string `json:"revocation_list,omitempty"`
}

// List describes a published revocation list.
type List struct {
	Name   string `json:"name"`
	Number int64  `json:"number"`
	At     string `json:"at"`
	Next   string `json:"next"`
}

func (h *handler) mountCA(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/cas", h.answer(h.listCAs))
	mux.HandleFunc("POST /v1/cas/{name}/rotate", h.answer(h.rotateCA))
	mux.HandleFunc("POST /v1/publish", h.answer(func(r *http.Request) (any, error) {
		if err := h.Operator.Publish(r.Context()); err != nil {
			return nil, err
		}
		return h.done("new revocation lists are made"), nil
	}))
}

func (h *handler) listCAs(r *http.Request) (any, error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	p.Limit = 1000
	published, _, err := h.Operator.Publications(r.Context(), p)
	if err != nil {
		return nil, err
	}
	all := []CAStatus{}
	for _, name := range slices.Sorted(maps.Keys(h.CAs)) {
		keys, err := h.CAs[name].Keys()
		if err != nil {
			return nil, err
		}
		s := CAStatus{Name: name, Keys: keys, Lists: []List{}, Signers: []Signer{}}
		for _, pub := range published {
			if pub.Backend != name {
				continue
			}
			if signer, ok := signerOf(pub); ok {
				s.Signers = append(s.Signers, signer)
			} else {
				s.Lists = append(s.Lists, List{
					Name: pub.Name, Number: pub.Number,
					At: pub.At.UTC().Format(timeLayout), Next: pub.Next.UTC().Format(timeLayout),
				})
			}
		}
		all = append(all, s)
	}
	return Page[CAStatus]{Items: all}, nil
}

// signerOf tells a certificate from a list.
func signerOf(pub storage.Publication) (Signer, bool) {
	if pub.ContentType != "application/pkix-cert" {
		return Signer{}, false
	}
	s := Signer{Name: pub.Name, Number: pub.Number, Next: pub.Next.UTC().Format(timeLayout)}
	if cert, err := x509.ParseCertificate(pub.Body); err == nil {
		s.Subject, s.NotBefore, s.NotAfter = cert.Subject.String(), cert.NotBefore, cert.NotAfter
	}
	return s, true
}

// timeLayout is RFC 3339 in seconds, as people read it.
const timeLayout = "2006-01-02T15:04:05Z07:00"

// rotateCA makes a new issuing key, and has the list that goes with it made.
func (h *handler) rotateCA(r *http.Request) (any, error) {
	name := r.PathValue("name")
	ca, ok := h.CAs[name]
	if !ok {
		return nil, fmt.Errorf("no CA called %q signs here; there are: %v", name, slices.Sorted(maps.Keys(h.CAs)))
	}
	if err := ca.Rotate(); err != nil {
		return nil, err
	}
	h.Log.Info("the CA has a new issuing key", "event", "ca.rotated", "backend", name)
	if err := h.Operator.Publish(r.Context()); err != nil {
		return nil, fmt.Errorf("the new key is in use, but its revocation list could not be scheduled, run ca publish: %w", err)
	}
	return h.done("the revocation list of the new key is made"), nil
}
