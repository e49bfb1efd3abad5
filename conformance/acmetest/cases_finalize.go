package acmetest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// finalizeCases is R8555-7.4F: when an order may be finalized and what comes back.
func finalizeCases() []Case {
	return []Case{
		{"R8555-7.4F-1", "pending-order", func(t *T) {
			o := t.newAccount().newOrder()
			o.finalize(t.csr(t.newKey(), o.names(), nil)).refused(403, "orderNotReady")
		}},
		{"R8555-7.4F-13", "answer-is-the-order", func(t *T) {
			o := t.ready()
			resp := o.finalize(t.csr(t.newKey(), o.names(), nil)).must(200).wantNonce().wantIndex(o.acct.ep.url)
			var obj orderObject
			resp.decode(&obj)
			if obj.Status != "processing" && obj.Status != "valid" {
				resp.fail("status is %q, want processing or valid", obj.Status)
			}
			if obj.Status == "valid" && obj.Certificate == "" {
				resp.fail("a valid order has no certificate URL")
			}
		}},
		{"R8555-7.4F-13", "answer-has-the-order-as-location", func(t *T) {
			o := t.ready()
			resp := o.finalize(t.csr(t.newKey(), o.names(), nil)).must(200)
			if got := resp.header.Get("Location"); got != o.url {
				resp.fail("Location is %q, want %s", got, o.url)
			}
		}},
		{"R8555-7.4F-14", "processing-says-when-to-come-back", func(t *T) {
			o := t.ready()
			resp := o.finalize(t.csr(t.newKey(), o.names(), nil)).must(200)
			var obj orderObject
			if resp.decode(&obj); obj.Status == "valid" {
				return // nothing to wait for
			}
			// acme.sh takes whole seconds only (C-SH-2).
			if n, err := strconv.Atoi(resp.header.Get("Retry-After")); err != nil || n < 1 {
				resp.fail("Retry-After is %q, want whole seconds", resp.header.Get("Retry-After"))
			}
		}},
		{"R8555-7.4F-15", "same-csr-after-valid", func(t *T) {
			c := t.issued()
			var obj orderObject
			c.order.finalize(c.csr).must(200).decode(&obj) // SP-11
			if obj.Certificate != c.order.obj.Certificate {
				t.Errorf("certificate is %q, was %q", obj.Certificate, c.order.obj.Certificate)
			}
		}},
		{"R8555-7.4F-15", "other-csr-after-valid", func(t *T) {
			c := t.issued()
			c.order.finalize(t.csr(t.newKey(), c.order.names(), nil)).refused(403, "orderNotReady")
			if c.order.refresh(); c.order.obj.Status != "valid" {
				t.Errorf("the order is now %q", c.order.obj.Status)
			}
		}},
		{"R8555-7.4F-15", "concurrent-finalizes-with-different-keys", func(t *T) {
			o := t.ready()
			keys := []*key{t.newKey(), t.newKey(), t.newKey(), t.newKey()}
			var csrs [][]byte
			for _, k := range keys {
				csrs = append(csrs, t.csr(k, o.names(), nil))
			}
			winner := -1
			for i, resp := range t.together(len(keys), func(i int) *response { return o.finalize(csrs[i]) }) {
				if resp.status != 200 {
					resp.refused(403, "orderNotReady")
					continue
				}
				if winner >= 0 {
					resp.fail("a second CSR was accepted for one order")
				}
				winner = i
			}
			if winner < 0 {
				t.Fatalf("no finalize was accepted")
			}
			o.waitWhile("ready", "processing")
			c := o.download(keys[winner], csrs[winner])
			if !samePublicKey(c.leaf().PublicKey, keys[winner].signer.Public()) {
				t.Errorf("the certificate is for another key than the CSR that was accepted")
			}
		}},
		{"R8555-7.4F-15", "concurrent-finalizes-with-one-csr", func(t *T) {
			o := t.ready()
			csr := t.csr(t.newKey(), o.names(), nil)
			for _, resp := range t.together(4, func(int) *response { return o.finalize(csr) }) {
				resp.want(200) // SP-11
			}
			if o.waitWhile("ready", "processing"); o.obj.Status != "valid" {
				t.Errorf("the order is %q, want valid", o.obj.Status)
			}
		}},
		{"R8555-7.4F-6", "bad-csr-then-good-csr", func(t *T) {
			o := t.ready()
			wantError(o.finalize(t.csr(t.newKey(), []string{t.newName()}, nil)))
			if o.refresh(); o.obj.Status != "ready" {
				t.Fatalf("after a bad CSR the order is %q, want ready", o.obj.Status)
			}
			o.issue(t.newKey())
		}},
		{"EK-1", "rsa-key-is-accepted", func(t *T) { t.ready().issue(t.newRSAKey(2048)) }},
		{"EK-4", "p384-key-is-accepted", func(t *T) { t.ready().issue(t.newECKey(elliptic.P384())) }},
		{"R8555-7.4F-3", "several-names", func(t *T) {
			c := t.issued(t.newName(), t.newName(), t.newName())
			if !sameSet(c.leaf().DNSNames, c.order.names()) {
				t.Errorf("the certificate names %q, the order %q", c.leaf().DNSNames, c.order.names())
			}
		}},
	}
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// badFinalize posts a finalize payload to a ready order and checks that the order
// is ready afterwards (R8555-7.4F-6).
func badFinalize(payload func(t *T, o *order) any, types ...string) func(*T) {
	return func(t *T) {
		o := t.ready()
		o.acct.post(o.obj.Finalize, payload(t, o)).refused(400, types...)
		if o.refresh(); o.obj.Status != "ready" {
			t.Errorf("after the refusal the order is %q, want ready", o.obj.Status)
		}
	}
}

// csrCases is about the CSR as a container: encoding, signature and key.
func csrCases() []Case {
	good := func(t *T, o *order) []byte { return t.csr(t.newKey(), o.names(), nil) }
	encoded := func(fn func(der []byte) string, types ...string) func(*T) {
		return badFinalize(func(t *T, o *order) any { return object{{"csr", fn(good(t, o))}} }, types...)
	}
	fixed := func(payload string) func(*T) {
		return badFinalize(func(*T, *order) any { return []byte(payload) }, "malformed")
	}
	made := func(fn func(t *T, o *order) []byte) func(*T) {
		return badFinalize(func(t *T, o *order) any { return object{{"csr", b64(fn(t, o))}} }, "badCSR")
	}
	return []Case{
		{"R8555-7.4F-2", "csr-missing", badFinalize(func(*T, *order) any { return object{} }, "malformed", "badCSR")},
		{"R8555-7.4F-2", "csr-empty", badFinalize(func(*T, *order) any { return object{{"csr", ""}} }, "malformed", "badCSR")},
		{"R8555-7.4F-2", "csr-a-number", fixed(`{"csr":1}`)},
		{"R8555-7.4F-2", "finalize-payload-a-list", fixed(`[]`)},
		{"R8555-7.4F-2", "csr-with-padding", badFinalize(func(t *T, o *order) any {
			der := good(t, o)
			for len(der)%3 == 0 { // signatures vary in length
				der = good(t, o)
			}
			return object{{"csr", base64.URLEncoding.EncodeToString(der)}}
		}, "malformed")},
		{"R8555-7.4F-2", "csr-in-the-standard-alphabet", badFinalize(func(t *T, o *order) any {
			for {
				if text := base64.RawStdEncoding.EncodeToString(good(t, o)); strings.ContainsAny(text, "+/") {
					return object{{"csr", text}}
				}
			}
		}, "malformed")},
		{"R8555-7.4F-2", "csr-in-pem", encoded(func(der []byte) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		}, "malformed")},
		{"R8555-7.4F-2", "csr-is-not-der", encoded(func([]byte) string { return b64([]byte("hello")) }, "badCSR")},
		{"R8555-7.4F-2", "csr-is-cut-short", encoded(func(der []byte) string { return b64(der[:len(der)-9]) }, "badCSR")},
		{"R8555-7.4F-2", "csr-with-trailing-data", encoded(func(der []byte) string { return b64(append(der, 5, 0)) }, "badCSR")},
		{"R8555-7.4F-9", "csr-signature-with-a-flipped-bit", encoded(func(der []byte) string {
			der[len(der)-1] ^= 1
			return b64(der)
		}, "badCSR")},
		{"R8555-7.4F-9", "csr-signed-with-sha1", made(func(t *T, o *order) []byte { return t.sha1CSR(o.names()) })},
		{"R8555-7.4F-10", "csr-key-rsa-1024", made(func(t *T, o *order) []byte { return t.csr(t.newRSAKey(1024), o.names(), nil) })},
		{"R8555-7.4F-10", "csr-key-p224", made(func(t *T, o *order) []byte { return t.csr(t.newECKey(elliptic.P224()), o.names(), nil) })},
		{"R8555-7.4F-7", "csr-key-is-the-account-key", made(func(t *T, o *order) []byte { return t.csr(o.acct.key, o.names(), nil) })},
		{"R8555-7.4F-8", "csr-key-is-another-accounts-key", made(func(t *T, o *order) []byte {
			return t.csr(t.newAccount().key, o.names(), nil)
		})},
		{"R8555-7.4F-8", "csr-key-becomes-an-account-key", func(t *T) {
			// The reverse of the rule: a key in a certificate opens no account.
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, t.sharedCertificate().key, t.accountRequest(t.suite.main, t.sharedCertificate().key))).
				refused(400, "badPublicKey")
		}},
	}
}

