package acmetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// orderCases is R8555-7.4 apart from the identifiers themselves.
func orderCases() []Case {
	return []Case{
		{"R8555-7.4-1", "created", func(t *T) {
			a := t.newAccount()
			name := t.newName()
			resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(name)}}).must(201)
			resp.location()
			resp.wantNonce().wantIndex(a.ep.url)
			var obj orderObject
			resp.decode(&obj)
			if !slices.Equal(obj.Identifiers, dnsIdentifiers(name)) || obj.Status != "pending" || len(obj.Authorizations) != 1 || obj.Certificate != "" {
				resp.fail("want a pending order for %s with one authorization and no certificate", name)
			}
		}},
		{"R8555-7.4-9", "expires-is-present-and-ahead", func(t *T) {
			o := t.newAccount().newOrder()
			at, err := time.Parse(time.RFC3339, o.obj.Expires)
			if err != nil || !at.After(time.Now()) {
				t.Errorf("expires is %q, want a time ahead", o.obj.Expires)
			}
		}},
		{"R8555-7.4-1", "reads-as-created", func(t *T) {
			o := t.newAccount().newOrder(t.newName(), t.newName())
			created := o.obj
			o.refresh()
			if !sameSet(o.obj.Identifiers, created.Identifiers) || !sameSet(o.obj.Authorizations, created.Authorizations) || o.obj.Finalize != created.Finalize {
				t.Errorf("read %+v, created %+v", o.obj, created)
			}
		}},
		{"R8555-7.4-8", "identifiers-and-authorizations-never-change", func(t *T) {
			o := t.newAccount().newOrder(t.newName(), t.newName())
			created := o.obj
			o.authorize()
			ready := o.obj
			o.issue(t.newKey())
			for state, obj := range map[string]orderObject{"ready": ready, "valid": o.obj} {
				if !sameSet(obj.Identifiers, created.Identifiers) || !sameSet(obj.Authorizations, created.Authorizations) {
					t.Errorf("%s: %+v, created %+v", state, obj, created)
				}
			}
		}},
		{"R8555-7.4-10", "one-authorization-per-name", func(t *T) {
			a := t.newAccount()
			names := []string{t.newName(), t.newName(), t.newName()}
			o := a.newOrder(names...)
			var got []string
			for _, url := range o.obj.Authorizations {
				got = append(got, a.authorization(url).Identifier.Value)
			}
			if !sameSet(got, names) {
				t.Errorf("authorizations for %q, want %q", got, names)
			}
		}},
		{"R8555-7.4-3", "identifiers-missing", badOrder(`{}`, "malformed")},
		{"R8555-7.4-3", "identifiers-empty", badOrder(`{"identifiers":[]}`, "malformed")},
		{"R8555-7.4-3", "identifiers-null", badOrder(`{"identifiers":null}`, "malformed")},
		{"R8555-7.4-3", "identifiers-an-object", badOrder(`{"identifiers":{"type":"dns","value":"NAME"}}`, "malformed")},
		{"R8555-7.4-3", "identifier-a-string", badOrder(`{"identifiers":["NAME"]}`, "malformed")},
		{"R8555-7.4-3", "identifier-null", badOrder(`{"identifiers":[null]}`, "malformed")},
		{"R8555-7.4-3", "identifier-without-type", badOrder(`{"identifiers":[{"value":"NAME"}]}`, "malformed")},
		{"R8555-7.4-3", "identifier-without-value", badOrder(`{"identifiers":[{"type":"dns"}]}`, "malformed", "rejectedIdentifier")},
		{"R8555-7.4-3", "identifier-value-a-number", badOrder(`{"identifiers":[{"type":"dns","value":1}]}`, "malformed")},
		{"R8555-7.4-4", "identifier-type-unknown", badOrder(`{"identifiers":[{"type":"acmetest","value":"NAME"}]}`, "unsupportedIdentifier")},
		{"R8555-7.4-4", "identifier-type-in-capitals", badOrder(`{"identifiers":[{"type":"DNS","value":"NAME"}]}`, "unsupportedIdentifier")},
		{"R8555-7.4-4", "one-good-and-one-unknown-type", badOrder(`{"identifiers":[{"type":"dns","value":"NAME"},{"type":"acmetest","value":"x"}]}`, "unsupportedIdentifier")},
		{"R8555-7.4-1", "unknown-and-server-side-members-are-ignored", func(t *T) {
			o := t.newAccount().newOrderWith(object{
				{"identifiers", dnsIdentifiers(t.newName())}, {"favourite", "x"}, {"status", "ready"},
				{"certificate", "https://elsewhere.acmetest.net"}, {"authorizations", []string{}},
			})
			if o.obj.Status != "pending" || o.obj.Certificate != "" {
				t.Errorf("the client set the order's status or certificate: %+v", o.obj)
			}
		}},
		{"R8555-7.4-14", "far-too-many-identifiers", func(t *T) {
			a := t.newAccount()
			var names []string
			for range 300 {
				names = append(names, t.newName())
			}
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(names...)}}).
				refused(400, "malformed", "rejectedIdentifier")
		}},
		{"R8555-7.4-13", "duplicate-identifiers-are-merged", func(t *T) {
			name := t.newName()
			o := t.newAccount().newOrder(name, name)
			if len(o.obj.Authorizations) != 1 || len(o.obj.Identifiers) != 1 {
				t.Errorf("%d identifiers and %d authorizations for one name", len(o.obj.Identifiers), len(o.obj.Authorizations))
			}
		}},
		{"R8555-7.4-13", "names-are-echoed-as-sent", func(t *T) {
			name := strings.ToUpper(t.newName())
			o := t.newAccount().newOrder(name)
			// lego gives the order up when it cannot find its own spelling (C-LG-3).
			if got := o.names(); !slices.Equal(got, []string{name}) {
				t.Errorf("the order shows %q, sent %q", got, name)
			}
		}},
		{"R8555-7.4-13", "names-that-differ-by-case-are-merged", func(t *T) {
			name := t.newName()
			o := t.newAccount().newOrder(name, strings.ToUpper(name))
			if len(o.obj.Authorizations) != 1 {
				t.Errorf("%d authorizations for one name in two spellings", len(o.obj.Authorizations))
			}
		}},
		{"R8555-6.7-3", "subproblems-name-their-identifiers", func(t *T) {
			a := t.newAccount()
			resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers("under_score."+t.newName(), t.newName(), "-dash."+t.newName())}})
			p := resp.refused(400, "rejectedIdentifier", "malformed", "compound")
			if len(p.Subproblems) < 2 {
				resp.fail("%d subproblems for two bad names (R8555-7.4-15)", len(p.Subproblems))
			}
			for _, sub := range p.Subproblems {
				if sub.Identifier == nil || sub.Identifier.Type != "dns" || !strings.HasPrefix(sub.Type, errorNamespace) {
					resp.fail("subproblem %+v lacks an identifier or a type", sub)
				}
			}
		}},
		{"R8555-7.4-17", "two-orders-are-two", func(t *T) {
			a := t.newAccount()
			first, second := a.newOrder(), a.newOrder()
			if first.url == second.url || first.obj.Authorizations[0] == second.obj.Authorizations[0] {
				t.Errorf("orders for different names share %s or %s", first.url, first.obj.Authorizations[0])
			}
		}},
	}
}

