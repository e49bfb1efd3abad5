package digicerttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/internal/standin"
)

// orderBody is what is sent to order or to reissue. What is not here is
// refused, as wrong for this product.
type orderBody struct {
	Certificate struct {
		CommonName   string   `json:"common_name"`
		Names        []string `json:"dns_names"`
		CSR          string   `json:"csr"`
		Hash         string   `json:"signature_hash"`
		Usages       []string `json:"key_usages"`
		Extended     []string `json:"extended_key_usages"`
		Profile      string   `json:"profile_option"`
		Organization *struct {
			ID int64 `json:"id"`
		} `json:"organization"`
		Platform *struct {
			ID int64 `json:"id"`
		} `json:"server_platform"`
	} `json:"certificate"`
	Organization *struct {
		ID int64 `json:"id"`
	} `json:"organization"`
	Validity struct {
		Years int `json:"years"`
		Days  int `json:"days"`
	} `json:"order_validity"`
	Container *struct {
		ID int64 `json:"id"`
	} `json:"container"`
	Comments     string `json:"comments"`
	Payment      string `json:"payment_method"`
	AutoRenew    int    `json:"auto_renew"`
	SkipApproval bool   `json:"skip_approval"`
	RenewalOf    int64  `json:"renewal_of_order_id"`
	Alternative  string `json:"alternative_order_id"`
	CustomFields []struct {
		ID    int64  `json:"metadata_id"`
		Value string `json:"value"`
	} `json:"custom_fields"`
}

func (ca *CA) placeOrder(c *call) {
	product := c.PathValue("id")
	if !ca.hasProduct(product) {
		c.fail(http.StatusNotFound, "not_found|product", "the account has no such product")
		return
	}
	var b orderBody
	if !c.read(&b, ca.cfg.Loose) {
		return
	}
	w, err := b.wish(product)
	switch {
	case err != nil:
		c.fail(http.StatusBadRequest, "bad_request_format", err.Error())
		return
	case b.Organization == nil || ca.organization(b.Organization.ID) == nil || ca.organization(b.Organization.ID).Inactive:
		c.fail(http.StatusBadRequest, "invalid_organization", "no such organization")
		return
	case ca.lacks(b) != 0:
		c.fail(http.StatusBadRequest, "missing_custom_field", "a field of the account is missing")
		return
	case w.validity <= 0 || w.validity > 398*24*time.Hour:
		c.fail(http.StatusBadRequest, "cert_validity_exceeds_order_validity", "up to 398 days")
		return
	}
	if b.RenewalOf != 0 {
		before := ca.orders[b.RenewalOf]
		if before == nil || before.latest() == nil || before.wish.commonName != w.commonName || before.latest().cert.NotAfter.After(ca.Time().AddDate(0, 0, 90)) {
			c.fail(http.StatusBadRequest, "order_not_renewable", "it cannot be renewed now")
			return
		}
	}
	o := ca.buy(b, w, product)
	if ca.cfg.Twins {
		ca.buy(b, w, product)
	}
	ca.settle()
	ca.answerOrder(c, o, o.request, o.requestStatus())
}

// buy makes an order, which is paid for.
func (ca *CA) buy(b orderBody, w wish, product string) *order {
	o := &order{
		id: ca.number(), request: ca.number(), product: product, organization: b.Organization.ID, wish: w, alternative: b.Alternative, comments: b.Comments,
		renewalOf: b.RenewalOf, created: ca.Time(), updated: ca.Time(), outcome: ca.OutcomeFor(w.commonName), stage: pending,
	}
	if !b.SkipApproval || ca.cfg.NoApproval {
		o.stage = needsApproval
	}
	if ca.cfg.ForgetAlternative {
		o.alternative = ""
	}
	ca.orders[o.id] = o
	ca.Log(standin.Event{
		Kind: "purchase", Order: o.text(), Reference: b.Alternative, RenewalOf: numbered(o.renewalOf), CommonName: w.commonName, Names: w.names,
		Usages: append(slices.Clone(w.usages), w.extended...), KeySHA256: standin.HashOf(w.spki),
	})
	return o
}

