package admin

import (
	"context"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Certificate is the wire form of a certificate.
type Certificate struct {
	ID          string       `json:"id"`
	Order       string       `json:"order"`
	Account     string       `json:"account"`
	Directory   string       `json:"directory"`
	Member      string       `json:"member,omitempty"`
	Backend     string       `json:"backend"`
	Profile     string       `json:"profile"`
	Serial      string       `json:"serial"`
	KeyHash     string       `json:"key_hash"`
	Identifiers []Identifier `json:"identifiers"`
	NotBefore   *time.Time   `json:"not_before"`
	NotAfter    *time.Time   `json:"not_after"`
	IssuedAt    *time.Time   `json:"issued_at"`
	Revocation  *Revocation  `json:"revocation,omitempty"`
	// PEM is the chain, leaf first; only where one certificate is asked for.
	PEM string `json:"pem,omitempty"`
}

// Revocation is the wire form of a revocation.
type Revocation struct {
	At     *time.Time `json:"at"`
	Reason int        `json:"reason"`
	By     string     `json:"by"`
	// DoneAt is when the CA knew; absent while it does not.
	DoneAt *time.Time `json:"done_at,omitempty"`
}

// Revoke is the body of a request to revoke a certificate.
type Revoke struct {
	Reason int `json:"reason"`
}

func (h *handler) mountCertificates(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/certificates", h.answer(h.listCertificates))
	mux.HandleFunc("GET /v1/certificates/{id}", h.answer(func(r *http.Request) (any, error) {
		return h.certificate(r.Context(), acme.CertificateID(r.PathValue("id")))
	}))
	mux.HandleFunc("POST /v1/certificates/{id}/revoke", h.answer(h.revokeCertificate))
}

func (h *handler) certificate(ctx context.Context, id acme.CertificateID) (Certificate, error) {
	c, chain, err := h.Operator.Certificate(ctx, id)
	if err != nil {
		return Certificate{}, err
	}
	v := viewCertificate(c)
	v.PEM = inPEM(append([][]byte{c.Leaf}, chain.Certificates...))
	return v, nil
}

func inPEM(chain [][]byte) string {
	var b strings.Builder
	for _, der := range chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.String()
}

func (h *handler) listCertificates(r *http.Request) (any, error) {
	account, serial, expiring := r.FormValue("account"), r.FormValue("serial"), r.FormValue("expiring")
	switch {
	case serial != "":
		octets, err := ParseSerial(serial)
		if err != nil {
			return nil, badRequest("%v", err)
		}
		found, err := h.Operator.CertificatesBySerial(r.Context(), octets)
		return Page[Certificate]{Items: views(found, viewCertificate)}, err
	case expiring != "":
		d, err := time.ParseDuration(expiring)
		if err != nil || d <= 0 {
			return nil, badRequest("expiring is a duration such as 720h")
		}
		return page(r, func(ctx context.Context, p storage.Page) ([]acme.Certificate, string, error) {
			return h.Operator.Expiring(ctx, d, p)
		}, viewCertificate)
	default:
		return page(r, func(ctx context.Context, p storage.Page) ([]acme.Certificate, string, error) {
			return h.Operator.Certificates(ctx, acme.AccountID(account), p)
		}, viewCertificate)
	}
}

func (h *handler) revokeCertificate(r *http.Request) (any, error) {
	body, err := read[Revoke](r)
	if err != nil {
		return nil, err
	}
	id := acme.CertificateID(r.PathValue("id"))
	if body.Reason < 0 || body.Reason > 10 || body.Reason == 7 || acme.RevocationReason(body.Reason) == acme.RemoveFromCRL {
		return nil, badRequest("reason %d is none of RFC 5280 that revokes", body.Reason)
	}
	if err := h.Operator.RevokeCertificate(r.Context(), id, acme.RevocationReason(body.Reason)); err != nil {
		return nil, err
	}
	c, _, err := h.Operator.Certificate(r.Context(), id)
	if err != nil {
		return nil, err
	}
	done := h.done("the CA is told and the revocation list made")
	if done.Note == "" && c.Revocation != nil && c.Revocation.DoneAt.IsZero() {
		done.Note = "accepted and stored; the CA has not confirmed it yet, and is asked until it does"
	}
	return done, nil
}

// ParseSerial reads a serial number in hexadecimal, in capitals or not, with
// or without colons or 0x, as openssl, browsers and the member API show it.
func ParseSerial(text string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(text, ":", "")), "0x")
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) == 0 || len(b) > 21 {
		return nil, badRequest("%.64q is not a serial number in hexadecimal", text)
	}
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if b[0]&0x80 != 0 || b[0] == 0 && len(b) > 1 {
		b = append([]byte{0}, b...)
	}
	return b, nil
}

func viewCertificate(c acme.Certificate) Certificate {
	v := Certificate{
		ID: string(c.ID), Order: string(c.Order), Account: string(c.Account), Directory: string(c.Directory),
		Member: string(c.Member), Backend: c.Backend, Profile: string(c.Profile),
		Serial: hex.EncodeToString(c.Serial), KeyHash: hex.EncodeToString(c.KeyHash[:]),
		Identifiers: views(c.Identifiers, viewIdentifier),
		NotBefore:   timeOf(c.NotBefore), NotAfter: timeOf(c.NotAfter), IssuedAt: timeOf(c.IssuedAt),
	}
	if c.Revocation != nil {
		v.Revocation = &Revocation{
			At: timeOf(c.Revocation.At), Reason: int(c.Revocation.Reason), By: c.Revocation.By, DoneAt: timeOf(c.Revocation.DoneAt),
		}
	}
	return v
}
