package server

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"strconv"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// certificate sends the usual chain of a certificate.
func (st *site) certificate(rq *request) error { return st.sendChain(rq, 0) }

// alternate sends one of the others, which are counted from 1.
func (st *site) alternate(rq *request) error {
	text := rq.variable("chain")
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != text { // R8555-7.4.2-7
		return acme.Problemf(acme.Malformed, "the number of a chain is a plain number")
	}
	if n == 0 { // the usual chain has one URL
		return acme.NotFound()
	}
	return st.sendChain(rq, int(n))
}

// sendChain sends a chain, leaf first, in PEM and nothing between
// (R8555-9.1-1), with a link to each of the other chains (R8555-7.4.2-2).
func (st *site) sendChain(rq *request, number int) error {
	if p := rq.read(); p != nil {
		return p
	}
	id, p := rq.id("certificate")
	if p != nil {
		return p
	}
	c, chain, err := st.cfg.Engine.CertificateChain(rq.r.Context(), rq.account.ID, acme.CertificateID(id), number)
	if err != nil {
		return err
	}
	for n := range len(c.Alternates) + 1 {
		if n != number {
			rq.link(st.chainURL(c.ID, n), "alternate") // one for each line (C-SH-3)
		}
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
