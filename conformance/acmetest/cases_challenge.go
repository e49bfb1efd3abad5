package acmetest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// challengeCases is R8555-7.5.1: the answer of the client.
func challengeCases() []Case {
	// pending is a challenge nobody answered yet.
	pending := func(t *T) (*account, string, challengeObject) {
		a := t.newAccount()
		url := a.newOrder().obj.Authorizations[0]
		return a, url, a.pick(url, "http-01")
	}
	badAnswer := func(payload string) func(*T) {
		return func(t *T) {
			a, url, c := pending(t)
			a.post(c.URL, []byte(payload)).refused(400, "malformed")
			if got := a.authorization(url); got.Status != "pending" {
				t.Errorf("a refused answer made the authorization %s", got.Status)
			}
		}
	}
	goodAnswer := func(payload string) func(*T) {
		return func(t *T) {
			a, url, c := pending(t)
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			a.post(c.URL, []byte(payload)).must(200)
			a.waitValid(url)
		}
	}
	return []Case{
		{"R8555-7.5.1-3", "answer-shows-the-challenge", func(t *T) {
			a, url, c := pending(t)
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			resp := a.post(c.URL, object{}).must(200)
			resp.wantNonce().wantIndex(a.ep.url)
			var got challengeObject
			resp.decode(&got)
			if got.URL != c.URL || got.Token != c.Token || got.Type != c.Type || !slices.Contains([]string{"pending", "processing", "valid"}, got.Status) {
				resp.fail("want the challenge %s unchanged", c.URL)
			}
			// certbot raises without it (C-CB-2).
			if up := resp.links("up"); !slices.Contains(up, url) {
				resp.fail(`Link rel="up" is %q, want %s`, up, url)
			}
		}},
		{"R8555-7.1-3", "link-up-on-a-read-challenge", func(t *T) {
			a, url, c := pending(t)
			resp := a.read(c.URL).must(200)
			if up := resp.links("up"); !slices.Contains(up, url) {
				resp.fail(`Link rel="up" is %q, want %s`, up, url)
			}
		}},
		{"R8555-6.3-6", "post-as-get-starts-nothing", func(t *T) {
			a, url, c := pending(t)
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			for range 3 {
				var got challengeObject
				if a.read(c.URL).must(200).decode(&got); got.Status != "pending" {
					t.Errorf("a read challenge became %s", got.Status)
				}
			}
			if v := t.suite.http01.visitsOf(c.Token); len(v) > 0 || a.authorization(url).Status != "pending" {
				t.Errorf("reading a challenge started its validation: %v", v)
			}
		}},
		{"R8555-7.5.1-1", "unknown-members-are-ignored", goodAnswer(`{"favourite":1}`)},
		{"R8555-7.5.1-6", "legacy-key-authorization-is-ignored", goodAnswer(`{"keyAuthorization":"x.y"}`)},
		{"R8555-7.5.1-2", "answer-is-a-list", badAnswer(`[]`)},
		{"R8555-7.5.1-2", "answer-is-a-string", badAnswer(`"yes"`)},
		{"R8555-7.5.1-2", "answer-is-no-json", badAnswer(`yes`)},
		{"R8555-7.5.1-4", "answer-to-a-valid-challenge-changes-nothing", func(t *T) {
			o := t.ready()
			url := o.obj.Authorizations[0]
			before := o.acct.pick(url, "http-01")
			var after challengeObject
			o.acct.post(before.URL, object{}).must(200).decode(&after)
			if after.Status != "valid" || after.Validated != before.Validated {
				t.Errorf("the challenge is now %+v, was %+v", after, before)
			}
		}},
		{"R8555-8.2-5", "concurrent-answers", func(t *T) {
			a, url, c := pending(t)
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			taken := 0
			for _, resp := range t.together(4, func(int) *response { return a.post(c.URL, object{}) }) {
				switch resp.status {
				case 200:
					taken++
				case 400, 429:
					resp.refusedWith([]int{400, 429}, "malformed", "rateLimited")
				default:
					resp.fail("status %d, want 200, 400 or 429", resp.status)
				}
			}
			if taken == 0 {
				t.Errorf("none of 4 concurrent answers was taken")
			}
			a.waitValid(url)
		}},
	}
}

// waitValid waits for an authorization to become valid.
func (a *account) waitValid(url string) (authz authorizationObject) {
	a.t.poll("the authorization to become valid", func() (bool, string) {
		authz = a.authorization(url)
		return authz.Status != "pending", "it is " + authz.Status
	})
	if authz.Status != "valid" {
		a.t.Fatalf("the authorization is %s, want valid\n%s", authz.Status, a.read(url))
	}
	return authz
}

