package memberapi

import (
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
)

// certificateObject is the wire form of a certificate.
type certificateObject struct {
	ID          string      `json:"id"`
	Type        string      `json:"type,omitempty"` // of a framework: client, signing, server
	Profile     string      `json:"profile"`
	Application string      `json:"application,omitempty"`
	Identifiers []string    `json:"identifiers"`
	Serial      string      `json:"serial"` // decimal
	SerialHex   string      `json:"serialHex"`
	NotBefore   time.Time   `json:"notBefore"`
	NotAfter    time.Time   `json:"notAfter"`
	State       string      `json:"state"` // valid, expired, revoked
	Revoked     *revocation `json:"revocation,omitempty"`
	// DownloadName and Certificate, the chain in PEM without the root, are there
	// where one certificate is asked for.
	DownloadName string `json:"downloadName,omitempty"`
	Certificate  string `json:"certificate,omitempty"`
}

type revocation struct {
	At     time.Time `json:"at"`
	Reason int       `json:"reason"`
	By     string    `json:"by"`
}

// serialHex writes whole octets, so that the text is that of other tools.
func serialHex(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

func (a *API) certificateWire(c acme.Certificate, chain []byte, name string) certificateObject {
	serial := new(big.Int).SetBytes(c.Serial)
	v := certificateObject{
		ID: string(c.ID), Profile: string(c.Profile), Identifiers: make([]string, len(c.Identifiers)), Serial: serial.String(), SerialHex: serialHex(serial),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), State: state(c, a.cfg.Now()), Certificate: string(chain),
	}
	for i, id := range c.Identifiers {
		v.Identifiers[i] = id.Value
	}
	if c.Holder != nil {
		v.Type, v.Application = string(c.Holder.Tree), c.Holder.Application
	}
	if r := c.Revocation; r != nil {
		v.Revoked = &revocation{r.At.UTC(), int(r.Reason), r.By}
	}
	if chain != nil {
		v.DownloadName = downloadName(c, name)
	}
	return v
}

func state(c acme.Certificate, now time.Time) string {
	switch {
	case c.Revocation != nil:
		return "revoked"
	case c.Ended(now):
		return "expired"
	}
	return "valid"
}

// downloadName is what a file with the certificate may be called.
func downloadName(c acme.Certificate, name string) string {
	if name == "" {
		name = string(c.Profile)
		if len(c.Identifiers) > 0 {
			v := strings.TrimSuffix(c.Identifiers[0].Value, "/")
			name = v[strings.LastIndexByte(v, '/')+1:] + "-" + name
		}
	}
	return fileName(strings.TrimSuffix(name, ".pem")) + ".pem"
}

// fileName keeps what no file system and no header takes for something else.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
	s = strings.TrimLeft(s[:min(len(s), 100)], ".")
	if s == "" {
		return "certificate"
	}
	return s
}

// pemOf is a certificate and what is above it, but for the root.
func pemOf(c acme.Certificate, chain acme.Chain) []byte {
	all := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf})
	for _, der := range chain.Certificates {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return all
}

// own reads a certificate that was just made for the one who asks, whatever the
// scopes are.
func (a *API) own(q *request, id acme.CertificateID) (acme.Certificate, acme.Chain, error) {
	d, err := a.cfg.Engine.DelegateOf(q.ctx(), q.delegate.Member(), q.delegate.Who())
	if err != nil {
		return acme.Certificate{}, acme.Chain{}, err
	}
	return d.Certificate(q.ctx(), id)
}

// certificate shows one of the member: as an object, or with .pem as a file.
func (a *API) certificate(q *request) error {
	id, file := strings.CutSuffix(q.r.PathValue("id"), ".pem")
	c, chain, err := q.delegate.Certificate(q.ctx(), acme.CertificateID(id))
	if err != nil {
		return err
	}
	if file {
		q.attach(downloadName(c, ""))
		q.send(http.StatusOK, "application/pem-certificate-chain", pemOf(c, chain))
		return nil
	}
	return q.json(http.StatusOK, a.certificateWire(c, pemOf(c, chain), ""))
}

