package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/storage/memory"
)

// TestForeignCostsAsMuch: what belongs to somebody else is looked for in as many
// steps as what does not exist, so time tells no more than the answer does (SP-1, R8555-10.5-3). The clock itself is asked by
// BenchmarkForeignAndUnknown.
func TestForeignCostsAsMuch(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Store: watchedStore{memory.New()}})
	owner, other := f.registered(t, "default"), f.registered(t, "default")
	owned := things(t, owner)
	asked := 0
	for _, row := range server.Rows() {
		foreign, ok := owned[row.Path]
		if !ok {
			continue
		}
		for _, payload := range []string{"", "{}", `{"status":"deactivated"}`, csrFor(t, "issued.localhost")} {
			var costs [2]watch
			for i, url := range []string{foreign, urlFor(f, "default", row)} {
				r := post(url, other.withAccount(t, url, payload))
				r.ctx = costs[i].in(t.Context())
				f.do(t, r)
			}
			asked++
			if a, b := costs[0].views.Load(), costs[1].views.Load(); a != b || a == 0 {
				t.Errorf("%s with payload %.20q: %d reads for a foreign one, %d for an unknown one", row.Path, payload, a, b)
			}
			if a, b := costs[0].updates.Load(), costs[1].updates.Load(); a != b {
				t.Errorf("%s with payload %.20q: %d transactions for a foreign one, %d for an unknown one", row.Path, payload, a, b)
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d requests were compared", asked)
	}
}

// leafOf is the DER of the certificate of an order, in base64url.
func leafOf(tb testing.TB, c *client, o order) string {
	tb.Helper()
	block, _ := pem.Decode(c.post(tb, o.Certificate, "").body)
	if block == nil {
		tb.Fatal("the answer is no PEM")
	}
	return base64.RawURLEncoding.EncodeToString(block.Bytes)
}

// TestForeignInPayloads: what belongs to somebody else can be named in a payload
// as well as in a URL. Whoever does so changes nothing (SP-1, SP-12).
func TestForeignInPayloads(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	owner, other := f.registered(t, "default"), f.registered(t, "default")
	issued, open := owner.issue(t, "a.localhost"), owner.newOrder(t, "b.localhost")
	leaf := leafOf(t, owner, issued)
	stranger := newKey(t)

	for name, try := range map[string]struct {
		reply  reply
		status int
		kind   acme.ProblemType
	}{
		"revoke another's certificate": {
			other.post(t, other.url["revokeCert"], `{"certificate":"`+leaf+`"}`), http.StatusForbidden, acme.Unauthorized,
		},
		"revoke it by a key that is not its own": {
			f.do(t, post(other.url["revokeCert"], (&client{f: f, key: stranger}).withKey(t, other.url["revokeCert"], `{"certificate":"`+leaf+`"}`))),
			http.StatusForbidden, acme.Unauthorized,
		},
		"revoke it in the name of its owner": {
			f.do(t, post(owner.url["revokeCert"], (&client{f: f, key: other.key, kid: owner.kid}).withAccount(t, owner.url["revokeCert"], `{"certificate":"`+leaf+`"}`))),
			http.StatusBadRequest, acme.Malformed,
		},
		"change the key of another account": {
			other.post(t, other.url["keyChange"], keyChange(t, f, stranger, owner.kid, owner)), http.StatusBadRequest, acme.Malformed,
		},
		"change the own key and show another's as the old one": {
			other.post(t, other.url["keyChange"], keyChange(t, f, stranger, other.kid, owner)), http.StatusBadRequest, acme.Malformed,
		},
		"take the key of another account": {
			other.post(t, other.url["keyChange"], keyChange(t, f, owner.key, other.kid, other)), http.StatusConflict, acme.Malformed,
		},
		"list another's orders by a cursor of theirs": {
			other.post(t, owner.kid+"/orders?cursor="+open.url[strings.LastIndexByte(open.url, '/')+1:], ""), http.StatusForbidden, acme.Unauthorized,
		},
	} {
		wantProblem(t, try.reply, try.status, try.kind)
		if t.Failed() {
			t.Fatalf("that was: %s", name)
		}
	}
	// A cursor is a place and no key: it shows the own orders, from there on.
	mine := other.newOrder(t, "c.localhost")
	list := decode[struct{ Orders []string }](t, other.post(t, other.kid+"/orders?cursor="+open.url[strings.LastIndexByte(open.url, '/')+1:], ""))
	for _, url := range list.Orders {
		if url != mine.url {
			t.Errorf("the list of one account shows %s of another", url)
		}
	}
	// Everything is as it was: the owner's key signs, the certificate is in force.
	if r := owner.post(t, open.url, ""); r.status != http.StatusOK || !strings.Contains(string(r.body), `"pending"`) {
		t.Errorf("the owner's order: %d %s", r.status, r.body)
	}
	if r := owner.post(t, owner.url["revokeCert"], `{"certificate":"`+leaf+`"}`); r.status != http.StatusOK {
		t.Errorf("the owner cannot revoke it any more: %d %s", r.status, r.body)
	}
}

// keyChange is the payload of a key change to next, of an account and with the
// old key of a client, whoever signs around it.
func keyChange(tb testing.TB, f *front, next *ecdsa.PrivateKey, account string, old *client) string {
	tb.Helper()
	inner := &client{f: f, key: next}
	return string(inner.sign(tb, map[string]any{"alg": "ES256", "jwk": jwk(tb, &next.PublicKey), "url": old.url["keyChange"]},
		string(marshal(tb, map[string]any{"account": account, "oldKey": jwk(tb, &old.key.PublicKey)}))))
}

// TestRevokeByForbiddenKeys: a key that no account may have, because it is
// barred or too weak, may still say so of its certificate (R8555-7.6-14).
func TestRevokeByForbiddenKeys(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	key := newKey(t)
	first, second := c.issueWith(t, "a.localhost", key), c.issueWith(t, "b.localhost", key)
	holder := &client{f: f, key: key}
	revoke := func(o order) reply {
		return f.do(t, post(c.url["revokeCert"], holder.withKey(t, c.url["revokeCert"], `{"certificate":"`+leafOf(t, c, o)+`","reason":1}`)))
	}
	if r := revoke(first); r.status != http.StatusOK {
		t.Fatalf("the first: %d %s", r.status, r.body)
	}
	// From here on the key is barred (R8555-7.6-10).
	wantProblem(t, f.do(t, post(c.url["newAccount"], holder.withKey(t, c.url["newAccount"], "{}"))), http.StatusBadRequest, acme.BadPublicKey)
	if r := revoke(second); r.status != http.StatusOK {
		t.Errorf("the second, by a key that is barred: %d %s", r.status, r.body)
	}
	// A weak key is heard, too: it gets as far as being told that it is not the
	// key of that certificate. As an account key it is refused for what it is.
	weak, err := rsa.GenerateKey(rand.Reader, 2052)
	if err != nil {
		t.Fatal(err)
	}
	third := c.issue(t, "c.localhost")
	body := byRSA(t, weak, f.nonces.Issue(), c.url["revokeCert"], `{"certificate":"`+leafOf(t, c, third)+`"}`)
	wantProblem(t, f.do(t, post(c.url["revokeCert"], body)), http.StatusForbidden, acme.Unauthorized)
	body = byRSA(t, weak, f.nonces.Issue(), c.url["newAccount"], `{}`)
	wantProblem(t, f.do(t, post(c.url["newAccount"], body)), http.StatusBadRequest, acme.BadPublicKey)
}

// byRSA signs a request with an RSA key that it brings along.
func byRSA(tb testing.TB, key *rsa.PrivateKey, nonce, url, payload string) []byte {
	tb.Helper()
	header := marshal(tb, map[string]any{"alg": "RS256", "nonce": nonce, "url": url, "jwk": map[string]string{
		"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}})
	protected, encoded := encode(header), encode([]byte(payload))
	digest := sha256.Sum256([]byte(protected + "." + encoded))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return marshal(tb, map[string]string{"protected": protected, "payload": encoded, "signature": encode(signature)})
}