// validationCases is R8555-8.3: what the server asks for and what it believes.
func validationCases() (cases []Case) {
	for _, v := range []struct {
		id, way string
		types   []string
	}{
		{"R8555-8.3-7", "wrong-body", []string{"unauthorized", "incorrectResponse"}},
		{"R8555-8.3-9", "not-found", []string{"unauthorized", "incorrectResponse"}},
		{"R8555-10.2-1", "other-key", []string{"unauthorized", "incorrectResponse"}},
		{"R8555-8.3-6", "leading-space", []string{"unauthorized", "incorrectResponse"}},
		{"R8555-8.3-7", "too-long", []string{"unauthorized", "incorrectResponse", "connection"}},
	} {
		cases = append(cases, Case{v.id, "http-01-" + v.way + "-is-invalid", func(t *T) {
			r := t.sharedFailures().results[v.way]
			if r.authz.Status != "invalid" || r.challenge.Status != "invalid" {
				t.Fatalf("authorization is %s and challenge %s, want both invalid", r.authz.Status, r.challenge.Status)
			}
			// R8555-8-2.
			if r.challenge.Error == nil {
				t.Fatalf("the invalid challenge has no error: %+v", r.challenge)
			}
			if kind := strings.TrimPrefix(r.challenge.Error.Type, errorNamespace); !slices.Contains(v.types, kind) {
				t.Errorf("error type is %q, want one of %q", r.challenge.Error.Type, v.types)
			}
		}})
	}
	return append(cases, []Case{
		{"R8555-7.5-3", "invalid-authorization-lists-what-failed", func(t *T) {
			r := t.sharedFailures().results["wrong-body"]
			if !slices.ContainsFunc(r.authz.Challenges, func(c challengeObject) bool { return c.Status == "invalid" && c.Error != nil }) {
				t.Errorf("challenges are %+v, want the one that failed with its error", r.authz.Challenges)
			}
		}},
		{"R8555-7.1.6-1", "order-of-an-invalid-authorization-is-invalid", func(t *T) {
			f := t.sharedFailures()
			if f.order.refresh(); f.order.obj.Status != "invalid" {
				t.Errorf("the order is %q, want invalid", f.order.obj.Status)
			}
		}},
		{"R8555-7.4F-1", "finalize-of-an-invalid-order", func(t *T) {
			o := t.sharedFailures().order
			o.finalize(t.csr(t.newKey(), o.names(), nil)).refused(403, "orderNotReady")
		}},
		{"R8555-7.5.1-5", "answer-to-an-invalid-challenge", func(t *T) {
			f := t.sharedFailures()
			r := f.results["not-found"]
			a := f.order.acct
			t.suite.http01.answer(r.challenge.Token, text(200, a.key.keyAuthorization(r.challenge.Token)))
			a.post(r.challenge.URL, object{}).refusedWith([]int{400, 404}, "malformed")
			if got := a.authorization(r.authzURL); got.Status != "invalid" {
				t.Errorf("an invalid authorization became %s", got.Status)
			}
		}},
		{"R8555-7.1.2-2", "orders-list-leaves-invalid-orders-out", func(t *T) {
			o := t.sharedFailures().order
			var list struct{ Orders []string }
			o.acct.read(o.acct.ordersURL()).must(200).decode(&list)
			if slices.Contains(list.Orders, o.url) {
				t.Errorf("the list names the invalid order %s", o.url)
			}
		}},
		{"R8555-8.3-2", "validation-request-is-as-specified", func(t *T) {
			a := t.newAccount()
			name := t.newName()
			url := a.newOrder(name).obj.Authorizations[0]
			c := a.pick(url, "http-01")
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)))
			a.post(c.URL, object{}).must(200)
			a.waitValid(url)
			visits := t.suite.http01.visitsOf(c.Token)
			if len(visits) == 0 {
				t.Fatalf("the authorization became valid and nobody asked for %s", c.Token)
			}
			for _, v := range visits {
				host, _, _ := strings.Cut(v.host, ":")
				if v.method != http.MethodGet || host != name || v.path != wellKnown+c.Token {
					t.Errorf("validation was %s %s%s, want GET %s%s", v.method, v.host, v.path, name, wellKnown+c.Token)
				}
			}
		}},
		{"R8555-8.3-6", "trailing-white-space-is-fine", func(t *T) {
			a := t.newAccount()
			url := a.newOrder().obj.Authorizations[0]
			c := a.pick(url, "http-01")
			t.suite.http01.answer(c.Token, text(200, a.key.keyAuthorization(c.Token)+"\r\n\t\n"))
			a.post(c.URL, object{}).must(200)
			a.waitValid(url)
		}},
		{"R8555-8-1", "valid-challenge-tells-when", func(t *T) {
			s := t.sharedCertificate()
			c := s.order.acct.pick(s.order.obj.Authorizations[0], "http-01")
			if at, err := time.Parse(time.RFC3339, c.Validated); err != nil || at.After(time.Now().Add(time.Minute)) {
				t.Errorf("validated is %q, want a time past", c.Validated)
			}
			if c.Error != nil {
				t.Errorf("a valid challenge has the error %+v", c.Error)
			}
		}},
	}...)
}
