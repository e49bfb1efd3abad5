package personas

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"time"
)

// quote writes a JSON string.
func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(out)
}

// identifiers writes the value of "identifiers".
func identifiers(names []string) string {
	var items []string
	for _, n := range names {
		items = append(items, `{"type":"dns","value":`+quote(n)+`}`)
	}
	return "[" + strings.Join(items, ",") + "]"
}

// csr makes a request for names, with a common name unless cn is empty.
func (t *T) csr(signer crypto.Signer, cn string, names []string) string {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: names}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, signer)
	if err != nil {
		t.broken("make a CSR: %v", err)
	}
	return `{"csr":"` + b64(der) + `"}`
}

// discover reads the directory and checks that it names what every client asks for.
func (w *wire) discover(url string) {
	x := w.do(http.MethodGet, url, "", "", "")
	w.t.need(x.status == http.StatusOK, x, "R8555-7.1-1", "the directory answered %d", x.status)
	w.dir = w.object(x)
	for _, name := range []string{"newNonce", "newAccount", "newOrder"} {
		w.t.need(text(w.dir, name) != "", x, "R8555-7.1-1", "the directory has no %s", name)
	}
	if meta, present := w.dir["meta"]; present {
		_, isObject := meta.(map[string]any)
		w.t.need(isObject, x, "R8555-7.1.1-3", "meta is no object")
	}
	w.take(x)
}

func (w *wire) meta() map[string]any {
	m, _ := w.dir["meta"].(map[string]any)
	return m
}

// bound says which directory a story needs and with which external account key.
type bound struct {
	kid    string
	secret []byte
}

// externalAccount picks the directory that requires a binding, and a key for it.
func (t *T) externalAccount() (directory string, b bound) {
	external := t.suite.cfg.ExternalAccounts
	if external == nil {
		t.notApplicable("no directory that requires external accounts was given")
	}
	kid, secret, err := external.NewKey()
	if err != nil {
		t.broken("get an external account key: %v", err)
	}
	return external.DirectoryURL, bound{kid, secret}
}

// chain parses a PEM chain as OpenSSL does: whatever stands between the blocks is
// skipped.
func (w *wire) chain(x *exchange) (chain []*x509.Certificate) {
	rest := x.body
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		w.t.need(block.Type == "CERTIFICATE", x, "R8555-9.1-1", "the chain holds a %s", block.Type)
		cert, err := x509.ParseCertificate(block.Bytes)
		w.t.need(err == nil, x, "R8555-9.1-1", "a certificate of the chain cannot be parsed: %v", err)
		chain = append(chain, cert)
	}
	w.t.need(len(chain) > 0, x, "R8555-9.1-1", "the answer holds no certificate")
	return chain
}

// fits checks that the leaf comes first, is for the key and the names, and is
// certified by what follows. Servers refuse to start with anything else.
func (w *wire) fits(x *exchange, chain []*x509.Certificate, key crypto.Signer, names []string) {
	leaf := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	w.t.need(ok && public.Equal(leaf.PublicKey), x, "R8555-7.4.2-1", "the first certificate is not for its key")
	for _, n := range names {
		w.t.need(leaf.VerifyHostname(n) == nil, x, "R8555-7.4-2", "the certificate is not for %s", n)
	}
	for i := range len(chain) - 1 {
		err := chain[i].CheckSignatureFrom(chain[i+1])
		w.t.need(err == nil, x, "R8555-9.1-2", "certificate %d of the chain is not certified by the next one: %v", i+1, err)
	}
}

// certID is the name of a certificate in RFC 9773 section 4.1.
func (t *T) certID(cert *x509.Certificate) string {
	t.need(len(cert.AuthorityKeyId) > 0, nil, "R9773-4.1-3", "the certificate has no authority key identifier to ask renewal information by")
	serial, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		t.broken("encode a serial number: %v", err)
	}
	return b64(cert.AuthorityKeyId) + "." + b64(serial[2:])
}

// renewalInfo asks when to renew: a plain GET, without a signature.
func (w *wire) renewalInfo(cert *x509.Certificate) (id string, start, end time.Time) {
	url := text(w.dir, "renewalInfo")
	if url == "" {
		w.t.notApplicable("the server has no renewal information")
	}
	id = w.t.certID(cert)
	x := w.do(http.MethodGet, url+"/"+id, "", "", "")
	w.t.need(x.status == http.StatusOK, x, "R9773-4.1-1", "renewal information was answered with %d", x.status)
	w.t.need(x.mediaType() == "application/json", x, "R9773-4.2-1", "renewal information is %q, not application/json", x.mediaType())
	var info struct {
		SuggestedWindow struct{ Start, End time.Time }
	}
	err := json.Unmarshal(x.body, &info)
	start, end = info.SuggestedWindow.Start, info.SuggestedWindow.End
	w.t.need(err == nil && !start.IsZero() && end.After(start), x, "R9773-4.2-1", "the suggested window cannot be read: %v", err)
	_, present, err := x.retryAfter(w.t.clock.Now())
	w.t.need(present && err == nil, x, "R9773-4.3-1", "renewal information has no Retry-After it can read: %v", err)
	return id, start, end
}

// challenge finds the challenge of one type. A client that finds none says so and
// ends.
func (w *wire) challenge(x *exchange, authz map[string]any, kind string) map[string]any {
	all := objects(authz, "challenges")
	w.t.need(len(all) > 0, x, "R8555-7.5-1", "the authorization lists no challenges")
	i := slices.IndexFunc(all, func(c map[string]any) bool { return text(c, "type") == kind })
	if i < 0 {
		w.t.notApplicable("no %s challenge is offered", kind)
	}
	return all[i]
}

// present publishes the key authorization of a challenge and returns what takes it
// away again.
func (w *wire) present(c map[string]any) (remove func()) {
	token := text(c, "token")
	w.t.suite.http01.put(token, token+"."+w.key.thumbprint())
	return func() { w.t.suite.http01.remove(token) }
}

// base64url is the alphabet of tokens and nonces; no client wants another.
func base64url(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// statuses a client knows; certbot raises on any other.
func known(status string) bool {
	return slices.Contains([]string{"unknown", "pending", "processing", "valid", "invalid", "revoked", "ready", "deactivated"}, status)
}

// wholeLines reports whether each mark of a chain has a line of its own, without
// which no tool that works by lines can cut it. A shell gives the last line its end.
func wholeLines(body []byte) bool {
	for line := range bytes.Lines(append(bytes.TrimRight(body, "\n"), '\n')) {
		if bytes.Contains(line, []byte("-----")) && (!bytes.HasPrefix(line, []byte("-----")) || bytes.Count(line, []byte("-----")) != 2 || !bytes.HasSuffix(line, []byte("\n"))) {
			return false
		}
	}
	return true
}
