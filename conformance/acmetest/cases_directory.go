package acmetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// directoryCases is R8555-7.1.1 and R8555-7.4.1.
func directoryCases() []Case {
	return []Case{
		{"R8555-7.1-1", "directory-is-json-with-the-required-urls", func(t *T) {
			var d map[string]any
			t.request(http.MethodGet, t.suite.main.url).must(200).decode(&d)
			for _, name := range []string{"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"} {
				s, _ := d[name].(string)
				if u, err := url.Parse(s); err != nil || u.Host == "" {
					t.Errorf("directory member %s is %v, want a URL", name, d[name])
				}
			}
		}},
		{"R8555-7.1.1-1", "directory-url-is-no-other-resource", func(t *T) {
			d := t.suite.main.dir
			seen := map[string]string{t.suite.main.url: "directory"}
			for name, u := range map[string]string{"newNonce": d.NewNonce, "newAccount": d.NewAccount, "newOrder": d.NewOrder, "revokeCert": d.RevokeCert, "keyChange": d.KeyChange} {
				if other, taken := seen[u]; taken {
					t.Errorf("%s and %s are both %s", name, other, u)
				}
				seen[u] = name
			}
		}},
		{"R8555-7.1.1-3", "meta-members-have-their-types", func(t *T) {
			var d struct {
				Meta map[string]json.RawMessage `json:"meta"`
			}
			t.request(http.MethodGet, t.suite.main.url).must(200).decode(&d)
			for name, into := range map[string]any{
				"termsOfService": new(string), "website": new(string), "caaIdentities": new([]string),
				"externalAccountRequired": new(bool), "profiles": new(map[string]string),
			} {
				if raw, there := d.Meta[name]; there {
					if err := json.Unmarshal(raw, into); err != nil {
						t.Errorf("meta.%s is %s: %v", name, raw, err)
					}
				}
			}
		}},
		{"R8555-7.1.1-5", "external-account-required-is-the-truth", func(t *T) {
			resp := t.send(t.suite.main, t.newAccountMessage(t.suite.main, t.newKey(), object{{"termsOfServiceAgreed", true}}))
			if t.suite.main.dir.Meta.ExternalAccountRequired {
				resp.refused(403, "externalAccountRequired")
				return
			}
			resp.want(201)
		}},
		{"R8555-7.1.1-6", "terms-are-listed-when-enforced", func(t *T) {
			k := t.newKey()
			request := t.accountRequest(t.suite.main, k)
			request.remove("termsOfServiceAgreed")
			resp := t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, request))
			if resp.status == 201 {
				return // not enforced
			}
			// R8555-7.3-6.
			resp.refused(403, "userActionRequired")
			if t.suite.main.dir.Meta.TermsOfService == "" || len(resp.links("terms-of-service")) == 0 {
				resp.fail("terms are enforced; the directory has to list them (it says %q) and the answer to link them", t.suite.main.dir.Meta.TermsOfService)
			}
		}},
		{"R8555-7.4.1-2", "pre-authorization-works-when-listed", func(t *T) {
			e := t.suite.main
			if e.dir.NewAuthz == "" {
				t.NotApplicable("the directory lists no newAuthz")
			}
			a := t.newAccount()
			resp := a.post(e.dir.NewAuthz, object{{"identifier", identifier{"dns", t.newName()}}}).must(201)
			a.read(resp.location()).want(200)
		}},
		{"R8555-7.4.1-3", "pre-authorization-refuses-wildcards", func(t *T) {
			e := t.suite.main
			if e.dir.NewAuthz == "" {
				t.NotApplicable("the directory lists no newAuthz")
			}
			a := t.newAccount()
			a.post(e.dir.NewAuthz, object{{"identifier", identifier{"dns", "*." + t.newName()}}}).
				refusedWith([]int{400, 403}, "malformed", "rejectedIdentifier", "unsupportedIdentifier")
		}},
	}
}

// profileCases is the ACME profiles draft, where the directory lists profiles.
func profileCases() []Case {
	profile := func(t *T) string {
		best := ""
		for name := range t.suite.main.dir.Meta.Profiles {
			if best == "" || name < best {
				best = name
			}
		}
		if best == "" {
			t.NotApplicable("the directory lists no profiles")
		}
		return best
	}
	return []Case{
		{"RPROF-2", "unknown-profile", func(t *T) {
			profile(t)
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"profile", "acmetest-no-such-profile"}}).
				refused(400, "invalidProfile")
		}},
		{"RPROF-2", "profile-is-a-number", func(t *T) {
			profile(t)
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"profile", 7}}).
				refused(400, "malformed", "invalidProfile")
		}},
		{"RPROF-3", "profile-is-shown", func(t *T) {
			want := profile(t)
			a := t.newAccount()
			o := a.newOrderWith(object{{"identifiers", dnsIdentifiers(t.newName())}, {"profile", want}})
			o.refresh()
			if o.obj.Profile != want {
				t.Errorf("the order shows profile %q, want %q", o.obj.Profile, want)
			}
		}},
		{"RPROF-4", "profile-is-picked-and-shown", func(t *T) {
			profile(t)
			o := t.newAccount().newOrder()
			if _, known := t.suite.main.dir.Meta.Profiles[o.obj.Profile]; !known {
				t.Errorf("an order without profile shows %q, want one of the directory's", o.obj.Profile)
			}
		}},
	}
}

