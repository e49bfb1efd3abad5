package acmetest

import (
	"net/url"
	"strconv"
	"time"
)

// limitCases meet the rate limits of a directory where they are small.
func limitCases() []Case {
	return []Case{
		{"R8555-6.6-1", "too-many-orders-are-rate-limited", func(t *T) {
			a, refusal := t.overLimit()
			p := refusal.refused(429, "rateLimited")
			refusal.wantNonce().wantIndex(a.ep.url)
			if refusal.header.Get("Location") != "" {
				refusal.fail("a refused order has a Location")
			}
			if len(p.Subproblems) > 0 {
				refusal.fail("the limit is the account's, so no identifier is at fault")
			}
		}},
		{"R8555-6.6-1", "another-account-is-not-concerned", func(t *T) {
			_, refusal := t.overLimit()
			refusal.refused(429, "rateLimited")
			t.limitedAccount().place().must(201)
		}},
		{"R8555-6.6-1", "what-is-under-way-goes-on", func(t *T) {
			a := t.limitedAccount()
			first := a.place().must(201)
			var o orderObject
			first.decode(&o)
			a.overLimit().refused(429, "rateLimited")
			a.read(first.location()).must(200)
			a.read(o.Authorizations[0]).must(200)
			a.post(a.url, object{}).must(200)
		}},
		{"R8555-6.6-2", "retry-after-tells-when-the-same-request-passes", func(t *T) {
			a, refusal := t.overLimit()
			wait := refusal.retryAfter()
			if longest := t.suite.cfg.PollTimeout; wait > longest {
				t.NotApplicable("Retry-After is %s, longer than the suite waits (Config.PollTimeout)", wait)
			}
			t.pause(wait)
			a.place().must(201)
		}},
		{"R8555-6.6-3", "help-is-an-absolute-url", func(t *T) {
			_, refusal := t.overLimit()
			help := refusal.links("help")
			if len(help) == 0 {
				t.NotApplicable("the server links to no page about its limits")
			}
			for _, link := range help {
				if u, err := url.Parse(link); err != nil || !u.IsAbs() || u.Host == "" {
					refusal.fail("%q is no absolute URL", link)
				}
			}
		}},
		{"R8555-6.6-4", "retry-after-is-whole-seconds-and-never-zero", func(t *T) {
			_, refusal := t.overLimit()
			refusal.retryAfter()
		}},
	}
}

// limitedAccount makes an account where orders are limited.
func (t *T) limitedAccount() *account {
	e := t.suite.limited
	if e == nil {
		t.NotApplicable("Config.Limited names no directory with small limits")
	}
	k := t.newKey()
	resp := t.send(e, t.newAccountMessage(e, k, t.accountRequest(e, k))).must(201)
	return &account{t: t, ep: e, key: k, url: resp.location()}
}

// place asks for an order, with a name of its own: other limits count names.
func (a *account) place() *response {
	return a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(a.t.newName())}})
}

// overLimit makes an account and has it place orders until it may not.
func (t *T) overLimit() (*account, *response) {
	a := t.limitedAccount()
	return a, a.overLimit()
}

func (a *account) overLimit() *response {
	// A slow machine gets some back while it places the others.
	tries := a.t.suite.cfg.Limited.NewOrders + 10
	for range tries {
		if resp := a.place(); resp.status != 201 {
			return resp
		}
	}
	a.t.Fatalf("%d orders were placed at once, the limit is %d", tries, a.t.suite.cfg.Limited.NewOrders)
	return nil
}

// retryAfter is the Retry-After of a refusal, which has to be there.
func (r *response) retryAfter() time.Duration {
	value := r.header.Get("Retry-After")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		r.t.Fatalf("Retry-After is %q, want whole seconds and at least one\n%s", value, r)
	}
	return time.Duration(n) * time.Second
}
