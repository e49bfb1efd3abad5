package acmetest

import (
	"encoding/json"
	"net/http"
	"sync"
)

// accountObject is RFC 8555 section 7.1.2.
type accountObject struct {
	Status  string          `json:"status"`
	Contact []string        `json:"contact"`
	Orders  string          `json:"orders"`
	Binding json.RawMessage `json:"externalAccountBinding"`
}

// account is an account of ours and the means to act as it.
type account struct {
	t   *T
	ep  *endpoint
	key *key
	url string
	obj accountObject
}

// newAccount makes a fresh account: cases share none, so that each may ruin its own.
func (t *T) newAccount() *account { return t.newAccountWith(t.newKey()) }

func (t *T) newAccountWith(k *key) *account {
	e := t.suite.main
	resp := t.send(e, t.newAccountMessage(e, k, t.accountRequest(e, k))).must(http.StatusCreated)
	a := &account{t: t, ep: e, key: k, url: resp.location()}
	resp.decode(&a.obj)
	return a
}

// accountRequest is the payload of an ordinary newAccount. The terms are always
// agreed to; servers that have none ignore it.
func (t *T) accountRequest(e *endpoint, k *key) object {
	request := object{
		{"termsOfServiceAgreed", true},
		{"contact", []string{t.suite.cfg.Contact}},
	}
	if e.bind != nil {
		request.add("externalAccountBinding", t.nested(binding(e, *e.bind, k)))
	}
	return request
}

// newAccountMessage is a newAccount request; payload is JSON encoded.
func (t *T) newAccountMessage(e *endpoint, k *key, payload any) message {
	return message{url: e.dir.NewAccount, key: k, payload: t.encode(payload)}
}

// binding is the externalAccountBinding of RFC 8555 section 7.3.4.
func binding(e *endpoint, external ExternalAccountKey, k *key) message {
	jwk, err := json.Marshal(k.jwk)
	if err != nil {
		panic(err) // strings only
	}
	return message{url: e.dir.NewAccount, key: hmacKey("HS256", external.HMAC), kid: external.KID, payload: jwk}
}

// encode makes a payload: octets and raw JSON go as they are.
func (t *T) encode(payload any) []byte {
	switch p := payload.(type) {
	case nil:
		return nil
	case []byte:
		return p
	case json.RawMessage:
		return p
	}
	out, err := json.Marshal(payload)
	if err != nil {
		t.Fatalf("encode a payload: %v", err)
	}
	return out
}

// as lets another case act as an account that was made for several.
func (a *account) as(t *T) *account {
	b := *a
	b.t = t
	return &b
}

// message is a correct request of the account; payload nil is POST-as-GET.
func (a *account) message(url string, payload any) message {
	return message{url: url, key: a.key, kid: a.url, payload: a.t.encode(payload)}
}

func (a *account) post(url string, payload any) *response {
	return a.t.send(a.ep, a.message(url, payload))
}

// read is POST-as-GET.
func (a *account) read(url string) *response { return a.post(url, nil) }

// identifier is RFC 8555 section 7.1.4.
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func dnsIdentifiers(names ...string) []identifier {
	var ids []identifier
	for _, n := range names {
		ids = append(ids, identifier{"dns", n})
	}
	return ids
}

// orderObject is RFC 8555 section 7.1.3.
type orderObject struct {
	Status         string          `json:"status"`
	Expires        string          `json:"expires"`
	Identifiers    []identifier    `json:"identifiers"`
	NotBefore      string          `json:"notBefore"`
	NotAfter       string          `json:"notAfter"`
	Error          json.RawMessage `json:"error"`
	Authorizations []string        `json:"authorizations"`
	Finalize       string          `json:"finalize"`
	Certificate    string          `json:"certificate"`
	Profile        string          `json:"profile"`
	Replaces       string          `json:"replaces"`
}

// authorizationObject is the object of RFC 8555 section 7.1.4.
type authorizationObject struct {
	Identifier identifier        `json:"identifier"`
	Status     string            `json:"status"`
	Expires    string            `json:"expires"`
	Challenges []challengeObject `json:"challenges"`
	Wildcard   *bool             `json:"wildcard"`
}

// challengeObject is the object of RFC 8555 section 8.
type challengeObject struct {
	Type      string   `json:"type"`
	URL       string   `json:"url"`
	Status    string   `json:"status"`
	Token     string   `json:"token"`
	Validated string   `json:"validated"`
	Error     *problem `json:"error"`
}