func sameSet[V any](a, b []V) bool {
	text := func(vs []V) []string {
		var out []string
		for _, v := range vs {
			out = append(out, fmt.Sprint(v))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(text(a), text(b))
}

// badOrder posts a newOrder in which NAME stands for a fresh name.
func badOrder(payload string, types ...string) func(*T) {
	return func(t *T) {
		a := t.newAccount()
		a.post(a.ep.dir.NewOrder, []byte(strings.ReplaceAll(payload, "NAME", t.newName()))).refused(400, types...)
	}
}

// identifierCases are the names nobody may order: R8555-7.4-5, -6 and -18.
func identifierCases() (cases []Case) {
	for _, v := range []struct{ id, name, value string }{
		{"R8555-7.4-5", "trailing-dot", "NAME."},
		{"R8555-7.4-5", "leading-dot", ".NAME"},
		{"R8555-7.4-5", "not-ascii", "b\u00fccher.NAME"},
		{"R8555-7.4-5", "a-label-that-is-no-punycode", "xn--0.NAME"},
		{"R8555-7.4-5", "a-label-of-plain-ascii", "xn--abc-.NAME"},
		{"R8555-7.4-6", "bare-asterisk", "*"},
		{"R8555-7.4-6", "asterisk-inside", "a.*.NAME"},
		{"R8555-7.4-6", "two-asterisks", "*.*.NAME"},
		{"R8555-7.4-6", "asterisk-in-a-label", "f*o.NAME"},
		{"R8555-7.4-6", "asterisk-beside-letters", "*foo.NAME"},
		{"R8555-7.4-18", "empty", ""},
		{"R8555-7.4-18", "empty-label", "a..NAME"},
		{"R8555-7.4-18", "ipv4-literal", "192.0.2.7"},
		{"R8555-7.4-18", "ipv6-literal", "2001:db8::7"},
		{"R8555-7.4-18", "port", "NAME:443"},
		{"R8555-7.4-18", "url", "https://NAME"},
		{"R8555-7.4-18", "path", "NAME/x"},
		{"R8555-7.4-18", "user", "root@NAME"},
		{"R8555-7.4-18", "space", "a b.NAME"},
		{"R8555-7.4-18", "surrounding-space", " NAME "},
		{"R8555-7.4-18", "line-break", "NAME\n"},
		{"R8555-7.4-18", "nul", "a\x00.NAME"},
		{"R8555-7.4-18", "underscore", "under_score.NAME"},
		{"R8555-7.4-18", "hyphen-first", "-a.NAME"},
		{"R8555-7.4-18", "hyphen-last", "a-.NAME"},
		{"R8555-7.4-18", "reserved-label", "ab--cd.NAME"},
		{"R8555-7.4-18", "label-too-long", strings.Repeat("a", 64) + ".NAME"},
		{"R8555-7.4-18", "name-too-long", strings.Repeat("abcdefg.", 32) + "NAME"},
		{"R8555-7.4-18", "comma", "a,b.NAME"},
		{"R8555-7.4-18", "quote", `a"b.NAME`},
	} {
		cases = append(cases, Case{v.id, "name-" + v.name, func(t *T) {
			value := strings.ReplaceAll(v.value, "NAME", t.newName())
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(value)}}).
				refused(400, "malformed", "rejectedIdentifier")
		}})
	}
	for _, v := range []struct{ name, value string }{
		{"a-name", "acmetest.net"}, {"empty", ""}, {"with-port", "127.0.0.1:80"}, {"with-mask", "10.0.0.0/8"},
		{"leading-zeros", "127.000.000.001"}, {"ipv6-not-compressed", "2001:0db8:0000:0000:0000:0000:0000:0007"},
		{"ipv6-in-capitals", "2001:DB8::7"}, {"ipv6-in-brackets", "[2001:db8::7]"}, {"ipv6-with-zone", "fe80::1%eth0"},
	} {
		cases = append(cases, Case{"R8738-3-1", "ip-" + v.name, func(t *T) {
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, object{{"identifiers", []identifier{{"ip", v.value}}}}).
				refused(400, "malformed", "rejectedIdentifier", "unsupportedIdentifier")
		}})
	}
	return append(cases, []Case{
		{"R8555-7.4-7", "wildcard", func(t *T) {
			a := t.newAccount()
			name := t.newName()
			resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers("*." + name)}})
			// Only DNS methods prove control over a wildcard (R8555-7.5-8); a server
			// without one must not take an order nobody can complete.
			if !t.offers("dns-01") {
				resp.refused(400, "rejectedIdentifier")
				return
			}
			var obj orderObject
			resp.must(201).decode(&obj)
			authz := a.authorization(obj.Authorizations[0])
			if authz.Identifier.Value != name || authz.Wildcard == nil || !*authz.Wildcard {
				t.Errorf("the authorization is for %q with wildcard %v, want %q and true", authz.Identifier.Value, authz.Wildcard, name)
			}
			for _, c := range authz.Challenges {
				if c.Type == "http-01" || c.Type == "tls-alpn-01" {
					t.Errorf("%s is offered for a wildcard", c.Type)
				}
			}
		}},
		{"R8555-7.4-7", "no-wildcard-member-on-an-ordinary-name", func(t *T) {
			a := t.newAccount()
			var authz map[string]json.RawMessage
			a.read(a.newOrder().obj.Authorizations[0]).must(200).decode(&authz)
			if v, there := authz["wildcard"]; there {
				t.Errorf("wildcard is %s, want the member to be absent", v)
			}
		}},
	}...)
}

