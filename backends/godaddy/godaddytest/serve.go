package godaddytest

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/standin"
)

func (ca *CA) endpoints() []standin.Endpoint {
	const get, post = http.MethodGet, http.MethodPost
	return []standin.Endpoint{
		{Name: "validate", Method: post, Pattern: "v1/certificates/validate", Serve: ca.validate},
		{Name: "order", Method: post, Pattern: "v1/certificates", Serve: ca.place},
		{Name: "info", Method: get, Pattern: "v1/certificates/{id}", Serve: ca.info},
		{Name: "download", Method: get, Pattern: "v1/certificates/{id}/download", Serve: ca.download},
		{Name: "renew", Method: post, Pattern: "v1/certificates/{id}/renew", Serve: ca.renew},
		{Name: "reissue", Method: post, Pattern: "v1/certificates/{id}/reissue", Serve: ca.reissue},
		{Name: "revoke", Method: post, Pattern: "v1/certificates/{id}/revoke", Serve: ca.revoke},
		{Name: "cancel", Method: post, Pattern: "v1/certificates/{id}/cancel", Serve: ca.cancel},
		{Name: "shopper", Method: get, Pattern: "v1/shoppers/{id}", Serve: ca.shopper},
		{Name: "list", Method: get, Pattern: "v2/customers/{id}/certificates", Serve: ca.list},
	}
}

// Endpoints are the names of all endpoints.
func Endpoints() []string { return standin.Names((*CA)(nil).endpoints()) }

func faults() []standin.FaultKind {
	return []standin.FaultKind{
		{Name: "pem-truncated", What: "leave out the end of the download"},
		{Name: "pem-leaf-only", What: "send the certificate without its chain"},
	}
}

// FaultKinds lists the kinds of faults, and what they do.
func FaultKinds() []string { return standin.FaultKinds(faults()) }

func fail(c *standin.Call, status int, code, message string) {
	c.JSON(status, map[string]any{"code": code, "message": message, "fields": []map[string]string{}})
}

// admit looks at the key and at how much it was used.
func (ca *CA) admit(c *standin.Call, _ string) bool {
	if c.Request.Header.Get("Authorization") != "sso-key "+ca.cfg.Key+":"+ca.cfg.Secret {
		fail(c, http.StatusUnauthorized, "UNABLE_TO_AUTHENTICATE", "not known: "+c.Request.Header.Get("Authorization"))
		return false
	}
	now := ca.Time()
	ca.taken = slices.DeleteFunc(ca.taken, func(t time.Time) bool { return !t.After(now.Add(-time.Minute)) })
	if ca.cfg.PerMinute > 0 && len(ca.taken) >= ca.cfg.PerMinute {
		fail(c, http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "too many requests")
		return false
	}
	ca.taken = append(ca.taken, now)
	return true
}

// wish is the body of an order.
type wish struct {
	CommonName string   `json:"commonName"`
	CSR        string   `json:"csr"`
	Period     int      `json:"period"`
	Product    string   `json:"productType"`
	Root       string   `json:"rootType"`
	Slots      string   `json:"slotSize"`
	Names      []string `json:"subjectAlternativeNames"`
}

var slotSizes = map[string]int{"FIVE": 5, "TEN": 10, "FIFTEEN": 15, "TWENTY": 20, "THIRTY": 30, "FOURTY": 40, "FIFTY": 50, "ONE_HUNDRED": 100}

// read looks at an order, and answers when it will not do.
func (ca *CA) read(c *standin.Call) (w wish, csr *x509.CertificateRequest, ok bool) {
	if err := c.Read(&w, false); err != nil {
		fail(c, http.StatusBadRequest, "INVALID_BODY", err.Error())
		return w, nil, false
	}
	return ca.judge(c, w)
}

