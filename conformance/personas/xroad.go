package personas

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// xroad is the X-Road Security Server, which orders through acme4j: RSA keys, one
// name per order, newAccount before everything, and finalize at once when the
// challenge reads valid.
func xroad() Persona {
	return Persona{Name: "x-road", Release: "7.8.0 with acme4j 3.5.1", Stories: []Story{
		{"obtain", func(t *T) {
			newXRoad(t, t.suite.cfg.DirectoryURL, nil).order("", t.newName(), authKey)
		}},
		{"subject", func(t *T) {
			directory, b := t.xroadMember("auth")
			newXRoad(t, directory, &b).order("", t.newName(), authKeyOfMember)
		}},
		{"sign", func(t *T) {
			directory, b := t.xroadMember("sign")
			newXRoad(t, directory, &b).order("", t.newName(), signKey)
		}},
		{"bind", func(t *T) {
			directory, b := t.externalAccount()
			c := newXRoad(t, directory, &b)
			c.order("", t.newName(), authKey)
			c.order("", t.newName(), authKey) // newAccount again with the same binding
		}},
		{"renew", func(t *T) {
			directory, b := t.externalAccount()
			c := newXRoad(t, directory, &b)
			name := t.newName()
			cert := c.order("", name, authKey)[0]
			// The hourly job: each step logs in anew, without agreeing to terms.
			c.agent, c.agrees = xroadLibrary, false
			c.login()
			c.login()
			id, start, _ := c.renewalInfo(cert)
			c.t.need(start.Before(cert.NotAfter), nil, "R9773-4.2-2", "the window starts after the certificate has ended, and it renews at the start")
			c.order(id, name, authKey)
			c.order(id, name, authKey) // an attempt that it gave up comes back with the same replaces
		}},
		{"rollover", func(t *T) {
			directory, b := t.externalAccount()
			c := newXRoad(t, directory, &b)
			c.login()
			first, old := c.kid, c.key
			c.rollOver(t.rsaKey(2048), func(url, payload string) { c.send(url, payload, "application/json") })
			c.login()
			c.t.need(c.kid == first, nil, "R8555-7.3.5-12", "the account of the new key is %s, not %s", c.kid, first)
			// The new key is never written to its disk, so the old one comes back.
			c.key = old
			c.login()
		}},
	}}
}

// xroadLibrary is the agent of renewals and checks, which lack the X-Road token.
const xroadLibrary = "acme4j/3.5.1 Java/21.0.9"

type xroadClient struct {
	*wire
	external *bound
	agrees   bool
}

// xroadKey is one of the two kinds of certificate of a Security Server.
type xroadKey struct {
	usage  []byte // what the CSR asks for
	member bool   // the subject names the member, by the profile BasicACME
	sign   bool
}

var (
	// digitalSignature, keyEncipherment and dataEncipherment.
	authKey         = xroadKey{usage: []byte{0x03, 0x02, 0x04, 0xb0}}
	authKeyOfMember = xroadKey{usage: authKey.usage, member: true}
	// nonRepudiation, and keyCertSign, which must not come back.
	signKey = xroadKey{usage: []byte{0x03, 0x02, 0x02, 0x44}, member: true, sign: true}
)

func newXRoad(t *T, directory string, b *bound) *xroadClient {
	w := t.newWire("X-Road/7.8.0 "+xroadLibrary, connections{timeout: 10 * time.Second, follow: true}, nonceHabit{
		method: http.MethodHead, keep: 1, fromErrors: true, retries: 9,
		refused: func(x *exchange) bool {
			return x.mediaType() == "application/problem+json" && x.problemType() == errorNamespace+"badNonce"
		},
	})
	w.header = map[string]string{"Accept-Charset": "utf-8", "Accept-Language": "en-US,en;q=0.8", "Accept-Encoding": "gzip"}
	w.accept = "application/json"
	w.key = t.rsaKey(2048)
	w.discover(directory)
	return &xroadClient{wire: w, external: b, agrees: true}
}

// xroadMember provides an external account of the member in the subjects.
func (t *T) xroadMember(usage string) (directory string, b bound) {
	external := t.suite.cfg.ExternalAccounts
	if external == nil || external.NewXRoadKey == nil {
		return t.externalAccount()
	}
	kid, secret, err := external.NewXRoadKey(usage)
	if err != nil {
		t.broken("get an external account key for X-Road: %v", err)
	}
	return external.XRoadDirectoryURL, bound{kid, secret}
}

