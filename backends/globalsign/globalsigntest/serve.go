package globalsigntest

import (
	"crypto/rand"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/standin"
)

func (ca *CA) endpoints() []standin.Endpoint {
	const get, post, patch = http.MethodGet, http.MethodPost, http.MethodPatch
	return []standin.Endpoint{
		{Name: "login", Method: post, Pattern: "login", Serve: ca.login, Private: true},
		{Name: "policy", Method: get, Pattern: "validationpolicy", Serve: ca.policy},
		{Name: "order", Method: post, Pattern: "certificates", Serve: ca.order},
		{Name: "fetch", Method: get, Pattern: "certificates/{serial}", Serve: ca.show},
		{Name: "revoke", Method: patch, Pattern: "certificates/{serial}", Serve: ca.revoke},
		{Name: "chain", Method: get, Pattern: "trustchain", Serve: ca.chain},
		{Name: "issued", Method: get, Pattern: "stats/issued", Serve: ca.issued},
		{Name: "quota", Method: get, Pattern: "quotas/issuance", Serve: ca.showQuota},
		{Name: "claims", Method: get, Pattern: "claims/domains", Serve: ca.listClaims},
	}
}

// Endpoints are the names of all endpoints.
func Endpoints() []string { return standin.Names((*CA)(nil).endpoints()) }

// faults are what can go wrong here besides what can everywhere.
func faults() []standin.FaultKind {
	return []standin.FaultKind{
		{Name: "pem-truncated", What: "leave out the end of the certificate"},
		{Name: "not-ready", What: "say 202 as if it were not there yet"},
		{Name: "elsewhere", What: "order it and name an address of another origin"},
		{Name: "no-location", What: "order it and do not say where it is"},
	}
}

// FaultKinds lists the kinds of faults, and what they do.
func FaultKinds() []string { return standin.FaultKinds(faults()) }

// fail answers with a problem document, as the real service does.
func fail(c *standin.Call, status int, code, message string) {
	c.JSON(status, map[string]any{"type": code, "description": message})
	c.Head().Set("Content-Type", "application/problem+json")
}

// admit looks at the client certificate, at the token, and at how bodies are
// labelled.
func (ca *CA) admit(c *standin.Call, endpoint string) bool {
	if len(c.Content) > 0 {
		label, parameters, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
		if err != nil || label != "application/json" || !strings.EqualFold(parameters["charset"], "utf-8") {
			fail(c, http.StatusUnsupportedMediaType, "media-type", "the content type must be application/json;charset=utf-8")
			return false
		}
	}
	if endpoint == "login" {
		return true
	}
	token, ok := strings.CutPrefix(c.Request.Header.Get("Authorization"), "Bearer ")
	if until := ca.tokens[token]; !ok || !ca.Time().Before(until) {
		fail(c, http.StatusUnauthorized, "unauthorized", "no valid access token")
		return false
	}
	return true
}

func (ca *CA) login(c *standin.Call) {
	var given struct {
		Key    string `json:"api_key"`
		Secret string `json:"api_secret"`
	}
	if c.Read(&given, false) != nil || given.Key != ca.cfg.Key || given.Secret != ca.cfg.Secret {
		fail(c, http.StatusUnauthorized, "unauthorized", "unknown API key, or another secret: "+given.Secret)
		return
	}
	token := rand.Text()
	ca.tokens[token] = ca.Time().Add(ca.cfg.TokenAge)
	c.JSON(http.StatusOK, map[string]string{"access_token": token})
}

const (
	serverAuth = "1.3.6.1.5.5.7.3.1"
	clientAuth = "1.3.6.1.5.5.7.3.2"
)

func (ca *CA) usages() []string {
	if ca.serverOnly {
		return []string{serverAuth}
	}
	return []string{serverAuth, clientAuth}
}

func (ca *CA) policy(c *standin.Call) {
	type m = map[string]any
	usages := m{"static": ca.cfg.StaticUsages, "list": ca.usages(), "mincount": 1, "maxcount": len(ca.usages())}
	key := m{"key_type": "RSA", "allowed_lengths": []int{2048, 3072, 4096}, "key_format": "PKCS10"}
	if ca.cfg.Curves {
		key["key_type"], key["allowed_lengths"] = "ECDSA", []int{256, 384}
	}
	if ca.cfg.BareKeys {
		key["key_format"] = "PKCS8"
	}
	possession := "FORBIDDEN"
	if ca.cfg.Possession {
		possession = "REQUIRED"
	}
	subject := m{"common_name": m{"presence": "OPTIONAL", "format": "^.{1,64}$"}}
	if ca.cfg.NoCommonName {
		subject["common_name"] = m{"presence": "FORBIDDEN"}
	}
	if ca.cfg.Organization != "" {
		subject["organization"] = m{"presence": "STATIC", "format": ca.cfg.Organization}
	}
	c.JSON(http.StatusOK, m{
		"validity":              m{"secondsmin": 3600, "secondsmax": int64(ca.cfg.MaxValidity / time.Second), "not_before_negative_skew": int64(ca.cfg.Skew / time.Second)},
		"subject_dn":            subject,
		"san":                   m{"dns_names": m{"static": false, "list": []string{`^[^*]+$`}, "mincount": 0, "maxcount": 100}, "ip_addresses": m{"static": false, "list": []string{}, "mincount": 0, "maxcount": 10}},
		"extended_key_usages":   m{"ekus": usages, "critical": false},
		"public_key":            key,
		"public_key_signature":  possession,
		"signature":             m{"hash_algorithm": m{"presence": "REQUIRED", "list": []string{"SHA-256", "SHA-384"}}},
		"ms_extension_template": nil,
	})
}

func (ca *CA) chain(c *standin.Call) {
	c.JSON(http.StatusOK, []string{string(standin.EncodePEM(ca.issuing.Issuing)), string(standin.EncodePEM(ca.issuing.Root))})
}

func (ca *CA) showQuota(c *standin.Call) { c.JSON(http.StatusOK, map[string]int64{"value": ca.quota}) }

// page answers with a part of a list.
func page[T any](c *standin.Call, all []T) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	size := min(number("per_page", 20), 100)
	from := min((number("page", 1)-1)*size, len(all))
	c.JSON(http.StatusOK, append([]T{}, all[from:min(from+size, len(all))]...))
	c.Head().Set("Total-Count", strconv.Itoa(len(all)))
}

func (ca *CA) listClaims(c *standin.Call) {
	var rows []map[string]any
	for i, claim := range ca.claims {
		row := map[string]any{"id": strconv.Itoa(i + 1), "domain": claim.domain, "status": "PENDING", "assert_by": 0}
		if claim.verified {
			row["status"], row["assert_by"] = "VERIFIED", claim.until.Unix()
		}
		rows = append(rows, row)
	}
	page(c, rows)
}

func (ca *CA) issued(c *standin.Call) {
	bound := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(c.URL.Query().Get(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	from, to := bound("from", 0), bound("to", 1<<60)
	var rows []map[string]any
	for _, cert := range ca.certificates {
		if !cert.ready || ca.Time().Before(cert.at.Add(ca.cfg.Visibility)) || cert.at.Unix() < from || cert.at.Unix() > to {
			continue
		}
		rows = append(rows, map[string]any{"serial_number": cert.serial, "not_before": cert.cert.NotBefore.Unix(), "not_after": cert.cert.NotAfter.Unix()})
	}
	page(c, rows)
}
