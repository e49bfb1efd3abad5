package server_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// TestOrdersPages lists more orders than a page holds: following the links
// shows each of them once (R8555-7.1.2-3, -4). The URL of a page
// has a query, and is signed with it.
func TestOrdersPages(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c, other := f.registered(t, "default"), f.registered(t, "default")
	other.newOrder(t, "other.localhost")
	var want []string
	for i := range 2*server.PageSize + 5 {
		o := c.newOrder(t, "n"+strconv.Itoa(i)+".localhost")
		if i%10 == 3 { // invalid orders are not listed
			if r := c.post(t, o.Authorizations[0], `{"status":"deactivated"}`); r.status != http.StatusOK {
				t.Fatalf("deactivate: %d", r.status)
			}
			continue
		}
		want = append(want, o.url)
	}
	url := decode[struct{ Orders string }](t, c.post(t, c.kid, "")).Orders
	first := url
	var got []string
	for pages := 1; url != ""; pages++ {
		r := c.post(t, url, "")
		if r.status != http.StatusOK || pages > 4 {
			t.Fatalf("page %d: %d %s", pages, r.status, r.body)
		}
		page := decode[struct{ Orders []string }](t, r).Orders
		if len(page) > server.PageSize {
			t.Errorf("page %d has %d orders", pages, len(page))
		}
		got = append(got, page...)
		url = next(r)
		if url != "" && !strings.HasPrefix(url, first+"?cursor=") {
			t.Errorf("page %d is followed by %s", pages, url)
		}
	}
	// Ids of one millisecond come in any order.
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %d orders, want %d", len(got), len(want))
	}
	second := next(c.post(t, first, ""))
	if len(want) <= server.PageSize || second == "" {
		t.Fatal("there is one page only, so this test proves nothing")
	}

	// The query is part of the URL, and somebody else's page is nobody's.
	wantProblem(t, f.do(t, post(second, c.withAccount(t, first, ""))), http.StatusForbidden, acme.Unauthorized)
	wantProblem(t, f.do(t, post(first, c.withAccount(t, second, ""))), http.StatusForbidden, acme.Unauthorized)
	wantProblem(t, other.post(t, second, ""), http.StatusForbidden, acme.Unauthorized)
	for _, cursor := range []string{"x", "%00", strings.Repeat("9", 4000), "..%2f"} {
		wantProblem(t, c.post(t, first+"?cursor="+cursor, ""), http.StatusBadRequest, acme.Malformed)
	}
	// A cursor that is an id of nothing is a place in the list all the same.
	if r := c.post(t, first+"?cursor="+strings.Repeat("v", len(nobody)), ""); r.status != http.StatusOK || string(r.body) != `{"orders":[]}` {
		t.Errorf("past the end: %d %s", r.status, r.body)
	}
}

// next returns where the Link header with rel="next" points.
func next(r reply) string {
	for _, l := range r.header.Values("Link") {
		if url, ok := strings.CutSuffix(l, `>;rel="next"`); ok {
			return strings.TrimPrefix(url, "<")
		}
	}
	return ""
}

// TestNoOrders: an account without orders has an empty list and not a null,
// which clients trip over.
func TestNoOrders(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	if r := c.post(t, c.kid+"/orders", ""); string(r.body) != `{"orders":[]}` || next(r) != "" {
		t.Errorf("%s", r.body)
	}
}
