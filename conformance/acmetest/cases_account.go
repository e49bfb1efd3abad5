package acmetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// accountCases is R8555-7.3 and R8555-7.3.1: making and finding accounts.
func accountCases() []Case {
	return []Case{
		{"R8555-7.3-7", "created", func(t *T) {
			k := t.newKey()
			resp := t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, t.accountRequest(t.suite.main, k))).must(201)
			resp.location()
			resp.wantNonce().wantIndex(t.suite.main.url)
			var obj accountObject
			resp.decode(&obj)
			if obj.Status != "valid" || !slices.Equal(obj.Contact, []string{t.suite.cfg.Contact}) {
				resp.fail("want status valid and the contact %s", t.suite.cfg.Contact)
			}
		}},
		{"R8555-7.1.2-1", "object-has-an-orders-url", func(t *T) {
			a := t.newAccount()
			if !strings.HasPrefix(a.obj.Orders, "https://") {
				t.Errorf("member orders is %q, want a URL", a.obj.Orders)
			}
		}},
		{"R8555-7.3-7", "read-by-post-as-get", func(t *T) {
			a := t.newAccount()
			var obj accountObject
			a.read(a.url).must(200).decode(&obj)
			if obj.Status != "valid" || !slices.Equal(obj.Contact, a.obj.Contact) || obj.Orders != a.obj.Orders {
				t.Errorf("read %+v, created %+v", obj, a.obj)
			}
		}},
		{"R8555-7.3.1-1", "same-key-finds-the-account", func(t *T) {
			a := t.newAccount()
			resp := t.send(a.ep, t.newAccountMessage(a.ep, a.key, object{{"termsOfServiceAgreed", true}})).must(200)
			if got := resp.location(); got != a.url {
				resp.fail("Location %q, want %q", got, a.url)
			}
		}},
		{"R8555-7.3.1-1", "finding-ignores-everything-else", func(t *T) {
			a := t.newAccount()
			// D1: looked up before terms, contacts and bindings are judged.
			resp := t.send(a.ep, t.newAccountMessage(a.ep, a.key, object{
				{"contact", []string{"tel:+15551234"}}, {"termsOfServiceAgreed", false},
				{"externalAccountBinding", object{{"protected", "x"}, {"payload", "y"}, {"signature", "z"}}},
			})).must(200)
			var obj accountObject
			resp.decode(&obj)
			if !slices.Equal(obj.Contact, a.obj.Contact) {
				resp.fail("contact is now %q, was %q", obj.Contact, a.obj.Contact)
			}
		}},
		{"R8555-7.3.1-1", "only-return-existing-finds-the-account", func(t *T) {
			a := t.newAccount()
			resp := t.send(a.ep, t.newAccountMessage(a.ep, a.key, object{{"onlyReturnExisting", true}})).must(200)
			if got := resp.location(); got != a.url {
				resp.fail("Location %q, want %q", got, a.url)
			}
		}},
		{"R8555-7.3.1-2", "only-return-existing-without-account", onlyReturnExisting(nil)},
		{"R8555-7.3.1-2", "only-return-existing-with-contact", onlyReturnExisting(object{{"contact", []string{"tel:1"}}, {"termsOfServiceAgreed", true}})},
		{"R8555-7.3-1", "unknown-members-are-ignored", func(t *T) {
			k := t.newKey()
			request := append(t.accountRequest(t.suite.main, k), object{
				{"orders", "https://elsewhere.acmetest.net/orders"}, {"onlyReturnExisting", false}, {"favourite", "x"},
			}...)
			resp := t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, request)).must(201)
			var got map[string]json.RawMessage
			resp.decode(&got)
			for _, name := range []string{"onlyReturnExisting", "favourite"} {
				if _, echoed := got[name]; echoed {
					resp.fail("member %s is echoed", name)
				}
			}
			if strings.Contains(string(got["orders"]), "elsewhere") {
				resp.fail("the client's orders URL was taken over")
			}
		}},
		{"R8555-7.3-1", "status-in-new-account-is-ignored", func(t *T) {
			k := t.newKey()
			request := append(t.accountRequest(t.suite.main, k), member{"status", "deactivated"})
			var obj accountObject
			t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, request)).must(201).decode(&obj)
			if obj.Status != "valid" {
				t.Errorf("status is %q, want valid", obj.Status)
			}
		}},
		{"R8555-7.3-9", "concurrent-creation-with-one-key", func(t *T) {
			k := t.newKey()
			m := t.newAccountMessage(t.suite.main, k, t.accountRequest(t.suite.main, k))
			created, urls := 0, map[string]bool{}
			for _, resp := range t.together(8, func(int) *response { return t.send(t.suite.main, m) }) {
				switch resp.status {
				case 201:
					created++
				case 200:
				default:
					resp.fail("status %d, want 201 once and 200 for the rest", resp.status)
					continue
				}
				urls[resp.header.Get("Location")] = true
			}
			if created != 1 || len(urls) != 1 {
				t.Errorf("%d of 8 created an account, at %d locations; want 1 and 1", created, len(urls))
			}
		}},
		{"R8555-7.1.2-2", "orders-list-names-the-orders", func(t *T) {
			a := t.newAccount()
			o := a.newOrder()
			var list struct{ Orders []string }
			a.read(a.ordersURL()).must(200).decode(&list)
			if !slices.Contains(list.Orders, o.url) {
				t.Errorf("the list %q lacks the pending order %s", list.Orders, o.url)
			}
		}},
		{"R8555-7.1.2-2", "orders-list-of-a-new-account-is-an-empty-array", func(t *T) {
			a := t.newAccount()
			var list map[string]json.RawMessage
			a.read(a.ordersURL()).must(200).decode(&list)
			if string(list["orders"]) != "[]" {
				t.Errorf("orders is %s, want []", list["orders"])
			}
		}},
		{"R8555-7.1.2-3", "orders-list-by-its-pages-names-each-order-once", func(t *T) {
			a := t.newAccount()
			want := map[string]bool{}
			for range manyOrders {
				resp := a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}})
				if resp.status == http.StatusTooManyRequests {
					t.NotApplicable("an account may not have %d orders", manyOrders)
				}
				want[resp.must(http.StatusCreated).location()] = true
			}
			pages, last := 0, a.ordersURL()
			for url := last; url != ""; pages++ {
				if pages > manyOrders {
					t.Fatalf("%d pages for %d orders, and another follows", pages, manyOrders)
				}
				var list struct{ Orders []string }
				resp := a.read(url).must(200)
				resp.decode(&list)
				for _, o := range list.Orders {
					if !want[o] {
						resp.fail("lists %s, which is no order of this account or was listed before", o)
					}
					delete(want, o)
				}
				last, url = url, ""
				if next := resp.links("next"); len(next) > 0 {
					url = next[0]
				}
			}
			if len(want) > 0 {
				t.Errorf("%d of %d orders are on none of %d pages", len(want), manyOrders, pages)
			}
			if pages == 1 {
				t.NotApplicable("%d orders fit on one page", manyOrders)
			}
			// R8555-7.1.2-4: a page is as private as the list.
			t.newAccount().read(last).refusedWith([]int{403, 404}, "unauthorized", "malformed")
		}},
		{"R8555-7.1.2-4", "orders-list-of-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			b.read(a.ordersURL()).refusedWith([]int{403, 404}, "unauthorized", "malformed")
		}},
	}
}

