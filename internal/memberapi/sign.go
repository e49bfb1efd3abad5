package memberapi

import (
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// signRequest is the body of a request to sign a CSR.
type signRequest struct {
	CSR         string `json:"csr"`
	Profile     string `json:"profile"`
	Application string `json:"application"`
	Name        string `json:"name"`
	// Replaces is the id of the certificate that is renewed.
	Replaces string `json:"replaces"`
}

// sign orders with a CSR.
func (a *API) sign(q *request) error {
	var body signRequest
	if err := q.decode(&body); err != nil {
		return err
	}
	return a.submit(q, body)
}

// signForApplication is sign in the words of a framework: an application and
// the kind of certificate.
func (a *API) signForApplication(q *request) error {
	var body struct {
		CSR      string `json:"csr"`
		Name     string `json:"name"`
		Replaces string `json:"replaces"`
	}
	if err := q.decode(&body); err != nil {
		return err
	}
	application, err := a.application(q, q.r.PathValue("application"))
	if err != nil {
		return err
	}
	profile, ok := a.profileOf(acme.IB1Tree(q.r.PathValue("type")))
	if !ok {
		return acme.Problemf(acme.InvalidProfile, "there are no certificates of the kind %.40q", q.r.PathValue("type"))
	}
	return a.submit(q, signRequest{CSR: body.CSR, Name: body.Name, Replaces: body.Replaces, Profile: string(profile), Application: application})
}

// application finds one of the member by its URL, by the end of its URL, which
// directories call its id, or by its handle.
func (a *API) application(q *request, named string) (string, error) {
	all, err := q.delegate.Applications(q.ctx())
	if err != nil {
		return "", err
	}
	var found []string
	for _, x := range all {
		if x.URL == named {
			return x.URL, nil
		}
		if named != "" && (x.Handle == named || x.URL[strings.LastIndexByte(x.URL, '/')+1:] == named) {
			found = append(found, x.URL)
		}
	}
	if len(found) != 1 {
		return "", acme.Problemf(acme.Malformed, "your member has %d applications called %.100q; give the whole URL, with / as %%2F", len(found), named).WithStatus(http.StatusNotFound)
	}
	return found[0], nil
}

// profileOf is the profile for a kind of certificate of a framework.
func (a *API) profileOf(tree acme.IB1Tree) (acme.ProfileName, bool) {
	if tree == "" {
		return "", false
	}
	for _, d := range a.cfg.Engine.Directories() {
		if a.cfg.Directory != "" && d.Name != a.cfg.Directory {
			continue
		}
		for _, name := range d.Profiles {
			if p, ok := a.cfg.Engine.Profile(name); ok && p.IB1.Tree == tree {
				return name, true
			}
		}
	}
	return "", false
}

// submitted is the wire form of what became of a CSR.
type submitted struct {
	Order  string `json:"order"`
	Status string `json:"status"`
	// Known says that the CSR had been sent before.
	Known bool           `json:"known,omitempty"`
	Error *problemObject `json:"error,omitempty"`
	*certificateObject
}

func (a *API) submit(q *request, body signRequest) error {
	block, rest := pem.Decode([]byte(body.CSR))
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		return acme.Problemf(acme.BadCSR, "csr has to be one CSR in PEM")
	}
	x, err := q.delegate.SubmitCSR(q.ctx(), engine.CSRRequest{
		Directory: a.cfg.Directory, Profile: acme.ProfileName(body.Profile), Application: body.Application, CSR: block.Bytes, Replaces: acme.CertificateID(body.Replaces),
	})
	if err != nil {
		return err
	}
	a.log.Info("CSR submitted", "event", "member_api.signed", "member", q.delegate.Member(), "by", q.delegate.Who(), "order", x.Order.ID, "status", x.Order.Status, "known", x.Known)
	v := submitted{Order: string(x.Order.ID), Status: string(x.Order.Status), Known: x.Known}
	return a.showOrder(q, http.StatusCreated, v, x.Order, x, body.Name)
}

// order tells how an order stands.
func (a *API) order(q *request) error {
	o, retry, err := q.delegate.Order(q.ctx(), acme.OrderID(q.r.PathValue("id")))
	if err != nil {
		return err
	}
	v := submitted{Order: string(o.ID), Status: string(o.Status)}
	return a.showOrder(q, http.StatusOK, v, o, engine.CSRAnswer{RetryAfter: retry}, "")
}

// showOrder answers with the certificate of an order, or says where to look for
// it, or why there is none. done is the status where it is there.
func (a *API) showOrder(q *request, done int, v submitted, o acme.Order, x engine.CSRAnswer, name string) error {
	if q.delegate.Sees(o) { // otherwise the same CSR again tells how it stands
		q.w.Header().Set("Location", a.url("/orders/"+url.PathEscape(string(o.ID))))
	}
	switch o.Status {
	case acme.OrderValid:
		c, chain, err := a.own(q, o.Certificate)
		if err != nil {
			return err
		}
		wire := a.certificateWire(c, pemOf(c, chain), name)
		v.certificateObject = &wire
		return q.json(done, v)
	case acme.OrderInvalid:
		v.Error = problemWire(o.Problem)
		if done == http.StatusCreated && o.Problem != nil {
			return o.Problem
		}
		return q.json(http.StatusOK, v)
	case acme.OrderPending, acme.OrderReady, acme.OrderProcessing:
	}
	q.retryAfter(max(x.RetryAfter, 0))
	if done == http.StatusCreated {
		done = http.StatusAccepted
	}
	return q.json(done, v)
}
