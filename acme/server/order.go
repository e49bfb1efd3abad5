package server

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

type identifierObject struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// orderObject is the wire form of an order (RFC 8555, 7.1.3). acme.sh finds
// the status by looking for the text, so no other status may stand in it
// (C-SH-6).
type orderObject struct {
	Status         string             `json:"status"`
	Expires        string             `json:"expires"`
	Identifiers    []identifierObject `json:"identifiers"`
	Profile        string             `json:"profile,omitempty"`
	NotBefore      string             `json:"notBefore,omitempty"`
	NotAfter       string             `json:"notAfter,omitempty"`
	Replaces       string             `json:"replaces,omitempty"`
	Error          *problemObject     `json:"error,omitempty"`
	Authorizations []string           `json:"authorizations"`
	Finalize       string             `json:"finalize"`
	Certificate    string             `json:"certificate,omitempty"`
}

func (st *site) orderWire(o acme.Order) orderObject {
	w := orderObject{
		Status: string(o.Status), Expires: stamp(o.Expires), Profile: string(o.Profile),
		NotBefore: stamp(o.NotBefore), NotAfter: stamp(o.NotAfter), Replaces: o.Replaces, Error: problemWire(o.Problem),
		Identifiers: make([]identifierObject, len(o.Identifiers)), Authorizations: make([]string, len(o.Authorizations)),
		Finalize: st.finalizeURL(o.ID),
	}
	for i, id := range o.Identifiers {
		w.Identifiers[i] = identifierObject{Type: string(id.Type), Value: id.Wire()}
	}
	for i, id := range o.Authorizations {
		w.Authorizations[i] = st.authorizationURL(id)
	}
	if o.Certificate != "" {
		w.Certificate = st.certificateURL(o.Certificate)
	}
	return w
}

// stamp is a time as RFC 3339, empty when there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// newOrder opens an order (RFC 8555, 7.4).
func (st *site) newOrder(rq *request) error {
	var payload struct {
		Identifiers []identifierObject `json:"identifiers"`
		NotBefore   string             `json:"notBefore"`
		NotAfter    string             `json:"notAfter"`
		Profile     string             `json:"profile"`
		Replaces    string             `json:"replaces"`
		AutoRenewal any                `json:"auto-renewal"`
	}
	if p := rq.decode(&payload); p != nil {
		return p
	}
	if payload.AutoRenewal != nil { // R8739-P: refused rather than ignored
		return acme.Problemf(acme.Malformed, "automatic renewal (RFC 8739) is not offered; leave auto-renewal out")
	}
	wanted := engine.OrderRequest{Profile: acme.ProfileName(payload.Profile), Replaces: payload.Replaces}
	for _, id := range payload.Identifiers {
		wanted.Identifiers = append(wanted.Identifiers, acme.Identifier{Type: acme.IdentifierType(id.Type), Value: id.Value})
	}
	var p *acme.Problem
	if wanted.NotBefore, p = parseStamp("notBefore", payload.NotBefore); p != nil {
		return p
	}
	if wanted.NotAfter, p = parseStamp("notAfter", payload.NotAfter); p != nil {
		return p
	}
	o, err := st.cfg.Engine.NewOrder(rq.r.Context(), rq.account, wanted)
	if err != nil {
		return err
	}
	rq.w.Header().Set("Location", st.orderURL(o.ID))
	return rq.json(http.StatusCreated, st.orderWire(o))
}

func parseStamp(member, s string) (time.Time, *acme.Problem) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, acme.Problemf(acme.Malformed, "%s is not a time as in RFC 3339, such as 2027-01-31T12:00:00Z", member)
	}
	return t.UTC().Truncate(time.Second), nil
}

// order reads an order.
func (st *site) order(rq *request) error {
	if p := rq.read(); p != nil {
		return p
	}
	id, p := rq.id("order")
	if p != nil {
		return p
	}
	if p := st.limits.poll(rq.account.ID, id); p != nil {
		return p
	}
	o, retry, err := st.cfg.Engine.Order(rq.r.Context(), rq.account.ID, acme.OrderID(id))
	if err != nil {
		return err
	}
	return st.showOrder(rq, o, retry)
}

func (st *site) showOrder(rq *request, o acme.Order, retry time.Duration) error {
	rq.w.Header().Set("Location", st.orderURL(o.ID)) // R8555-7.4F-13
	rq.comeBack(retry)
	return rq.json(http.StatusOK, st.orderWire(o))
}

// finalize closes an order with a CSR.
func (st *site) finalize(rq *request) error {
	id, p := rq.id("order")
	if p != nil {
		return p
	}
	var payload struct {
		CSR string `json:"csr"`
	}
	if p := rq.decode(&payload); p != nil {
		return p
	}
	csr, p := decodeDER("csr", payload.CSR)
	if p != nil {
		return p
	}
	product := acme.XRoadProductID(rq.r.UserAgent())
	o, retry, err := st.cfg.Engine.FinalizeProduct(rq.r.Context(), rq.account, acme.OrderID(id), csr, product)
	if err != nil {
		return err
	}
	return st.showOrder(rq, o, retry)
}

// decodeDER decodes base64url in its one spelling (F-5, R8555-6.1-6).
func decodeDER(member, s string) ([]byte, *acme.Problem) {
	der, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || s == "" || containsBreak(s) {
		return nil, acme.Problemf(acme.Malformed, "%s has to be DER in base64url without padding", member)
	}
	return der, nil
}

// containsBreak finds the line breaks that the standard decoder skips.
func containsBreak(s string) bool {
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\r' {
			return true
		}
	}
	return false
}

// pageSize is how many orders one page lists.
const pageSize = 100

// orders lists the orders of an account (RFC 8555, 7.1.2.1).
func (st *site) orders(rq *request) error {
	if p := rq.own(); p != nil {
		return p
	}
	if p := rq.read(); p != nil {
		return p
	}
	cursor := rq.r.URL.Query().Get("cursor")
	if cursor != "" && !acme.ValidID(cursor) {
		return acme.Problemf(acme.Malformed, "the cursor is not one that this server gave out")
	}
	ids, next, err := st.cfg.Engine.Orders(rq.r.Context(), rq.account.ID, cursor, pageSize)
	if err != nil {
		return err
	}
	list := struct {
		Orders []string `json:"orders"`
	}{make([]string, len(ids))}
	for i, id := range ids {
		list.Orders[i] = st.orderURL(id)
	}
	if next != "" {
		rq.link(st.ordersURL(rq.account.ID)+"?cursor="+url.QueryEscape(next), "next")
	}
	return rq.json(http.StatusOK, list)
}