// manyOrders are more than a page is likely to hold.
const manyOrders = 120

// onlyReturnExisting asks for an account that is not there, and checks that the
// question did not make one.
func onlyReturnExisting(extra object) func(*T) {
	return func(t *T) {
		k := t.newKey()
		m := t.newAccountMessage(t.suite.main, k, append(object{{"onlyReturnExisting", true}}, extra...))
		t.send(t.suite.main, m).refused(400, "accountDoesNotExist")
		t.send(t.suite.main, m).refused(400, "accountDoesNotExist")
	}
}

// accountUpdateCases is R8555-7.3.2.
func accountUpdateCases() []Case {
	unchanged := func(payload object) func(*T) {
		return func(t *T) {
			a := t.newAccount()
			var obj accountObject
			a.post(a.url, payload).must(200).decode(&obj)
			if obj.Status != "valid" || !slices.Equal(obj.Contact, a.obj.Contact) || obj.Orders != a.obj.Orders {
				t.Errorf("the account is now %+v, was %+v", obj, a.obj)
			}
		}
	}
	return []Case{
		{"R8555-7.3.2-1", "contacts-are-replaced", func(t *T) {
			a := t.newAccount()
			want := []string{strings.Replace(t.suite.cfg.Contact, "mailto:", "mailto:second-", 1)}
			var obj accountObject
			a.post(a.url, object{{"contact", want}}).must(200).decode(&obj)
			if !slices.Equal(obj.Contact, want) {
				t.Errorf("contact is %q, want %q", obj.Contact, want)
			}
			a.read(a.url).must(200).decode(&obj)
			if !slices.Equal(obj.Contact, want) {
				t.Errorf("contact reads %q, want %q", obj.Contact, want)
			}
		}},
		{"R8555-7.3.2-1", "contacts-are-removed", func(t *T) {
			a := t.newAccount()
			var obj accountObject
			a.post(a.url, object{{"contact", []string{}}}).must(200).decode(&obj)
			if len(obj.Contact) != 0 {
				t.Errorf("contact is %q, want none", obj.Contact)
			}
		}},
		{"R8555-7.3.2-1", "unknown-members-are-ignored", unchanged(object{{"favourite", "x"}, {"orders", "https://elsewhere.acmetest.net"}})},
		{"R8555-7.3.2-1", "terms-are-ignored", unchanged(object{{"termsOfServiceAgreed", false}})},
		{"R8555-7.3.2-2", "status-valid-is-ignored", unchanged(object{{"status", "valid"}})},
		{"R8555-7.3.2-2", "status-revoked-is-ignored", unchanged(object{{"status", "revoked"}})},
		{"R8555-7.3.2-2", "status-unknown-is-ignored", unchanged(object{{"status", "golden"}})},
		{"R8555-7.3.2-3", "update-of-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			a.post(b.url, object{{"contact", []string{}}}).refused(403, "unauthorized")
			var obj accountObject
			b.read(b.url).must(200).decode(&obj)
			if !slices.Equal(obj.Contact, b.obj.Contact) {
				t.Errorf("a stranger changed the contact to %q", obj.Contact)
			}
		}},
		{"R8555-7.3.2-3", "read-of-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			a.read(b.url).refusedWith([]int{403, 404}, "unauthorized", "malformed")
		}},
		{"R8555-7.3.2-3", "deactivation-of-another-account", func(t *T) {
			a, b := t.newAccount(), t.newAccount()
			a.post(b.url, object{{"status", "deactivated"}}).refused(403, "unauthorized")
			b.read(b.url).want(200)
		}},
		{"R8555-7.3-5", "update-with-a-bad-contact-changes-nothing", func(t *T) {
			a := t.newAccount()
			a.post(a.url, object{{"contact", []string{"mailto:nobody"}}}).refused(400, "invalidContact")
			var obj accountObject
			a.read(a.url).must(200).decode(&obj)
			if !slices.Equal(obj.Contact, a.obj.Contact) {
				t.Errorf("contact is %q, was %q", obj.Contact, a.obj.Contact)
			}
		}},
	}
}