// sha1CSR makes a CSR with the signature algorithm ecdsa-with-SHA1, by signing the
// request information of an ordinary one again.
func (t *T) sha1CSR(names []string) []byte {
	k := t.newKey()
	csr, err := x509.ParseCertificateRequest(t.csr(k, names, nil))
	if err != nil {
		t.Fatalf("parse our own CSR: %v", err)
	}
	sum := sha1.Sum(csr.RawTBSCertificateRequest)
	sig, err := ecdsa.SignASN1(rand.Reader, k.signer.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatalf("sign a CSR: %v", err)
	}
	der, err := asn1.Marshal(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: csr.RawTBSCertificateRequest},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}},
		asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)},
	})
	if err != nil {
		t.Fatalf("encode a CSR: %v", err)
	}
	return der
}

// csrNameCases is R8555-7.4F-3, -4, -5 and -11: what the CSR asks for.
func csrNameCases() (cases []Case) {
	for _, v := range []struct {
		id, name string
		names    func(t *T, o *order) []string
		change   func(t *T, o *order, r *x509.CertificateRequest)
	}{
		{"R8555-7.4F-3", "no-names", func(*T, *order) []string { return nil }, nil},
		{"R8555-7.4F-3", "one-name-more", func(t *T, o *order) []string { return append(o.names(), t.newName()) }, nil},
		{"R8555-7.4F-3", "one-name-less", func(_ *T, o *order) []string { return o.names()[:1] }, nil},
		{"R8555-7.4F-3", "other-names", func(t *T, _ *order) []string { return []string{t.newName(), t.newName()} }, nil},
		{"R8555-7.4F-3", "wildcard-of-the-name", func(_ *T, o *order) []string { return append(o.names()[:1], "*."+o.names()[1]) }, nil},
		{"R8555-7.4F-3", "name-below-the-name", func(_ *T, o *order) []string { return append(o.names()[:1], "www."+o.names()[1]) }, nil},
		{"R8555-7.4F-3", "name-with-a-trailing-dot", func(_ *T, o *order) []string { return append(o.names()[:1], o.names()[1]+".") }, nil},
		{"R8555-7.4F-4", "common-name-not-ordered", nil, func(t *T, _ *order, r *x509.CertificateRequest) {
			r.Subject.CommonName = t.newName()
		}},
		{"R8555-7.4F-11", "e-mail-address", nil, func(_ *T, _ *order, r *x509.CertificateRequest) {
			r.EmailAddresses = []string{"hostmaster@acmetest.net"}
		}},
		{"R8555-7.4F-11", "ip-address", nil, func(_ *T, _ *order, r *x509.CertificateRequest) {
			r.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}},
		{"R8555-7.4F-11", "uri", nil, func(_ *T, o *order, r *x509.CertificateRequest) {
			r.URIs = []*url.URL{{Scheme: "https", Host: o.names()[0]}}
		}},
		{"R8555-7.4F-5", "basic-constraints-of-a-ca", nil, func(_ *T, _ *order, r *x509.CertificateRequest) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}},
		{"R8555-7.4F-5", "unknown-extension", nil, func(_ *T, _ *order, r *x509.CertificateRequest) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: []byte{5, 0}}}
		}},
	} {
		cases = append(cases, Case{v.id, "csr-with-" + v.name, func(t *T) {
			o := t.ready(t.newName(), t.newName())
			names := o.names()
			if v.names != nil {
				names = v.names(t, o)
			}
			csr := t.csr(t.newKey(), names, func(r *x509.CertificateRequest) {
				if v.change != nil {
					v.change(t, o, r)
				}
			})
			o.finalize(csr).refused(400, "badCSR")
			if o.refresh(); o.obj.Status != "ready" {
				t.Errorf("after the refusal the order is %q, want ready", o.obj.Status)
			}
		}})
	}
	return append(cases, Case{"R8555-7.4F-3", "csr-in-another-order-and-case", func(t *T) {
		o := t.ready(t.newName(), t.newName())
		names := o.names()
		names[0], names[1] = string(bytes.ToUpper([]byte(names[1]))), names[0]
		if o.finish(t.csr(t.newKey(), names, nil)); o.obj.Status != "valid" {
			t.Errorf("the order is %q, want valid", o.obj.Status)
		}
	}})
}
