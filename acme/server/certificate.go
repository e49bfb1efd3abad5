package server

import (
	"bytes"
	"encoding/pem"
	"net/http"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// certificate sends a chain, leaf first, in PEM and nothing between
// (R8555-9.1-1).
func (st *site) certificate(rq *request) error {
	if p := rq.read(); p != nil {
		return p
	}
	id, p := rq.id("certificate")
	if p != nil {
		return p
	}
	c, chain, err := st.cfg.Engine.Certificate(rq.r.Context(), rq.account.ID, acme.CertificateID(id))
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, der := range append([][]byte{c.Leaf}, chain.Certificates...) {
		if err := pem.Encode(&body, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	rq.send(http.StatusOK, "application/pem-certificate-chain", body.Bytes())
	return nil
}

// revokeCert revokes a certificate on the word of an account or of its own
// key (RFC 8555, 7.6).
func (st *site) revokeCert(rq *request) error {
	var payload struct {
		Certificate string `json:"certificate"`
		Reason      int    `json:"reason"`
	}
	if p := rq.decode(&payload); p != nil {
		return p
	}
	der, p := decodeDER("certificate", payload.Certificate)
	if p != nil {
		return p
	}
	r := engine.Revocation{Directory: st.directory.Name, Certificate: der, Reason: acme.RevocationReason(payload.Reason)}
	if rq.signed.BroughtKey() {
		r.Key = rq.signed.Key().Hash
	} else {
		r.Owner = rq.account.ID
	}
	if err := st.cfg.Engine.Revoke(rq.r.Context(), r); err != nil {
		return err
	}
	rq.w.Header().Set("Content-Length", "0")
	rq.w.WriteHeader(http.StatusOK)
	return nil
}