// send is a POST of acme4j (C-A4-1 to 3).
func (c *xroadClient) send(url, payload, accept string) *exchange {
	c.accept = accept
	x := c.post(url, payload)
	nonce := x.header.Get("Replay-Nonce")
	c.t.need(nonce == "" || base64url(nonce), x, "R8555-6.5-7", "the nonce %q has other characters than base64url", nonce)
	c.t.need(x.status == http.StatusOK || x.status == http.StatusCreated, x, "R8555-7.5.1-3", "it takes no status but 200 and 201, and this is %d", x.status)
	return x
}

// json reads an answer; the media type has to be right and the charset utf-8.
func (c *xroadClient) json(x *exchange) map[string]any {
	kind := x.header.Get("Content-Type")
	c.t.need(x.mediaType() == "application/json", x, "R8555-7.3-7", "the answer is %q, not application/json", kind)
	_, charset, given := strings.Cut(strings.ToLower(kind), "charset=")
	c.t.need(!given || strings.Trim(charset, `" `) == "utf-8", x, "R8555-6.1-6", "the charset is %q", charset)
	return c.object(x)
}

// login is newAccount, which comes before everything else it does (C-XR-4).
func (c *xroadClient) login() {
	// mail.yml holds a bare address, which goes on the wire as it is.
	payload := `{"contact":[` + quote(c.t.suite.cfg.Email) + `]`
	if c.agrees {
		payload += `,"termsOfServiceAgreed":true`
	}
	url := text(c.dir, "newAccount")
	if c.external != nil {
		payload += `,"externalAccountBinding":` + binding("HS256", c.external.kid, c.external.secret, url, c.key.jwk)
	}
	c.kid = ""
	x := c.send(url, payload+"}", "application/json")
	c.json(x)
	c.kid = x.header.Get("Location")
	c.t.need(c.kid != "", x, "R8555-7.3.1-1", "newAccount sent no Location")
}

func (c *xroadClient) order(replaces, name string, kind xroadKey) []*x509.Certificate {
	t := c.t
	c.login()
	// C-XR-1: a wish for a year, with nanoseconds.
	payload := `{"identifiers":` + identifiers([]string{name}) + `,"notAfter":"` + t.clock.Now().Add(365*24*time.Hour).UTC().Format("2006-01-02T15:04:05.999999999Z") + `"`
	if replaces != "" {
		payload += `,"replaces":"` + replaces + `"`
	}
	x := c.send(text(c.dir, "newOrder"), payload+"}", "application/json")
	order := c.json(x)
	location := x.header.Get("Location")
	t.need(location != "", x, "R8555-7.4-1", "newOrder sent no Location")
	urls := list(order, "authorizations")
	t.need(len(urls) == 1, x, "R8555-7.4-8", "it finalizes after each authorization, and there are %d", len(urls)) // C-XR-2

	x = c.send(urls[0], "", "application/json")
	authz := c.json(x)
	// C-XR-2: finalize stands inside of the branch for pending ones.
	t.need(text(authz, "status") == "pending", x, "R8555-7.5-1", "the authorization is %q and not pending: it then never finalizes and waits for nothing", text(authz, "status"))
	ch := c.challenge(x, authz, "http-01")
	count := 0
	for _, o := range objects(authz, "challenges") {
		if text(o, "type") == "http-01" {
			count++
		}
	}
	t.need(count == 1, x, "R8555-7.5-1", "it raises over %d http-01 challenges", count)
	t.need(base64url(text(ch, "token")), x, "R8555-8-3", "the token %q has other characters than base64url", text(ch, "token"))
	remove := c.present(ch)
	url := text(ch, "url")
	same := func(x *exchange) map[string]any {
		o := c.json(x)
		t.need(text(o, "url") == url, x, "R8555-7.5.1-3", "the challenge has changed its location to %q", text(o, "url"))
		t.need(text(o, "type") == "http-01", x, "R8555-8-1", "the challenge has become a %q", text(o, "type"))
		return o
	}
	if x := c.send(url, "{}", "application/json"); text(same(x), "status") != "valid" {
		c.await("challenge", url, same)
	}
	remove() // nobody may look any more

	// C-XR-3: no look at the order in between.
	signer := t.rsaSigner(2048)
	usual := c.agent
	if replaces == "" {
		// C-XR-6: the profile that the CA is configured with, on this request alone.
		c.agent = "profile_id=" + map[bool]string{true: "sign", false: "auth"}[kind.sign] + " " + usual
	}
	c.send(text(order, "finalize"), t.xroadCSR(signer, name, kind), "application/json")
	c.agent = usual
	c.await("order", location, c.json)
	o := c.json(c.send(location, "", "application/json"))
	x = c.send(text(o, "certificate"), "", "application/pem-certificate-chain")
	t.need(x.header.Get("Content-Type") == "application/pem-certificate-chain", x, "R8555-7.4.2-1", "the chain is %q", x.header.Get("Content-Type"))
	chain := c.chain(x)
	c.fits(x, chain, signer, []string{name})
	c.importable(x, chain[0], name, kind)
	return chain
}

