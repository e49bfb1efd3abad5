package acmetest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"time"
)

// revocation is a revokeCert payload.
func revocation(der []byte, more ...member) object {
	return append(object{{"certificate", b64(der)}}, more...)
}

// revokeByKey posts a revocation signed by a key instead of an account.
func (t *T) revokeByKey(k *key, payload any) *response {
	e := t.suite.main
	return t.send(e, message{url: e.dir.RevokeCert, key: k, payload: t.encode(payload)})
}

// revokeCases is R8555-7.6: who may revoke.
func revokeCases() []Case {
	return []Case{
		{"R8555-7.6-7", "by-the-issuing-account", func(t *T) {
			c := t.issued()
			resp := c.order.acct.post(c.order.acct.ep.dir.RevokeCert, revocation(c.leaf().Raw)).must(200).wantNonce().wantIndex(c.order.acct.ep.url)
			if len(resp.body) > 0 {
				resp.fail("the answer to a revocation has a body")
			}
		}},
		{"R8555-7.6-7", "by-the-certificates-key", func(t *T) {
			c := t.issued()
			t.revokeByKey(c.key, revocation(c.leaf().Raw, member{"reason", 1})).must(200).wantNonce()
		}},
		{"R8555-7.6-11", "by-an-rsa-certificates-key", func(t *T) {
			c := t.ready().issue(t.newRSAKey(2048))
			t.revokeByKey(c.key, revocation(c.leaf().Raw)).want(200)
		}},
		{"R8555-7.6-2", "by-an-account-that-proved-all-names", func(t *T) {
			c := t.issued()
			other := t.newAccount()
			other.newOrder(c.order.names()...).authorize()
			other.post(other.ep.dir.RevokeCert, revocation(c.leaf().Raw)).want(200)
		}},
		{"R8555-7.6-2", "by-an-account-that-proved-some-names", func(t *T) {
			c := t.issued(t.newName(), t.newName())
			other := t.newAccount()
			other.newOrder(c.order.names()[0]).authorize()
			other.post(other.ep.dir.RevokeCert, revocation(c.leaf().Raw)).refused(403, "unauthorized")
			c.wantNotRevoked()
		}},
		{"R8555-7.6-2", "by-a-strange-account", func(t *T) {
			c := t.issued()
			a := t.newAccount()
			a.post(a.ep.dir.RevokeCert, revocation(c.leaf().Raw)).refused(403, "unauthorized")
			c.wantNotRevoked()
		}},
		{"R8555-7.6-2", "by-a-strange-key", func(t *T) {
			c := t.issued()
			t.revokeByKey(t.newKey(), revocation(c.leaf().Raw)).refused(403, "unauthorized")
			c.wantNotRevoked()
		}},
		{"R8555-7.6-2", "by-the-account-key-as-jwk", func(t *T) {
			c := t.issued()
			t.revokeByKey(c.order.acct.key, revocation(c.leaf().Raw)).refusedWith([]int{400, 403}, "unauthorized", "malformed")
		}},
		{"R8555-6.2-12", "showing-the-certificates-key-without-signing-with-it", func(t *T) {
			c := t.issued()
			m := message{url: t.suite.main.dir.RevokeCert, key: t.newKey(), payload: t.encode(revocation(c.leaf().Raw))}
			m.header = func(h *object) { h.set("jwk", c.key.jwk) }
			t.send(t.suite.main, m).refused(400, "malformed")
			c.wantNotRevoked()
		}},
		{"R8555-7.6-6", "twice", func(t *T) {
			c := t.issued()
			a := c.order.acct
			a.post(a.ep.dir.RevokeCert, revocation(c.leaf().Raw)).must(200)
			a.post(a.ep.dir.RevokeCert, revocation(c.leaf().Raw)).refused(400, "alreadyRevoked")
		}},
		{"R8555-7.6-10", "key-compromise-bars-the-key", func(t *T) {
			c := t.issued()
			t.revokeByKey(c.key, revocation(c.leaf().Raw, member{"reason", 1})).must(200)
			o := t.ready()
			o.finalize(t.csr(c.key, o.names(), nil)).refused(400, "badCSR")
		}},
		{"R8555-7.6-10", "key-compromise-bars-the-key-as-an-account-key", func(t *T) {
			c := t.issued()
			t.revokeByKey(c.key, revocation(c.leaf().Raw, member{"reason", 1})).must(200)
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, c.key, t.accountRequest(t.suite.main, c.key))).refused(400, "badPublicKey")
		}},
		{"R8555-7.4.2-4", "revoked-certificate-can-still-be-read", func(t *T) {
			c := t.issued()
			c.order.acct.post(c.order.acct.ep.dir.RevokeCert, revocation(c.leaf().Raw)).must(200)
			c.order.acct.read(c.order.obj.Certificate).want(200)
		}},
	}
}