func (ca *CA) judge(c *standin.Call, w wish) (_ wish, csr *x509.CertificateRequest, ok bool) {
	no := func(code, message string) (wish, *x509.CertificateRequest, bool) {
		fail(c, http.StatusUnprocessableEntity, code, message)
		return w, nil, false
	}
	block, _ := pem.Decode([]byte(w.CSR))
	if block == nil {
		return no("INVALID_CSR", "no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return no("INVALID_CSR", "not a CSR")
	}
	several := strings.HasPrefix(w.Product, "UCC_")
	switch key, isRSA := csr.PublicKey.(*rsa.PublicKey); {
	case !isRSA || key.N.BitLen() < 2048:
		return no("INVALID_KEY", "RSA keys of 2048 bits and more only")
	case w.Root != "GODADDY_SHA_2" && w.Root != "STARFIELD_SHA_2":
		return no("INVALID_ROOT", "no such root")
	case w.Period < 1 || w.Period > 3 || w.CommonName == "" || len(w.CommonName) > 64:
		return no("INVALID_BODY", "period or common name")
	case strings.HasPrefix(w.CommonName, "*.") != strings.Contains(w.Product, "WILDCARD"):
		return no("INVALID_PRODUCT", "wildcards have products of their own")
	case !several && len(w.Names) > 0, several && (slotSizes[w.Slots] == 0 || len(w.Names) > slotSizes[w.Slots]):
		return no("INVALID_NAMES", "names do not fit the product")
	}
	return w, csr, true
}

func (ca *CA) validate(c *standin.Call) {
	if _, _, ok := ca.read(c); ok {
		c.Status(http.StatusNoContent)
	}
}

func (ca *CA) place(c *standin.Call) {
	if w, csr, ok := ca.read(c); ok {
		ca.sell(c, w, csr)
	}
}

// sell takes a credit for an order.
func (ca *CA) sell(c *standin.Call, w wish, csr *x509.CertificateRequest) {
	if ca.credits <= 0 {
		fail(c, http.StatusConflict, "NO_CREDIT_AVAILABLE", "buy a credit")
		return
	}
	outcome := ca.OutcomeFor(w.CommonName)
	if outcome.Kind == Refused {
		fail(c, http.StatusUnprocessableEntity, "REFUSED", or(outcome.Reason, "not acceptable"))
		return
	}
	ca.credits--
	o := ca.add(w, csr, "PENDING_ISSUANCE")
	o.outcome = outcome
	ca.Log(standin.Event{Kind: "purchase", Order: o.id, CommonName: w.CommonName, Names: w.Names, KeySHA256: standin.HashOf(csr.RawSubjectPublicKeyInfo)})
	ca.settle()
	c.JSON(http.StatusAccepted, map[string]string{"certificateId": o.id})
}

func (ca *CA) add(w wish, csr *x509.CertificateRequest, status string) *order {
	o := &order{id: fmt.Sprintf("cert-%06d", len(ca.orders)+1), wish: w, csr: csr, created: ca.Time(), status: status, outcome: Outcome{Kind: Ready}}
	ca.orders = append(ca.orders, o)
	return o
}

// follow is what a renewal or a reissue says. What it leaves out stays as it was.
type follow struct {
	CommonName string   `json:"commonName"`
	CSR        string   `json:"csr"`
	Period     int      `json:"period"`
	Root       string   `json:"rootType"`
	Names      []string `json:"subjectAlternativeNames"`
	Delay      *int     `json:"delayExistingRevoke"`
}

// after reads what is to follow a certificate that is there, and answers when that
// will not do.
func (ca *CA) after(c *standin.Call) (earlier *order, f follow, w wish, csr *x509.CertificateRequest, ok bool) {
	if earlier = ca.find(c); earlier == nil {
		return earlier, f, w, nil, false
	}
	if err := c.Read(&f, false); err != nil {
		fail(c, http.StatusBadRequest, "INVALID_BODY", err.Error())
		return earlier, f, w, nil, false
	}
	if earlier.status != "ISSUED" {
		fail(c, http.StatusConflict, "INVALID_STATUS", "it is "+earlier.status)
		return earlier, f, w, nil, false
	}
	w = earlier.wish
	w.CSR, w.CommonName, w.Root, w.Period = or(f.CSR, w.CSR), or(f.CommonName, w.CommonName), or(f.Root, w.Root), or(f.Period, w.Period)
	if f.Names != nil {
		w.Names = f.Names
	}
	w, csr, ok = ca.judge(c, w)
	return earlier, f, w, csr, ok
}

// renew sells what follows a certificate, when its end is near.
func (ca *CA) renew(c *standin.Call) {
	earlier, f, w, csr, ok := ca.after(c)
	switch {
	case !ok:
	case f.Delay != nil:
		fail(c, http.StatusBadRequest, "INVALID_BODY", "a renewal revokes nothing")
	case ca.cfg.RenewWithin > 0 && earlier.cert.NotAfter.Sub(ca.Time()) > ca.cfg.RenewWithin:
		fail(c, http.StatusUnprocessableEntity, "NOT_RENEWABLE", "too early")
	default:
		ca.Log(standin.Event{Kind: "renewal", Order: earlier.id})
		ca.sell(c, w, csr)
	}
}

// reissue makes a certificate for another key, costs nothing, and has the one that
// was there revoked.
func (ca *CA) reissue(c *standin.Call) {
	earlier, f, w, csr, ok := ca.after(c)
	if !ok {
		return
	}
	hours := 72
	if f.Delay != nil {
		hours = *f.Delay
	}
	if hours < 0 || hours > 168 || f.Period != 0 {
		fail(c, http.StatusUnprocessableEntity, "INVALID_BODY", "delayExistingRevoke or period")
		return
	}
	outcome := ca.OutcomeFor(w.CommonName)
	if outcome.Kind == Refused {
		fail(c, http.StatusUnprocessableEntity, "REFUSED", or(outcome.Reason, "not acceptable"))
		return
	}
	o := ca.add(w, csr, "PENDING_REKEY")
	o.outcome = outcome
	earlier.until = ca.Time().Add(time.Duration(hours) * time.Hour)
	ca.Log(standin.Event{Kind: "reissue", Order: o.id, CommonName: w.CommonName, Names: w.Names, KeySHA256: standin.HashOf(csr.RawSubjectPublicKeyInfo)})
	ca.settle()
	c.JSON(http.StatusAccepted, map[string]string{"certificateId": o.id})
}

const (
	serverAuth = "server_auth"
	clientAuth = "client_auth"
)

// issue makes the certificate of an order, with whatever is wrong with it.
func (ca *CA) issue(o *order) error {
	names, public, now := slices.Clone(o.wish.Names), o.csr.PublicKey, ca.Time()
	if len(names) == 0 {
		names = []string{o.wish.CommonName}
	}
	usages := []string{serverAuth, clientAuth}
	if from := ca.cfg.ServerOnlyFrom; !from.IsZero() && !now.Before(from) {
		usages = usages[:1]
	}
	begin, end := now.Add(-time.Hour), now.AddDate(0, 0, 199)
	switch o.outcome.Kind {
	case DropName:
		names[len(names)-1] = "other." + names[len(names)-1]
	case AddName:
		names = append(names, "intruder.example.com")
	case WrongKey:
		key, err := standin.NewKey()
		if err != nil {
			return err
		}
		public = key.Public()
	case NoClient:
		usages = []string{serverAuth}
	case NoServer:
		usages = []string{clientAuth}
	case Outlived:
		begin, end = now.Add(-20*time.Hour), now.Add(-10*time.Hour)
	case Ready, Stuck, Denied, Canceled, Revoked, Strange, Refused:
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: o.wish.CommonName}, NotBefore: begin, NotAfter: end, DNSNames: names, KeyUsage: x509.KeyUsageKeyEncipherment,
	}
	for _, u := range usages {
		if u == serverAuth {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		} else {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
	}
	var err error
	if o.cert, err = ca.keys.Issue(template, public); err != nil {
		return err
	}
	ca.Log(standin.Event{
		Kind: "certificate", Order: o.id, CommonName: o.wish.CommonName, Names: names, Usages: usages, Serial: o.cert.SerialNumber.String(),
		KeySHA256: standin.HashOf(o.cert.RawSubjectPublicKeyInfo),
	})
	return nil
}

func (ca *CA) find(c *standin.Call) *order {
	i := slices.IndexFunc(ca.orders, func(o *order) bool { return o.id == c.PathValue("id") })
	if i < 0 {
		fail(c, http.StatusNotFound, "NOT_FOUND", "no such certificate")
		return nil
	}
	return ca.orders[i]
}

func (ca *CA) show(o *order) map[string]any {
	v := map[string]any{
		"certificateId": o.id, "commonName": o.wish.CommonName, "subjectAlternativeNames": o.wish.Names, "status": o.status, "productType": o.wish.Product,
		"createdAt": o.created.Format(time.RFC3339), "validStart": "", "validEnd": "", "revokedAt": "", "progress": 40,
	}
	if o.status == "DENIED" {
		v["deniedReason"] = or(o.outcome.Reason, "no reason")
	}
	if o.cert != nil {
		v["serialNumber"], v["serialNumberHex"], v["progress"] = o.cert.SerialNumber.String(), fmt.Sprintf("%X", o.cert.SerialNumber), 100
		v["validStart"], v["validEnd"] = o.cert.NotBefore.Format(time.RFC3339), o.cert.NotAfter.Format(time.RFC3339)
	}
	return v
}

func (ca *CA) info(c *standin.Call) {
	if o := ca.find(c); o != nil {
		v := ca.show(o)
		if ca.cfg.ShowCSR {
			v["csr"] = o.wish.CSR
		}
		if ca.cfg.HideProducts {
			delete(v, "productType")
		}
		c.JSON(http.StatusOK, v)
	}
}

func (ca *CA) download(c *standin.Call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	if o.cert == nil {
		fail(c, http.StatusConflict, "NOT_ISSUED", "it is not issued")
		return
	}
	leaf := string(standin.EncodePEM(o.cert))
	pems := map[string]string{"intermediate": string(standin.EncodePEM(ca.keys.Issuing)), "cross": "", "root": string(standin.EncodePEM(ca.keys.Root))}
	switch c.Fault {
	case "pem-truncated":
		leaf = leaf[:len(leaf)/2]
	case "pem-leaf-only":
		pems = map[string]string{}
	}
	pems["certificate"] = leaf
	c.JSON(http.StatusOK, map[string]any{"pems": pems, "serialNumber": o.cert.SerialNumber.String()})
}

func (ca *CA) revoke(c *standin.Call) {
	o := ca.find(c)
	if o == nil {
		return
	}
	var given struct{ Reason string }
	words := []string{"AFFILIATION_CHANGED", "CESSATION_OF_OPERATION", "KEY_COMPROMISE", "PRIVILEGE_WITHDRAWN", "SUPERSEDED"}
	switch err := c.Read(&given, false); {
	case err != nil || !slices.Contains(words, given.Reason):
		fail(c, http.StatusUnprocessableEntity, "INVALID_REASON", "no such reason")
	case o.status != "ISSUED":
		fail(c, http.StatusConflict, "INVALID_STATUS", "it is "+o.status)
	default:
		o.status = "REVOKED"
		ca.Log(standin.Event{Kind: "revocation", Order: o.id, Serial: o.cert.SerialNumber.String(), Reason: given.Reason})
		c.Status(http.StatusNoContent)
	}
}

func (ca *CA) cancel(c *standin.Call) {
	o := ca.find(c)
	switch {
	case o == nil:
	case o.status != "PENDING_ISSUANCE":
		fail(c, http.StatusConflict, "INVALID_STATUS", "it is "+o.status)
	default:
		o.status = "CANCELED"
		ca.Log(standin.Event{Kind: "cancel", Order: o.id, CommonName: o.wish.CommonName})
		c.Status(http.StatusNoContent)
	}
}

const customer = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

func (ca *CA) shopper(c *standin.Call) {
	if c.PathValue("id") != strconv.FormatInt(ca.cfg.Shopper, 10) {
		fail(c, http.StatusNotFound, "NOT_FOUND", "no such shopper")
		return
	}
	c.JSON(http.StatusOK, map[string]any{"shopperId": c.PathValue("id"), "customerId": customer})
}

// list shows orders, the latest first. Its offset counts pages.
func (ca *CA) list(c *standin.Call) {
	if c.PathValue("id") != customer {
		fail(c, http.StatusForbidden, "ACCESS_DENIED", "another customer's")
		return
	}
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil && n >= 0 {
			return n
		}
		return otherwise
	}
	rows := []map[string]any{}
	for _, o := range slices.Backward(ca.orders) {
		if !ca.Time().Before(o.created.Add(ca.cfg.Visibility)) {
			row := ca.show(o)
			if ca.cfg.HideProduct || ca.cfg.HideProducts {
				delete(row, "productType")
			}
			rows = append(rows, row)
		}
	}
	size := max(min(number("limit", 50), 100), 1)
	from := min(number("offset", 0)*size, len(rows))
	c.JSON(http.StatusOK, map[string]any{"certificates": rows[from:min(from+size, len(rows))]})
}