// await polls five times, five seconds or Retry-After apart, which is all the time
// that a CA has (C-XR-10). It sleeps also after the answer that ends it, so a
// Retry-After on a final answer keeps a person waiting before the screen.
func (c *xroadClient) await(what, url string, read func(*exchange) map[string]any) {
	t := c.t
	for range 5 {
		x := c.send(url, "", "application/json")
		status := text(read(x), "status")
		t.need(status != "invalid", x, "R8555-7.5-5", "the %s became invalid", what)
		final := status == "valid"
		pause, present, err := x.retryAfter(time.Now())
		t.need(err == nil, x, "R8555-6.6-2", "it raises over the Retry-After %q", x.header.Get("Retry-After"))
		// Seconds count from Date, which has lost its fraction, and the clocks of two
		// machines differ: one second may be over when the answer arrives.
		t.need(!present || pause > time.Second, x, "R8555-6.6-2", "a Retry-After of less than 2 seconds is over when it arrives, its sleep negative, and the order ends")
		if !present {
			pause = 5 * time.Second
		}
		if !final || present { // five seconds for nothing are left out
			t.sleep(pause)
		}
		if final {
			return
		}
	}
	t.need(false, nil, "R8555-7.4F-14", "it gave up after polling the %s 5 times", what)
}

// subject is what the profile BasicACME puts together.
func (k xroadKey) subject(name string) pkix.Name {
	switch {
	case k.sign:
		return pkix.Name{Country: []string{"FI"}, Organization: []string{"Member One"}, SerialNumber: "5550001", CommonName: "Member One",
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: businessCategory, Value: "COM"}}}
	case k.member:
		return pkix.Name{Country: []string{"FI"}, Organization: []string{"Member One"}, SerialNumber: "5550001", CommonName: name}
	}
	return pkix.Name{CommonName: name}
}

var businessCategory = asn1.ObjectIdentifier{2, 5, 4, 15}

func (t *T) xroadCSR(key crypto.Signer, name string, kind xroadKey) string {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: kind.subject(name), DNSNames: []string{name},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: kind.usage}},
	}, key)
	if err != nil {
		t.broken("make a CSR: %v", err)
	}
	return `{"csr":"` + b64(der) + `"}`
}

// importable is what the Security Server checks when it imports the certificate.
func (c *xroadClient) importable(x *exchange, cert *x509.Certificate, name string, kind xroadKey) {
	t := c.t
	t.need(!cert.NotBefore.After(time.Now()), x, "R8555-7.4.2-8", "the certificate is not valid yet by its own clock")
	auth := slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth) ||
		cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment) != 0
	sign := cert.KeyUsage&x509.KeyUsageContentCommitment != 0
	t.need(auth != sign, x, "RPROF-6", "the key usage does not tell an authentication certificate from a signing one")
	t.need(sign == kind.sign, x, "RPROF-6", "it is the certificate of the other usage")
	t.need(!cert.IsCA && cert.KeyUsage&x509.KeyUsageCertSign == 0, x, "RPROF-6", "the certificate is one of a CA")
	if kind.member {
		// The order of the attributes is reversed at each renewal, so they are a set.
		want := attributes(kind.subject(name))
		got := attributes(cert.Subject)
		t.need(slices.Equal(got, want), x, "RPROF-6", "the subject is %q and not the member's %q, by which it finds the owner", got, want)
	}
}

func attributes(n pkix.Name) (all []string) {
	names := n.Names
	if len(names) == 0 {
		for _, set := range n.ToRDNSequence() {
			names = append(names, set...)
		}
	}
	for _, a := range names {
		all = append(all, fmt.Sprintf("%s=%v", a.Type, a.Value))
	}
	slices.Sort(all)
	return all
}