// wantNotRevoked checks that a refusal was meant: revoking for real still works.
func (c *certificate) wantNotRevoked() {
	a := c.order.acct
	a.post(a.ep.dir.RevokeCert, revocation(c.leaf().Raw)).want(200)
}

// revokeRequestCases bends the request itself. Each has a certificate of its own, so
// that a server which revokes it after all fails that case only.
func revokeRequestCases() []Case {
	refused := func(status int, kind string, payload func(t *T, c *certificate) any) func(*T) {
		return func(t *T) {
			c := t.issued()
			c.order.acct.post(c.order.acct.ep.dir.RevokeCert, payload(t, c)).refused(status, kind)
		}
	}
	reason := func(v any, kind string) func(*T) {
		return refused(400, kind, func(_ *T, c *certificate) any { return revocation(c.leaf().Raw, member{"reason", v}) })
	}
	return []Case{
		{"R8555-7.6-4", "reason-2", reason(2, "badRevocationReason")},
		{"R8555-7.6-4", "reason-7", reason(7, "badRevocationReason")},
		{"R8555-7.6-4", "reason-100", reason(100, "badRevocationReason")},
		{"R8555-7.6-4", "reason-negative", reason(-1, "badRevocationReason")},
		{"R8555-7.6-1", "reason-a-string", reason("keyCompromise", "malformed")},
		{"R8555-7.6-1", "reason-a-fraction", reason(1.5, "malformed")},
		{"R8555-7.6-1", "certificate-missing", refused(400, "malformed", func(*T, *certificate) any { return object{} })},
		{"R8555-7.6-1", "certificate-empty", refused(400, "malformed", func(*T, *certificate) any { return object{{"certificate", ""}} })},
		{"R8555-7.6-1", "certificate-a-number", refused(400, "malformed", func(*T, *certificate) any { return object{{"certificate", 1}} })},
		{"R8555-7.6-1", "certificate-is-not-der", refused(400, "malformed", func(*T, *certificate) any { return revocation([]byte("hello")) })},
		{"R8555-7.6-1", "certificate-with-padding", refused(400, "malformed", func(_ *T, c *certificate) any {
			// Bytes behind the certificate make the text need padding; either is wrong.
			der := append([]byte{}, c.leaf().Raw...)
			for len(der)%3 == 0 {
				der = append(der, 0)
			}
			return object{{"certificate", base64.URLEncoding.EncodeToString(der)}}
		})},
		{"R8555-7.6-1", "certificate-in-pem", refused(400, "malformed", func(_ *T, c *certificate) any {
			return object{{"certificate", string(c.response.body)}}
		})},
		{"R8555-7.6-1", "payload-a-list", refused(400, "malformed", func(*T, *certificate) any { return []string{} })},
		{"R8555-7.6-8", "certificate-of-another-ca", refused(404, "malformed", func(t *T, c *certificate) any {
			return revocation(t.selfSigned(c.order.names()[0]))
		})},
		{"R8555-7.6-8", "certificate-with-a-flipped-bit", refused(404, "malformed", func(_ *T, c *certificate) any {
			der := append([]byte{}, c.leaf().Raw...)
			der[len(der)-1] ^= 1
			return revocation(der)
		})},
		{"R8555-7.6-8", "issuer-instead-of-the-leaf", func(t *T) {
			c := t.issued()
			if len(c.chain) < 2 {
				t.NotApplicable("the chain holds only the leaf")
			}
			a := c.order.acct
			a.post(a.ep.dir.RevokeCert, revocation(c.chain[1].Raw)).refusedWith([]int{403, 404}, "malformed", "unauthorized")
		}},
		{"R8555-7.6-3", "jwk-and-kid", func(t *T) {
			c := t.issued()
			m := c.order.acct.message(c.order.acct.ep.dir.RevokeCert, revocation(c.leaf().Raw))
			m.header = func(h *object) { h.add("jwk", m.key.jwk) }
			t.send(c.order.acct.ep, m).refused(400, "malformed")
		}},
		{"R8555-7.6-3", "neither-jwk-nor-kid", func(t *T) {
			c := t.issued()
			m := c.order.acct.message(c.order.acct.ep.dir.RevokeCert, revocation(c.leaf().Raw))
			m.header = func(h *object) { h.remove("kid") }
			t.send(c.order.acct.ep, m).refused(400, "malformed")
		}},
		{"R8555-7.6-2", "bad-signature", func(t *T) {
			c := t.issued()
			m := c.order.acct.message(c.order.acct.ep.dir.RevokeCert, revocation(c.leaf().Raw))
			m.signature = flip
			t.send(c.order.acct.ep, m).refused(400, "malformed")
		}},
	}
}

// selfSigned is a certificate the server has never seen.
func (t *T) selfSigned(name string) []byte {
	k := t.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.signer.Public(), k.signer)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	return der
}
