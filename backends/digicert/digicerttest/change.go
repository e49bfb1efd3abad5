package digicerttest

import (
	"net/http"
	"slices"
	"strings"

	"acmebridge/internal/standin"
)

// again reads what an issued order is to be issued for once more, and answers when
// it will not do.
func (ca *CA) again(c *call, not string) (o *order, w wish, ok bool) {
	var b orderBody
	if o = ca.find(c); o == nil || !c.read(&b, ca.cfg.Loose) {
		return o, w, false
	}
	w, err := b.wish(o.product)
	switch {
	case err != nil:
		c.fail(http.StatusBadRequest, "bad_request_format", err.Error())
		return o, w, false
	case o.stage != complete || o.reissue != nil:
		c.fail(http.StatusBadRequest, not, "the order is "+o.word())
		return o, w, false
	}
	w.validity = o.wish.validity
	return o, w, true
}

func (ca *CA) reissueOrder(c *call) {
	o, w, ok := ca.again(c, "reissue_not_allowed")
	if !ok {
		return
	}
	o.reissue = &reissue{wish: w, since: ca.Time(), request: ca.number()}
	o.updated = ca.Time()
	request := o.reissue.request
	ca.Log(standin.Event{Kind: "reissue", Order: o.text(), CommonName: w.commonName, Names: w.names, Usages: append(slices.Clone(w.usages), w.extended...), KeySHA256: standin.HashOf(w.spki)})
	ca.settle()
	ca.answerOrder(c, o, request, "approved")
}

// duplicateOrder issues at once, beside what the order has: that stays what it shows.
func (ca *CA) duplicateOrder(c *call) {
	o, w, ok := ca.again(c, "duplicate_not_allowed")
	if !ok {
		return
	}
	if err := ca.issue(o, w, Ready); err != nil {
		c.fail(http.StatusBadRequest, "bad_request_format", err.Error())
		return
	}
	cert := o.certificates[len(o.certificates)-1]
	cert.duplicate = true
	c.JSON(http.StatusCreated, map[string]any{"id": o.id, "certificate_id": cert.id, "requests": []map[string]any{{"id": ca.number(), "status": "approved"}}})
}

func (ca *CA) listDuplicates(c *call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	list := []map[string]any{}
	for _, cert := range o.certificates {
		if cert.duplicate {
			list = append(list, map[string]any{"id": cert.id, "serial_number": cert.serial(), "status": "approved", "date_issued": stamp(cert.at), "csr": cert.wish.csr})
		}
	}
	c.JSON(http.StatusOK, map[string]any{"certificates": list})
}

func (ca *CA) swap(c *call) {
	if ca.cfg.NoSwap {
		c.fail(http.StatusNotFound, "not_found|route", "no such route")
		return
	}
	o := ca.find(c)
	if o == nil {
		return
	}
	var b struct {
		CSR string `json:"csr"`
	}
	if !c.read(&b, false) {
		return
	}
	public, spki, err := readKey(b.CSR)
	switch {
	case err != nil:
		c.fail(http.StatusBadRequest, "csr_invalid_cannot_parse", err.Error())
		return
	case !o.open():
		c.fail(http.StatusBadRequest, "invalid_order_status", "the order is "+o.word())
		return
	}
	o.wish.csr, o.wish.public, o.wish.spki = b.CSR, public, spki
	ca.Log(standin.Event{Kind: "swap", Order: o.text(), CommonName: o.wish.commonName, KeySHA256: standin.HashOf(spki)})
	c.Status(http.StatusNoContent)
}

func (ca *CA) cancel(c *call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	var b struct {
		Status string `json:"status"`
		Note   string `json:"note"`
	}
	if !c.read(&b, false) {
		return
	}
	switch {
	case b.Status != "canceled" || b.Note == "":
		c.fail(http.StatusBadRequest, "bad_request_format", "the status is canceled, and a note says why")
		return
	case o.reissue != nil:
		o.reissue, o.updated = nil, ca.Time()
	case o.open() || o.stage == "waiting_pickup":
		ca.end(o, Outcome{Kind: Canceled, Reason: b.Note})
	default:
		c.fail(http.StatusBadRequest, "order_cannot_be_canceled", "the order is "+o.word())
		return
	}
	ca.Log(standin.Event{Kind: "cancel", Order: o.text(), CommonName: o.wish.commonName, Reason: b.Note})
	c.Status(http.StatusNoContent)
}

