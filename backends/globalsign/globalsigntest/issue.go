package globalsigntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"acmebridge/internal/standin"
)

// wish is the body of an order.
type wish struct {
	Validity struct {
		NotBefore int64 `json:"not_before"`
		NotAfter  int64 `json:"not_after"`
	} `json:"validity"`
	Subject struct {
		CommonName string `json:"common_name"`
	} `json:"subject_dn"`
	SAN struct {
		Names     []string `json:"dns_names"`
		Addresses []string `json:"ip_addresses"`
	} `json:"san"`
	Usages    []string `json:"extended_key_usages"`
	Signature struct {
		Hash string `json:"hash_algorithm"`
	} `json:"signature"`
	PublicKey          string `json:"public_key"`
	PublicKeySignature string `json:"public_key_signature"`
}

// order sells a certificate.
func (ca *CA) order(c *standin.Call) {
	var w wish
	if err := c.Read(&w, false); err != nil {
		fail(c, http.StatusBadRequest, "bad-request", err.Error())
		return
	}
	public, err := ca.acceptable(w)
	if err != nil {
		fail(c, http.StatusUnprocessableEntity, "policy", err.Error())
		return
	}
	first := append(append([]string{}, w.SAN.Names...), w.SAN.Addresses...)[0]
	outcome := ca.OutcomeFor(first)
	if outcome.Kind == Refused {
		fail(c, http.StatusUnprocessableEntity, "refused", or(outcome.Reason, "not acceptable"))
		return
	}
	cert, err := ca.issue(w, public, outcome.Kind)
	if err != nil {
		fail(c, http.StatusUnprocessableEntity, "issue", err.Error())
		return
	}
	made := &certificate{
		serial: fmt.Sprintf("%X", cert.SerialNumber.Bytes()), cert: cert, ordered: ca.Time(),
		stuck: outcome.Kind == Stuck, revoked: outcome.Kind == Revoked,
	}
	ca.certificates = append(ca.certificates, made)
	ca.quota--
	ca.Log(standin.Event{
		Kind: "purchase", Serial: made.serial, CommonName: w.Subject.CommonName, Names: w.SAN.Names, Usages: w.Usages, KeySHA256: standin.HashOf(cert.RawSubjectPublicKeyInfo),
	})
	ca.settle()
	c.Status(http.StatusCreated)
	switch c.Fault {
	case "no-location":
	case "elsewhere":
		c.Head().Set("Location", "https://elsewhere.invalid/v2/certificates/"+made.serial)
	default:
		c.Head().Set("Location", "/v2/certificates/"+made.serial)
	}
}

// acceptable holds an order against the policy.
func (ca *CA) acceptable(w wish) (crypto.PublicKey, error) {
	validity := time.Duration(w.Validity.NotAfter-w.Validity.NotBefore) * time.Second
	switch {
	case ca.quota <= 0:
		return nil, errors.New("the issuance quota is used up")
	case len(w.SAN.Names)+len(w.SAN.Addresses) == 0:
		return nil, errors.New("no names")
	case len(w.SAN.Names) > 100 || len(w.SAN.Addresses) > 10:
		return nil, errors.New("too many names")
	case slices.ContainsFunc(w.SAN.Names, func(name string) bool { return strings.Contains(name, "*") }):
		return nil, errors.New("a wildcard")
	case ca.cfg.NoCommonName && w.Subject.CommonName != "":
		return nil, errors.New("common_name is forbidden")
	case w.Signature.Hash != "SHA-256" && w.Signature.Hash != "SHA-384":
		return nil, errors.New("hash_algorithm is required")
	case validity < time.Hour || validity > ca.cfg.MaxValidity:
		return nil, fmt.Errorf("a validity of %s", validity)
	case w.Validity.NotBefore < ca.Time().Add(-ca.cfg.Skew).Unix():
		return nil, errors.New("not_before is in the past")
	case ca.cfg.StaticUsages && len(w.Usages) > 0, !ca.cfg.StaticUsages && len(w.Usages) == 0:
		return nil, errors.New("extended_key_usages do not fit the policy")
	}
	for _, u := range w.Usages {
		if !slices.Contains(ca.usages(), u) {
			return nil, fmt.Errorf("the extended key usage %s is not in the policy", u)
		}
	}
	for _, name := range w.SAN.Names {
		if !slices.ContainsFunc(ca.claims, func(d claim) bool {
			return d.verified && ca.Time().Before(d.until) && (name == d.domain || strings.HasSuffix(name, "."+d.domain))
		}) {
			return nil, fmt.Errorf("no verified claim for %s", name)
		}
	}
	return ca.publicKey(w)
}

