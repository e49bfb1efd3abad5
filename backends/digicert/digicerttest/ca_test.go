package digicerttest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/digicert/digicerttest"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// caller is a client that knows nothing but HTTP.
type caller struct {
	t   *testing.T
	ca  *digicerttest.CA
	url string
	key string
}

func start(t *testing.T, cfg digicerttest.Config) caller {
	t.Helper()
	cfg.Clock = digicerttest.Stopped(begin)
	ca, err := digicerttest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return caller{t, ca, url, "digicert-key"}
}

func (c caller) do(method, path string, body any) (int, []byte) {
	c.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/"+path, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("X-Dc-Devkey", c.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// want calls and decodes, and wants that status.
func (c caller) want(status int, method, path string, body any) map[string]any {
	c.t.Helper()
	got, answer := c.do(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, answer)
	}
	var v map[string]any
	_ = json.Unmarshal(answer, &v)
	return v
}

func keyPEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "")
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type object = map[string]any

func order(csr string, change ...func(o, cert object)) object {
	cert := object{
		"common_name": "a.example.org", "dns_names": []string{"a.example.org", "b.example.org"}, "csr": csr, "signature_hash": "sha256",
		"extended_key_usages": []string{"server_authentication", "client_authentication"},
	}
	o := object{"certificate": cert, "organization": object{"id": 117}, "order_validity": object{"days": 90}, "skip_approval": true, "alternative_order_id": "ref-1"}
	for _, c := range change {
		c(o, cert)
	}
	return o
}

func number(v any) string { return fmt.Sprintf("%.0f", v) }

// TestOrder: an order at its own pace, with what its JSON says and nothing of
// its CSR but the key.
func TestOrder(t *testing.T) {
	t.Parallel()
	c := start(t, digicerttest.Config{Processing: time.Minute, Visibility: time.Minute})
	key := ecKey(t, elliptic.P256())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"ignored.example.org"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	id := number(c.want(http.StatusCreated, "POST", "order/certificate/x9_pki", order(csr))["id"])
	if got := c.want(http.StatusOK, "GET", "order/alternate/ref-1", nil); len(got["orders"].([]any)) != 0 {
		t.Errorf("it shows at once: %v", got)
	}
	if got := c.want(http.StatusOK, "GET", "order/certificate/"+id, nil); got["status"] != "pending" {
		t.Errorf("it is %v", got["status"])
	}
	c.ca.Advance(time.Minute)
	info := c.want(http.StatusOK, "GET", "order/certificate/"+id, nil)
	if got := c.want(http.StatusOK, "GET", "order/alternate/ref-1", nil); len(got["orders"].([]any)) != 1 || info["status"] != "issued" {
		t.Fatalf("a minute later: %v, %v", got, info)
	}
	cert := number(info["certificate"].(object)["id"])
	_, content := c.do("GET", "certificate/"+cert+"/download/format/pem_all", nil)
	block, rest := pem.Decode(content)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	issuing, rest := pem.Decode(rest)
	if root, _ := pem.Decode(rest); issuing == nil || root == nil {
		t.Error("no chain with its root")
	}
	if !slices.Equal(leaf.DNSNames, []string{"a.example.org", "b.example.org"}) || len(leaf.ExtKeyUsage) != 2 || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Errorf("a certificate for %v, %v", leaf.DNSNames, leaf.ExtKeyUsage)
	}
	c.want(http.StatusNoContent, "PUT", "certificate/"+cert+"/revoke", object{"skip_approval": true, "revocation_reason": "superseded"})
	c.want(http.StatusBadRequest, "PUT", "certificate/"+cert+"/revoke", object{"skip_approval": true, "revocation_reason": "superseded"})
	if p := c.ca.Purchases(); len(p) != 1 || p[0].Reference != "ref-1" || c.ca.Count("revocation") != 1 {
		t.Errorf("purchases %+v", p)
	}
}

// TestRefusals: what the product does not take.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := start(t, digicerttest.Config{ShortRate: -1})
	good := keyPEM(t, ecKey(t, elliptic.P256()).Public())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	many := []string{}
	for i := range 250 {
		many = append(many, fmt.Sprintf("n%d.example.org", i))
	}
	for name, body := range map[string]object{
		"wildcard":        order(good, func(_, cert object) { cert["dns_names"] = []string{"*.example.org"} }),
		"private address": order(good, func(_, cert object) { cert["dns_names"] = []string{"10.0.0.1"} }),
		"251 names":       order(good, func(_, cert object) { cert["dns_names"] = many }),
		"no hash":         order(good, func(_, cert object) { delete(cert, "signature_hash") }),
		"no organization": order(good, func(o, _ object) { delete(o, "organization") }),
		"unknown usage":   order(good, func(_, cert object) { cert["extended_key_usages"] = []string{"serverAuth"} }),
		"profile option":  order(good, func(_, cert object) { cert["profile_option"] = "server_client_auth_eku" }),
		"RSA 1024":        order(keyPEM(t, small.Public())),
		"P-521":           order(keyPEM(t, ecKey(t, elliptic.P521()).Public())),
		"no key":          order("hello"),
	} {
		if status, answer := c.do("POST", "order/certificate/x9_pki", body); status != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", name, status, answer)
		}
	}
	c.want(http.StatusNotFound, "POST", "order/certificate/ssl_plus", order(good))
	c.key = "wrong"
	c.want(http.StatusUnauthorized, "GET", "user/me", nil)
	if n := c.ca.Count("purchase"); n != 0 {
		t.Errorf("%d purchases", n)
	}
}