// orderTimeCases is R8555-7.4-12.
func orderTimeCases() []Case {
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	const day = 24 * time.Hour
	bad := func(members ...member) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			a.post(a.ep.dir.NewOrder, append(object{{"identifiers", dnsIdentifiers(t.newName())}}, members...)).refused(400, "malformed")
		}
	}
	return []Case{
		{"R8555-7.4-12", "not-after-is-no-time", bad(member{"notAfter", "soon"})},
		{"R8555-7.4-12", "not-before-is-no-time", bad(member{"notBefore", "2026-13-45"})},
		{"R8555-7.4-12", "not-after-is-a-number", bad(member{"notAfter", 1})},
		{"R8555-7.4-12", "not-after-without-zone", bad(member{"notAfter", strings.TrimSuffix(at(day), "Z")})},
		{"R8555-7.4-12", "not-after-in-the-past", bad(member{"notAfter", at(-day)})},
		{"R8555-7.4-12", "not-after-before-not-before", bad(member{"notBefore", at(10 * day)}, member{"notAfter", at(5 * day)})},
		{"R8555-7.4-12", "not-after-equals-not-before", bad(member{"notBefore", at(day)}, member{"notAfter", at(day)})},
		{"R8555-7.4-12", "not-after-in-range-is-kept-or-refused", func(t *T) {
			a := t.newAccount()
			want := at(7 * day)
			resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"notAfter", want}})
			if resp.status != 201 {
				resp.refused(400, "malformed")
				return
			}
			var obj orderObject
			resp.decode(&obj)
			if got, err := time.Parse(time.RFC3339, obj.NotAfter); err != nil || got.Format(time.RFC3339) != want {
				resp.fail("notAfter is %q, asked for %q (R8555-7.4-2)", obj.NotAfter, want)
			}
		}},
		{"R8555-7.4-2", "certificate-ends-no-later-than-ordered", func(t *T) {
			a := t.newAccount()
			want := time.Now().UTC().Add(7 * day).Truncate(time.Second)
			resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}, {"notAfter", want.Format(time.RFC3339)}})
			if resp.status != 201 {
				resp.refused(400, "malformed")
				t.NotApplicable("the server decides when its certificates end")
			}
			o := &order{acct: a, url: resp.location()}
			resp.decode(&o.obj)
			if leaf := o.authorize().issue(t.newKey()).leaf(); leaf.NotAfter.After(want) {
				t.Errorf("the certificate ends at %s, ordered was %s", leaf.NotAfter, want)
			}
		}},
	}
}