func (ca *CA) publicKey(w wish) (public crypto.PublicKey, err error) {
	block, rest := pem.Decode([]byte(w.PublicKey))
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("public_key is no PEM")
	}
	switch {
	case block.Type == "CERTIFICATE REQUEST" && !ca.cfg.BareKeys:
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		if err := csr.CheckSignature(); err != nil {
			return nil, err
		}
		public = csr.PublicKey
	case block.Type == "PUBLIC KEY" && ca.cfg.BareKeys:
		if public, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return nil, err
		}
		if ca.cfg.Possession && w.PublicKeySignature == "" {
			return nil, errors.New("public_key_signature is required")
		}
	default:
		return nil, errors.New("public_key is not in the format of the policy")
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		if !ca.cfg.Curves && slices.Contains([]int{2048, 3072, 4096}, k.N.BitLen()) {
			return public, nil
		}
	case *ecdsa.PublicKey:
		if size := k.Params().BitSize; ca.cfg.Curves && (size == 256 || size == 384) {
			return public, nil
		}
	}
	return nil, errors.New("a key of this kind is not in the policy")
}

// issue makes the certificate of an order, with whatever is wrong with it.
func (ca *CA) issue(w wish, public crypto.PublicKey, kind Kind) (*x509.Certificate, error) {
	names := slices.Clone(w.SAN.Names)
	begin, end := time.Unix(w.Validity.NotBefore, 0).UTC(), time.Unix(w.Validity.NotAfter, 0).UTC()
	usages := w.Usages
	if ca.cfg.StaticUsages {
		usages = ca.usages()
	}
	switch kind {
	case DropName:
		names = []string{"other." + names[0]}
	case AddName:
		names = append(names, "intruder.example.com")
	case WrongKey:
		other, err := standin.NewKey()
		if err != nil {
			return nil, err
		}
		public = other.Public()
	case NoClient:
		usages = []string{serverAuth}
	case NoServer:
		usages = []string{clientAuth}
	case Outlived:
		begin, end = begin.Add(-48*time.Hour), begin.Add(-24*time.Hour)
	case Shorter:
		end = end.Add(-24 * time.Hour)
	case Ready, Stuck, Refused, Revoked:
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: w.Subject.CommonName}, NotBefore: begin, NotAfter: end, DNSNames: names}
	if ca.cfg.Organization != "" {
		template.Subject.Organization = []string{ca.cfg.Organization}
	}
	if _, ok := public.(*rsa.PublicKey); ok {
		template.KeyUsage = x509.KeyUsageKeyEncipherment
	}
	for _, text := range w.SAN.Addresses {
		if ip := net.ParseIP(text); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	for _, u := range usages {
		if u == serverAuth {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		} else {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
	}
	return ca.issuing.Issue(template, public)
}

func (ca *CA) find(c *standin.Call) *certificate {
	i := slices.IndexFunc(ca.certificates, func(made *certificate) bool { return made.serial == c.PathValue("serial") })
	if i < 0 {
		fail(c, http.StatusNotFound, "not-found", "no such certificate")
		return nil
	}
	return ca.certificates[i]
}

func (ca *CA) show(c *standin.Call) {
	made := ca.find(c)
	if made == nil {
		return
	}
	if !made.ready || c.Fault == "not-ready" {
		c.Status(http.StatusAccepted)
		return
	}
	text := string(standin.EncodePEM(made.cert))
	if c.Fault == "pem-truncated" {
		text = text[:len(text)/2]
	}
	status := "ISSUED"
	if made.revoked {
		status = "REVOKED"
	}
	c.JSON(http.StatusOK, map[string]any{"certificate": text, "status": status, "updated_at": made.at.Unix()})
}

func (ca *CA) revoke(c *standin.Call) {
	made := ca.find(c)
	if made == nil {
		return
	}
	var given struct {
		Reason string `json:"revocation_reason"`
		Time   int64  `json:"revocation_time"`
	}
	words := []string{"unspecified", "affiliationChanged", "keyCompromise", "superseded", "cessationOfOperation", "privilegeWithdrawn"}
	switch err := c.Read(&given, false); {
	case err != nil || !slices.Contains(words, given.Reason):
		fail(c, http.StatusUnprocessableEntity, "reason", "no such reason")
		return
	case !made.ready:
		fail(c, http.StatusConflict, "state", "it is not issued")
		return
	case made.revoked:
		fail(c, http.StatusUnprocessableEntity, "state", "it is revoked")
		return
	}
	made.revoked = true
	ca.Log(standin.Event{Kind: "revocation", Serial: made.serial, Reason: given.Reason})
	c.Status(http.StatusNoContent)
}