// TestReissueAndSwap: another key for an order, before and after it is issued,
// costs nothing.
func TestReissueAndSwap(t *testing.T) {
	t.Parallel()
	c := start(t, digicerttest.Config{Processing: time.Minute})
	keys := []string{}
	for range 3 {
		keys = append(keys, keyPEM(t, ecKey(t, elliptic.P256()).Public()))
	}
	id := number(c.want(http.StatusCreated, "POST", "order/certificate/x9_pki", order(keys[0]))["id"])
	c.want(http.StatusNoContent, "PUT", "order/certificate/"+id+"/csr", object{"csr": keys[1]})
	c.want(http.StatusBadRequest, "POST", "order/certificate/"+id+"/reissue", order(keys[2]))
	c.ca.Advance(time.Minute)
	c.want(http.StatusBadRequest, "PUT", "order/certificate/"+id+"/csr", object{"csr": keys[2]})
	body := order(keys[2], func(o, _ object) {
		delete(o, "organization")
		delete(o, "order_validity")
		delete(o, "alternative_order_id")
	})
	c.want(http.StatusCreated, "POST", "order/certificate/"+id+"/reissue", body)
	if got := c.want(http.StatusOK, "GET", "order/certificate/"+id, nil); got["status"] != "reissue_pending" {
		t.Errorf("it is %v", got["status"])
	}
	c.ca.Advance(time.Minute)
	got := c.want(http.StatusOK, "GET", "order/certificate/"+id+"/reissue", nil)["certificates"].([]any)
	if len(got) != 1 || got[0].(object)["csr"] != keys[2] {
		t.Errorf("reissues: %v", got)
	}
	var issued []string
	for _, e := range c.ca.Journal("certificate") {
		issued = append(issued, e.KeySHA256)
	}
	if len(issued) != 2 || issued[0] == issued[1] || c.ca.Count("purchase") != 1 {
		t.Errorf("certificates for %v, %d purchases", issued, c.ca.Count("purchase"))
	}
}

// TestRate: a hundred requests in five seconds, and not one more.
func TestRate(t *testing.T) {
	t.Parallel()
	c := start(t, digicerttest.Config{})
	for range 100 {
		c.want(http.StatusOK, "GET", "user/me", nil)
	}
	c.want(http.StatusTooManyRequests, "GET", "user/me", nil)
	c.ca.Advance(5 * time.Second)
	c.want(http.StatusOK, "GET", "user/me", nil)
}

// TestDuplicate: a duplicate stands beside what the order has, which stays what it
// shows, and one of them can be revoked without the other.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	c := start(t, digicerttest.Config{})
	csr := func() string { return keyPEM(t, ecKey(t, elliptic.P256()).Public()) }
	placed := c.want(http.StatusCreated, "POST", "order/certificate/x9_pki", order(csr()))
	id, first := number(placed["id"]), number(placed["certificate_id"])
	again := object{"certificate": order(csr())["certificate"], "skip_approval": true}
	second := number(c.want(http.StatusCreated, "POST", "order/certificate/"+id+"/duplicate", again)["certificate_id"])
	info := c.want(http.StatusOK, "GET", "order/certificate/"+id, nil)
	list := c.want(http.StatusOK, "GET", "order/certificate/"+id+"/duplicate", nil)["certificates"].([]any)
	reissues := c.want(http.StatusOK, "GET", "order/certificate/"+id+"/reissue", nil)["certificates"].([]any)
	if number(info["certificate"].(object)["id"]) != first || info["has_duplicates"] != true || len(list) != 1 || number(list[0].(object)["id"]) != second || len(reissues) != 0 {
		t.Errorf("the order is %v, its duplicates %v, its reissues %v", info, list, reissues)
	}
	c.want(http.StatusNoContent, "PUT", "certificate/"+second+"/revoke", object{"skip_approval": true, "revocation_reason": "superseded"})
	c.want(http.StatusNoContent, "PUT", "certificate/"+first+"/revoke", object{"skip_approval": true, "revocation_reason": "superseded"})
	if n := len(c.ca.Purchases()); n != 1 {
		t.Errorf("%d purchases", n)
	}
}