// bySerial sends a chain to whoever verifies signatures, and of other
// certificates to their member.
func (a *API) bySerial(q *request) error {
	serial, p := parseSerial(strings.TrimSuffix(q.r.PathValue("serial"), ".pem"))
	if p != nil {
		return p
	}
	c, chain, err := a.cfg.Engine.FrameworkCertificate(q.ctx(), serial)
	if err != nil && q.known {
		c, chain, err = q.delegate.BySerial(q.ctx(), serial)
	}
	if err != nil {
		return err
	}
	q.send(http.StatusOK, "application/pem-certificate-chain", pemOf(c, chain))
	return nil
}

// parseSerial reads a serial number: decimal, without leading zeros, as records
// have it, or hexadecimal after 0x or with colons, as load balancers log it.
// Digits alone are decimal.
func parseSerial(text string) ([]byte, *acme.Problem) {
	bad := acme.Problemf(acme.Malformed, "a serial number is written in decimal without leading zeros, or in hexadecimal after 0x or with colons")
	hexadecimal, explicit := strings.CutPrefix(strings.ToLower(text), "0x")
	if strings.Contains(text, ":") {
		hexadecimal, explicit = strings.ReplaceAll(hexadecimal, ":", ""), true
	}
	if !explicit {
		n, ok := new(big.Int).SetString(text, 10)
		if !ok || n.Sign() <= 0 || n.String() != text || len(text) > 50 {
			return nil, bad
		}
		return acme.SerialOctets(n), nil
	}
	if len(hexadecimal)%2 == 1 {
		hexadecimal = "0" + hexadecimal
	}
	octets, err := hex.DecodeString(hexadecimal)
	if err != nil || len(octets) == 0 || len(octets) > 21 {
		return nil, bad
	}
	return acme.SerialOctets(new(big.Int).SetBytes(octets)), nil
}

// pageSize is how many certificates of a member one page looks at.
const pageSize = 100

// list lists the certificates of the member. A page may have none that fit
// though others follow.
func (a *API) list(q *request) error {
	asked := q.r.URL.Query()
	for key := range asked {
		if !slices.Contains([]string{"application", "type", "profile", "state", "after", "limit"}, key) {
			return acme.Problemf(acme.Malformed, "certificates cannot be listed by %.40q; there are application, type, profile, state, after and limit", key)
		}
	}
	limit := pageSize
	if text := asked.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return acme.Problemf(acme.Malformed, "limit is a number from 1 to 1000")
		}
		limit = n
	}
	after := asked.Get("after")
	if after != "" && !acme.ValidID(after) {
		return acme.Problemf(acme.Malformed, "after is not a value that this server gave out")
	}
	if s := asked.Get("state"); s != "" && s != "valid" && s != "expired" && s != "revoked" {
		return acme.Problemf(acme.Malformed, "state is valid, expired or revoked")
	}
	certs, next, err := q.delegate.Certificates(q.ctx(), after, limit)
	if err != nil {
		return err
	}
	page := struct {
		Certificates []certificateObject `json:"certificates"`
		Next         string              `json:"next,omitempty"`
	}{Certificates: []certificateObject{}}
	for _, c := range certs {
		v := a.certificateWire(c, nil, "")
		if fits(asked, "application", v.Application) && fits(asked, "type", v.Type) && fits(asked, "profile", v.Profile) && fits(asked, "state", v.State) {
			page.Certificates = append(page.Certificates, v)
		}
	}
	if next != "" {
		asked.Set("after", next)
		page.Next = a.url("/certificates?" + asked.Encode())
	}
	return q.json(http.StatusOK, page)
}

func fits(asked url.Values, key, value string) bool {
	return asked.Get(key) == "" || asked.Get(key) == value
}

// revoke revokes a certificate of the member.
func (a *API) revoke(q *request) error {
	var body struct {
		Reason int `json:"reason"`
	}
	if q.r.ContentLength != 0 {
		if err := q.decode(&body); err != nil {
			return err
		}
	}
	id := acme.CertificateID(q.r.PathValue("id"))
	c, err := q.delegate.Revoke(q.ctx(), id, acme.RevocationReason(body.Reason))
	if err != nil {
		return err
	}
	a.log.Info("certificate revoked", "event", "member_api.revoked", "member", q.delegate.Member(), "by", q.delegate.Who(), "certificate", id, "reason", body.Reason)
	return q.json(http.StatusOK, struct {
		ID      string    `json:"id"`
		Revoked time.Time `json:"revoked"`
		Reason  int       `json:"reason"`
	}{string(id), c.Revocation.At.UTC(), int(c.Revocation.Reason)})
}