// contactCases are the vectors of R8555-7.3-2 to -5.
func contactCases() (cases []Case) {
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("mailto:person%d@acmetest.net", i)
	}
	for _, v := range []struct {
		name    string
		contact any
		types   []string // none: accepted
	}{
		{"none", []string{}, nil},
		{"telephone", []string{"tel:+15551234"}, []string{"unsupportedContact"}},
		{"web-page", []string{"https://acmetest.net/contact"}, []string{"unsupportedContact"}},
		{"second-of-two-is-a-telephone", []string{"mailto:hostmaster@acmetest.net", "tel:1"}, []string{"unsupportedContact"}},
		{"empty-text", []string{""}, []string{"invalidContact", "unsupportedContact"}},
		{"no-scheme", []string{"hostmaster@acmetest.net"}, []string{"invalidContact", "unsupportedContact"}},
		{"nothing-after-mailto", []string{"mailto:"}, []string{"invalidContact"}},
		{"no-at-sign", []string{"mailto:hostmaster"}, []string{"invalidContact"}},
		{"no-local-part", []string{"mailto:@acmetest.net"}, []string{"invalidContact"}},
		{"no-domain", []string{"mailto:hostmaster@"}, []string{"invalidContact"}},
		{"two-addresses", []string{"mailto:a@acmetest.net,b@acmetest.net"}, []string{"invalidContact"}},
		{"header-fields", []string{"mailto:hostmaster@acmetest.net?subject=x"}, []string{"invalidContact"}},
		{"bare-question-mark", []string{"mailto:hostmaster@acmetest.net?"}, []string{"invalidContact"}},
		{"fragment", []string{"mailto:hostmaster@acmetest.net#x"}, []string{"invalidContact"}},
		{"bare-hash", []string{"mailto:hostmaster@acmetest.net#"}, []string{"invalidContact"}},
		{"not-ascii", []string{"mailto:hostm\u00e4ster@acmetest.net"}, []string{"invalidContact"}},
		{"line-break", []string{"mailto:hostmaster@acmetest.net\r\nBcc: x"}, []string{"invalidContact"}},
		{"too-many", many, []string{"invalidContact"}},
		{"too-long", []string{"mailto:" + strings.Repeat("a", 4000) + "@acmetest.net"}, []string{"invalidContact"}},
		{"text-instead-of-a-list", "mailto:hostmaster@acmetest.net", []string{"malformed"}},
		{"number-in-the-list", []int{1}, []string{"malformed"}},
	} {
		cases = append(cases, Case{"R8555-7.3-3", "contact-" + v.name, func(t *T) {
			k := t.newKey()
			request := t.accountRequest(t.suite.main, k)
			request.set("contact", v.contact)
			resp := t.send(t.suite.main, t.newAccountMessage(t.suite.main, k, request))
			if v.types == nil {
				resp.want(201)
				return
			}
			resp.refused(400, v.types...)
		}})
	}
	return cases
}