// order is an order of ours.
type order struct {
	acct *account
	url  string
	obj  orderObject
}

// newOrder orders names, or one fresh name when none are given.
func (a *account) newOrder(names ...string) *order {
	if len(names) == 0 {
		names = []string{a.t.newName()}
	}
	return a.newOrderWith(object{{"identifiers", dnsIdentifiers(names...)}})
}

func (a *account) newOrderWith(request object) *order {
	resp := a.post(a.ep.dir.NewOrder, request).must(http.StatusCreated)
	o := &order{acct: a, url: resp.location()}
	resp.decode(&o.obj)
	if len(o.obj.Authorizations) == 0 || o.obj.Finalize == "" {
		a.t.Fatalf("the order has no authorizations or no finalize URL\n%s", resp)
	}
	return o
}

// refresh reads the order again.
func (o *order) refresh() *response {
	resp := o.acct.read(o.url).must(http.StatusOK)
	o.obj = orderObject{}
	resp.decode(&o.obj)
	return resp
}

// waitWhile polls until the order has none of the given states.
func (o *order) waitWhile(states ...string) *order {
	var last *response
	o.acct.t.poll("the order to leave "+states[0], func() (bool, string) {
		resp := o.acct.read(o.url)
		last = resp
		if o.acct.t.limited(resp) {
			return false, resp.String()
		}
		o.obj = orderObject{}
		resp.must(http.StatusOK).decode(&o.obj)
		for _, s := range states {
			if o.obj.Status == s {
				return false, last.String()
			}
		}
		return true, ""
	})
	return o
}

func (a *account) authorization(url string) authorizationObject {
	var authz authorizationObject
	a.read(url).must(http.StatusOK).decode(&authz)
	return authz
}

// pick returns the challenge of a type; a server that does not offer it cannot be
// asked what it would do with it.
func (a *account) pick(authzURL, kind string) challengeObject {
	authz := a.authorization(authzURL)
	for _, c := range authz.Challenges {
		if c.Type == kind {
			return c
		}
	}
	a.t.NotApplicable("no %s challenge offered for %s", kind, authz.Identifier.Value)
	return challengeObject{}
}

// authorize proves control over every name by http-01 and waits until the order
// is ready.
func (o *order) authorize() *order {
	t := o.acct.t
	done := true
	for _, url := range o.obj.Authorizations {
		c := o.acct.pick(url, "http-01")
		if c.Status != "pending" {
			continue
		}
		t.suite.http01.answer(c.Token, text(http.StatusOK, o.acct.key.keyAuthorization(c.Token)))
		o.acct.post(c.URL, object{}).must(http.StatusOK).decode(&c)
		done = done && c.Status == "valid"
	}
	if done {
		// D4: a challenge that reads valid has made the order ready in the same commit.
		o.refresh()
	} else {
		o.waitWhile("pending")
	}
	if o.obj.Status != "ready" {
		t.Fatalf("the order is %s after all challenges were answered, want ready\n%s", o.obj.Status, o.acct.read(o.url))
	}
	return o
}

// ready is a fresh account's order that may be finalized.
func (t *T) ready(names ...string) *order { return t.newAccount().newOrder(names...).authorize() }

func (o *order) names() []string {
	var names []string
	for _, id := range o.obj.Identifiers {
		names = append(names, id.Value)
	}
	return names
}

// finalize posts a CSR in DER.
func (o *order) finalize(csr []byte) *response {
	return o.acct.post(o.obj.Finalize, object{{"csr", b64(csr)}})
}

// finish finalizes and waits for the end; the answer itself may be the end.
func (o *order) finish(csr []byte) *order {
	o.obj = o.finalize(csr).must(http.StatusOK).order()
	if o.obj.Status == "ready" || o.obj.Status == "processing" {
		o.waitWhile("ready", "processing")
	}
	return o
}

// order decodes an order.
func (r *response) order() (obj orderObject) {
	r.decode(&obj)
	return obj
}

// together runs fn n times at once and waits for all; a failure in any of them
// ends the case.
func (t *T) together(n int, fn func(i int) *response) []*response {
	responses := make([]*response, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			t.guard(func(*T) { responses[i] = fn(i) })
		})
	}
	close(start)
	wg.Wait()
	for _, r := range responses {
		if r == nil {
			t.Fatalf("one of %d concurrent requests got no answer", n)
		}
	}
	return responses
}