// renewalInfoCases is RFC 9773, where the directory lists renewalInfo.
func renewalInfoCases() []Case {
	base := func(t *T) string {
		u := t.suite.main.dir.RenewalInfo
		if u == "" {
			t.NotApplicable("the directory lists no renewalInfo")
		}
		return u
	}
	return []Case{
		{"R9773-3-1", "renewal-info-url-has-no-trailing-slash", func(t *T) {
			if u := base(t); strings.HasSuffix(u, "/") {
				t.Errorf("renewalInfo is %q", u)
			}
		}},
		{"R9773-4.2-1", "window-of-an-issued-certificate", func(t *T) {
			u := base(t)
			resp := t.request(http.MethodGet, u+"/"+t.sharedCertificate().id()).must(200)
			var info struct {
				SuggestedWindow struct{ Start, End time.Time } `json:"suggestedWindow"`
			}
			resp.decode(&info)
			if !info.SuggestedWindow.End.After(info.SuggestedWindow.Start) {
				resp.fail("the window ends before it starts")
			}
			if n, err := strconv.Atoi(resp.header.Get("Retry-After")); err != nil || n < 1 {
				resp.fail("Retry-After is %q, want whole seconds (R9773-4.3-1)", resp.header.Get("Retry-After"))
			}
		}},
		{"R9773-4.3-1", "renewal-info-says-when-to-ask-again", func(t *T) {
			resp := t.request(http.MethodGet, base(t)+"/"+t.sharedCertificate().id()).must(200)
			if n, err := strconv.Atoi(resp.header.Get("Retry-After")); err != nil || n < 60 || n > 24*60*60 {
				resp.fail("Retry-After is %q, want seconds from a minute to a day, which clients would make of it anyway", resp.header.Get("Retry-After"))
			}
		}},
		{"R9773-4.1-1", "certificate-id-without-a-dot", func(t *T) {
			t.request(http.MethodGet, base(t)+"/aYhba4dGQEHhs3uEe6CuLN4ByNQ").refused(400, "malformed")
		}},
		{"R9773-4.1-1", "certificate-id-with-padding", func(t *T) {
			t.request(http.MethodGet, base(t)+"/"+pad(t.sharedCertificate().id()+"=")).refused(400, "malformed")
		}},
		{"R9773-4.1-2", "certificate-id-that-is-unknown", func(t *T) {
			t.request(http.MethodGet, base(t)+"/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").refused(404, "malformed")
		}},
		{"R9773-5-1", "replaces-is-no-certificate-id", func(t *T) {
			base(t)
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"replaces", "nonsense"}}).
				refused(400, "malformed")
		}},
		{"R9773-5-3", "replaces-twice", func(t *T) {
			base(t)
			c := t.issued()
			request := object{{"identifiers", dnsIdentifiers(c.order.names()...)}, {"replaces", c.id()}}
			o := c.order.acct.newOrderWith(request)
			if o.obj.Replaces != c.id() {
				t.Errorf("the order shows replaces %q, want %q", o.obj.Replaces, c.id())
			}
			c.order.acct.post(c.order.acct.ep.dir.NewOrder, request).refused(409, "alreadyReplaced")
		}},
		{"R9773-5-4", "replaces-is-shown-later-too", func(t *T) {
			base(t)
			c := t.issued()
			o := c.order.acct.newOrderWith(object{{"identifiers", dnsIdentifiers(c.order.names()...)}, {"replaces", c.id()}})
			o.refresh()
			if o.obj.Replaces != c.id() {
				t.Errorf("the order shows replaces %q later, want %q", o.obj.Replaces, c.id())
			}
		}},
		{"R9773-5-2", "replaces-a-certificate-of-another-account", func(t *T) {
			base(t)
			c := t.sharedCertificate()
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(c.order.names()...)}, {"replaces", c.id()}}).
				refused(403, "unauthorized")
		}},
		{"R9773-5-2", "replaces-a-certificate-for-other-names", func(t *T) {
			base(t)
			c := t.sharedCertificate()
			c.order.acct.post(c.order.acct.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"replaces", c.id()}}).
				refused(400, "malformed")
		}},
	}
}

// id is the certificate identifier of RFC 9773 section 4.1.
func (c *certificate) id() string {
	serial := c.leaf().SerialNumber.Bytes()
	if len(serial) > 0 && serial[0]&0x80 != 0 {
		serial = append([]byte{0}, serial...) // as in DER
	}
	return b64(c.leaf().AuthorityKeyId) + "." + b64(serial)
}