// answerOrder is the answer to an order and to a reissue, in one of its four
// shapes.
func (ca *CA) answerOrder(c *call, o *order, request int64, status string) {
	answer := map[string]any{"id": o.id, "requests": []map[string]any{{"id": request, "status": status}}}
	if status == "approved" {
		domains := []map[string]any{}
		for i, name := range o.wish.names {
			domains = append(domains, map[string]any{"id": 600 + i, "name": name, "dns_name": name, "dcv_token": map[string]string{"token": "t" + name, "status": "pending"}})
		}
		answer["domains"] = domains
		if issued := o.latest(); issued != nil && o.stage == complete && o.reissue == nil {
			answer["certificate_id"] = issued.id
			if ca.cfg.Answer == "chain" {
				answer["certificate_chain"] = ca.chainJSON(issued)
			}
		}
	}
	c.JSON(http.StatusCreated, answer)
}

// x9 is the product with lists of usages, and without wildcards.
const x9 = "x9_pki"

// wish reads and judges what is asked for, by the rules of the product.
func (b orderBody) wish(product string) (w wish, err error) {
	cert := b.Certificate
	w = wish{commonName: cert.CommonName, names: cert.Names, csr: cert.CSR, hash: cert.Hash, usages: cert.Usages, extended: cert.Extended}
	all := append([]string{w.commonName}, w.names...)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > 250 {
		return w, errors.New("more than 250 names")
	}
	for _, name := range all {
		if err := checkName(name, product == x9); err != nil {
			return w, err
		}
	}
	if net.ParseIP(w.commonName) != nil {
		return w, errors.New("the common name is no FQDN")
	}
	if !slices.Contains([]string{"sha256", "sha384", "sha512"}, w.hash) {
		return w, errors.New("signature_hash is missing")
	}
	for _, word := range w.usages {
		if word != "digital_signature" && word != "key_agreement_encipherment" {
			return w, errors.New("unknown key usage " + word)
		}
	}
	for _, word := range w.extended {
		if word != "server_authentication" && word != "client_authentication" {
			return w, errors.New("unknown extended key usage " + word)
		}
	}
	switch given := len(w.usages)+len(w.extended) > 0; {
	case product == x9 && cert.Profile != "":
		return w, errors.New("profile_option is for public products")
	case product != x9 && given:
		return w, errors.New("lists of usages are for X9")
	case product != x9 && cert.Profile == "":
		w.extended = []string{"server_authentication"}
	case product != x9 && cert.Profile != "server_client_auth_eku":
		return w, errors.New("unknown profile_option " + cert.Profile)
	}
	if len(w.extended) == 0 {
		w.extended = []string{"server_authentication", "client_authentication"}
	}
	w.validity = time.Duration(b.Validity.Days)*24*time.Hour + time.Duration(b.Validity.Years)*365*24*time.Hour
	w.public, w.spki, err = readKey(cert.CSR)
	return w, err
}

func checkName(name string, isX9 bool) error {
	if a, err := netip.ParseAddr(name); err == nil {
		if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
			return errors.New("a private address: " + name)
		}
		return nil
	}
	switch {
	case strings.Contains(strings.TrimPrefix(name, "*."), "*"), isX9 && strings.Contains(name, "*"):
		return errors.New("wildcards are not allowed: " + name)
	case name != strings.ToLower(name), !strings.Contains(name, "."), strings.HasSuffix(name, "."), strings.HasPrefix(name, "."), len(name) > 253:
		return errors.New("not a fully qualified name: " + name)
	}
	return nil
}

// readKey takes a CSR or a public key in PEM, with or without line breaks. All
// that counts of a CSR is its key.
func readKey(text string) (crypto.PublicKey, []byte, error) {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\\n", "")), " ")
	for label, parse := range map[string]func([]byte) (crypto.PublicKey, error){
		"CERTIFICATE REQUEST": func(der []byte) (crypto.PublicKey, error) {
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				return nil, err
			}
			return csr.PublicKey, csr.CheckSignature()
		},
		"PUBLIC KEY": func(der []byte) (crypto.PublicKey, error) { return x509.ParsePKIXPublicKey(der) },
	} {
		body, ok := strings.CutPrefix(text, "-----BEGIN "+label+"-----")
		body, closed := strings.CutSuffix(body, "-----END "+label+"-----")
		if !ok || !closed {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, " ", ""))
		if err != nil {
			return nil, nil, err
		}
		public, err := parse(der)
		if err != nil {
			return nil, nil, err
		}
		spki, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, nil, err
		}
		return public, spki, checkKey(public)
	}
	return nil, nil, errors.New("csr_invalid_cannot_parse")
}

func checkKey(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n == 2048 || n == 3072 || n == 4096 {
			return nil
		}
	case *ecdsa.PublicKey:
		if n := k.Params().BitSize; n == 256 || n == 384 {
			return nil
		}
	}
	return errors.New("this kind of key is not taken")
}