// deactivationCases is R8555-7.3.6: a deactivated account is over.
func deactivationCases() []Case {
	deactivated := func(t *T) *account {
		a := t.newAccount()
		a.post(a.url, object{{"status", "deactivated"}}).must(200)
		return a
	}
	return []Case{
		{"R8555-7.3.6-1", "deactivate", func(t *T) {
			a := t.newAccount()
			var obj accountObject
			a.post(a.url, object{{"status", "deactivated"}}).must(200).decode(&obj)
			if obj.Status != "deactivated" {
				t.Errorf("status is %q, want deactivated", obj.Status)
			}
		}},
		{"R8555-7.3.6-2", "read-after-deactivation", func(t *T) {
			a := deactivated(t)
			a.read(a.url).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "update-after-deactivation", func(t *T) {
			a := deactivated(t)
			a.post(a.url, object{{"contact", []string{}}}).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "reactivation", func(t *T) {
			a := deactivated(t)
			a.post(a.url, object{{"status", "valid"}}).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "order-after-deactivation", func(t *T) {
			a := deactivated(t)
			a.post(a.ep.dir.NewOrder, object{{"identifiers", dnsIdentifiers(t.newName())}}).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "key-change-after-deactivation", func(t *T) {
			a := deactivated(t)
			t.send(a.ep, a.keyChange(t.newKey(), nil)).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "old-order-after-deactivation", func(t *T) {
			a := t.newAccount()
			o := a.newOrder()
			a.post(a.url, object{{"status", "deactivated"}}).must(200)
			a.read(o.url).refused(401, "unauthorized")
			a.read(o.obj.Authorizations[0]).refused(401, "unauthorized")
			o.finalize([]byte("x")).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "orders-list-after-deactivation", func(t *T) {
			a := deactivated(t)
			a.read(a.ordersURL()).refused(401, "unauthorized")
		}},
		{"R8555-7.3.6-2", "bad-signature-after-deactivation-tells-no-more", func(t *T) {
			a := deactivated(t)
			m := a.message(a.url, nil)
			m.signature = flip
			t.send(a.ep, m).refusedWith([]int{400, 401}, "malformed", "unauthorized")
		}},
		{"R8555-7.3.1-3", "new-account-with-the-key-of-a-deactivated-one", func(t *T) {
			a := deactivated(t)
			t.send(a.ep, t.newAccountMessage(a.ep, a.key, t.accountRequest(a.ep, a.key))).
				refusedWith([]int{401, 403}, "unauthorized")
		}},
		{"R8555-7.3.1-3", "only-return-existing-of-a-deactivated-account", func(t *T) {
			a := deactivated(t)
			t.send(a.ep, t.newAccountMessage(a.ep, a.key, object{{"onlyReturnExisting", true}})).
				refusedWith([]int{401, 403}, "unauthorized")
		}},
	}
}