// ownershipCases is R8555-7.4-16, -7.5-6, -7.4.2-6 and -10.5-3: what belongs to
// another account looks exactly like what does not exist.
func ownershipCases() (cases []Case) {
	urls := map[string]func(t *T, a *account) string{
		"order":         func(_ *T, a *account) string { return a.newOrder().url },
		"authorization": func(_ *T, a *account) string { return a.newOrder().obj.Authorizations[0] },
		"challenge": func(_ *T, a *account) string {
			return a.authorization(a.newOrder().obj.Authorizations[0]).Challenges[0].URL
		},
		"certificate": func(t *T, _ *account) string { return t.sharedCertificate().order.obj.Certificate },
	}
	ids := map[string]string{"order": "R8555-7.4-16", "authorization": "R8555-7.5-6", "challenge": "R8555-7.5-6", "certificate": "R8555-7.4.2-6"}
	for _, name := range []string{"order", "authorization", "challenge", "certificate"} {
		cases = append(cases,
			Case{ids[name], "read-" + name + "-of-another-account", func(t *T) {
				t.newAccount().read(urls[name](t, t.newAccount())).refused(404, "malformed")
			}},
			Case{ids[name], "read-unknown-" + name, func(t *T) {
				a := t.newAccount()
				a.read(unknownSibling(urls[name](t, a))).refused(404, "malformed")
			}},
			Case{"R8555-10.5-3", name + "-of-another-account-looks-unknown", func(t *T) {
				a := t.newAccount()
				foreignURL := urls[name](t, t.newAccount())
				unknownURL := unknownSibling(foreignURL)
				foreign, unknown := a.read(foreignURL), a.read(unknownURL)
				if foreign.status != unknown.status || withoutID(foreign, foreignURL) != withoutID(unknown, unknownURL) {
					foreign.fail("differs from the answer for an unknown URL:\n%s", unknown)
				}
			}},
		)
	}
	return append(cases, []Case{
		{"R8555-7.4-16", "finalize-order-of-another-account", func(t *T) {
			o := t.newAccount().newOrder()
			a := t.newAccount()
			a.post(o.obj.Finalize, object{{"csr", b64(t.csr(t.newKey(), o.names(), nil))}}).refused(404, "malformed")
		}},
		{"R8555-7.4-16", "finalize-unknown-order", func(t *T) {
			a := t.newAccount()
			o := a.newOrder()
			u := strings.Replace(o.obj.Finalize, tail(o.url), tail(unknownSibling(o.url)), 1)
			a.post(u, object{{"csr", b64(t.csr(t.newKey(), o.names(), nil))}}).refused(404, "malformed")
		}},
		{"R8555-7.5-6", "answer-challenge-of-another-account", func(t *T) {
			owner, a := t.newAccount(), t.newAccount()
			url := owner.newOrder().obj.Authorizations[0]
			c := owner.pick(url, "http-01")
			a.post(c.URL, object{}).refused(404, "malformed")
			if got := owner.authorization(url); got.Status != "pending" {
				t.Errorf("a stranger's answer made the authorization %s", got.Status)
			}
		}},
		{"R8555-7.5-6", "deactivate-authorization-of-another-account", func(t *T) {
			owner, a := t.newAccount(), t.newAccount()
			url := owner.newOrder().obj.Authorizations[0]
			a.post(url, object{{"status", "deactivated"}}).refused(404, "malformed")
			if got := owner.authorization(url); got.Status != "pending" {
				t.Errorf("a stranger made the authorization %s", got.Status)
			}
		}},
	}...)
}

func tail(url string) string { return url[strings.LastIndex(url, "/")+1:] }

// withoutID is the body without the part of the URL that has to differ, and
// without the reference number a server may give each error.
func withoutID(r *response, url string) string {
	text := strings.ReplaceAll(string(r.body), tail(url), "")
	if p, err := r.parsed(); err == nil && p.Instance != "" {
		text = strings.ReplaceAll(text, p.Instance, "")
	}
	return text
}