// revocation is one that waits for an administrator.
type revocation struct {
	id     int64
	cert   *issued
	order  *order
	reason string
}

// Reasons are the words that a revocation takes.
var reasons = []string{"unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "privilege_withdrawn"}

func (ca *CA) revoke(c *call) {
	var b struct {
		SkipApproval bool   `json:"skip_approval"`
		Reason       string `json:"revocation_reason"`
		Comments     string `json:"comments"`
	}
	if !c.read(&b, false) {
		return
	}
	o, cert := ca.certificate(c)
	switch {
	case cert == nil:
		c.fail(http.StatusNotFound, "not_found|certificate", "no such certificate")
		return
	case !slices.Contains(reasons, b.Reason):
		c.fail(http.StatusBadRequest, "invalid_revocation_reason", b.Reason)
		return
	case cert.revoked:
		c.fail(http.StatusBadRequest, "order_is_revoked", "it is revoked already")
		return
	case o.reissue != nil:
		c.fail(http.StatusBadRequest, "reissue_pending", "a reissue is under way")
		return
	case b.SkipApproval && !ca.cfg.RevokeByRequest:
		ca.revokeNow(&revocation{cert: cert, order: o, reason: b.Reason})
		c.Status(http.StatusNoContent)
		return
	}
	r := ca.waiting(cert)
	if r == nil {
		r = &revocation{id: ca.number(), cert: cert, order: o, reason: b.Reason}
		ca.revocations[r.id] = r
	}
	c.JSON(http.StatusCreated, map[string]any{"id": r.id, "date": stamp(ca.Time()), "type": "revoke", "status": "pending", "comments": b.Comments})
}

func (ca *CA) waiting(cert *issued) *revocation {
	for _, r := range ca.revocations {
		if r.cert == cert {
			return r
		}
	}
	return nil
}

func (ca *CA) revokeNow(r *revocation) {
	r.cert.revoked = true
	delete(ca.revocations, r.id)
	ca.Log(standin.Event{Kind: "revocation", Order: r.order.text(), Certificate: r.cert.id, Serial: r.cert.serial(), CommonName: r.cert.wish.commonName, Reason: r.reason})
}

// certificate finds one by its number or its serial number.
func (ca *CA) certificate(c *call) (*order, *issued) {
	for _, o := range ca.orders {
		for _, cert := range o.certificates {
			if cert.id == c.id() || strings.EqualFold(cert.serial(), c.PathValue("id")) {
				return o, cert
			}
		}
	}
	return nil, nil
}

func (ca *CA) decideRequest(c *call) {
	var b struct {
		Status  string `json:"status"`
		Comment string `json:"processor_comment"`
	}
	if !c.read(&b, false) {
		return
	}
	if ca.cfg.NoSelfApproval {
		c.fail(http.StatusForbidden, "access_denied|invalid_approver", "somebody else has to")
		return
	}
	if b.Status != "approved" && b.Status != "rejected" {
		c.fail(http.StatusBadRequest, "bad_request_format", "approved or rejected")
		return
	}
	if r := ca.revocations[c.id()]; r != nil {
		delete(ca.revocations, r.id)
		if b.Status == "approved" {
			ca.revokeNow(r)
		}
		c.Status(http.StatusNoContent)
		return
	}
	for _, o := range ca.orders {
		if o.request != c.id() || o.stage != needsApproval {
			continue
		}
		if b.Status == "approved" {
			ca.approve(o)
		} else {
			ca.end(o, Outcome{Kind: Rejected, Reason: b.Comment})
		}
		c.Status(http.StatusNoContent)
		return
	}
	c.fail(http.StatusNotFound, "not_found|request", "no such request waits")
}
