package server_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
)

// TestDatesByProfile: what a profile does with notBefore and notAfter, from
// newOrder to the certificate (R8555-7.4-2, -12; C-XR-1).
func TestDatesByProfile(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour // the profile's certificates last for 90 of them
	for _, test := range []struct {
		name               string
		rule               acme.DatesRule
		notBefore, after   time.Duration // from now; zero: left out
		refused            string        // part of the detail, when refused
		end, endAtTheLeast time.Duration // of the certificate; end zero: exactly as asked for
		unseen             bool          // the order shows no dates
	}{
		{name: "exact grants what it can", rule: acme.DatesExact, after: 30 * day},
		{name: "exact is the rule of a profile that says nothing", after: 30 * day},
		{name: "exact refuses what is too long", rule: acme.DatesExact, after: 365 * day, refused: "notAfter has to lie between "},
		{name: "exact refuses the past", rule: acme.DatesExact, after: -day, refused: "notAfter has to lie between "},
		{name: "a start in the future", rule: acme.DatesExact, notBefore: day, after: 2 * day, refused: "notBefore has to lie within 5m0s of now"},
		{name: "upper bound cuts what is too long", rule: acme.DatesUpperBound, after: 365 * day, end: 90 * day, endAtTheLeast: 90*day - time.Hour},
		{name: "upper bound keeps what is short enough", rule: acme.DatesUpperBound, after: 30 * day},
		{name: "upper bound refuses the past", rule: acme.DatesUpperBound, after: -day, refused: "notAfter has to lie between "},
		{name: "a wish for more", rule: acme.DatesWish, after: 365 * day, end: 90 * day, endAtTheLeast: 90*day - time.Hour, unseen: true},
		{name: "a wish for less", rule: acme.DatesWish, after: day, end: 90 * day, endAtTheLeast: 90*day - time.Hour, unseen: true},
		{name: "a wish for what is over", rule: acme.DatesWish, notBefore: -2 * day, after: -day, end: 90 * day, endAtTheLeast: 90*day - time.Hour, unseen: true},
		{name: "refuse takes no end", rule: acme.DatesRefuse, after: 30 * day, refused: "leave notBefore and notAfter out"},
		{name: "refuse takes no start", rule: acme.DatesRefuse, notBefore: time.Second, refused: "leave notBefore and notAfter out"},
		{name: "refuse takes an order without dates", rule: acme.DatesRefuse, end: 90 * day, endAtTheLeast: 90*day - time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{Profile: func(p *acme.Profile) { p.Dates = test.rule }})
			c := f.registered(t, "default")
			now := time.Now().UTC().Truncate(time.Second)
			payload := strings.TrimSuffix(orderFor("dates.localhost"), "}")
			if test.notBefore != 0 {
				payload += `,"notBefore":"` + now.Add(test.notBefore).Format(time.RFC3339) + `"`
			}
			if test.after != 0 {
				payload += `,"notAfter":"` + now.Add(test.after).Format(time.RFC3339) + `"`
			}
			r := c.post(t, c.url["newOrder"], payload+"}")
			if test.refused != "" {
				if p := wantProblem(t, r, http.StatusBadRequest, acme.Malformed); !strings.Contains(p.Detail, test.refused) {
					t.Errorf("the detail is %q, want %q in it", p.Detail, test.refused)
				}
				return
			}
			o := wantOrder(t, r, http.StatusCreated)
			if test.after != 0 { // R8555-7.4-2: the order shows what was asked for
				if got := decode[struct{ NotAfter time.Time }](t, r).NotAfter; got.IsZero() != test.unseen || !test.unseen && !got.Equal(now.Add(test.after)) {
					t.Errorf("the order shows notAfter %s, asked for %s", got, now.Add(test.after))
				}
			}
			leaf := c.finish(t, o, "dates.localhost")
			if test.end == 0 {
				if !leaf.NotAfter.Equal(now.Add(test.after)) {
					t.Errorf("the certificate ends at %s, want exactly %s", leaf.NotAfter, now.Add(test.after))
				}
				return
			}
			if leaf.NotAfter.After(time.Now().Add(test.end)) || leaf.NotAfter.Before(now.Add(test.endAtTheLeast)) {
				t.Errorf("the certificate ends at %s, want %s from now", leaf.NotAfter, test.end)
			}
		})
	}
}

// TestLenientReplaces: where a profile says so, an order that names what it
// cannot replace is an ordinary one, and says that it replaces nothing
// (R9773-5-2; X-Road has no way to go on without replaces, C-XR-5).
func TestLenientReplaces(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, replaces string
		status         int // under a profile that is not lenient
	}{
		{"an id that is none", "nonsense", http.StatusBadRequest},
		{"a certificate of somebody else", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", http.StatusNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			payload := strings.TrimSuffix(orderFor("renewed.localhost"), "}") + `,"replaces":"` + test.replaces + `"}`
			strict := start(t, servertest.Options{}).registered(t, "default")
			wantProblem(t, strict.post(t, strict.url["newOrder"], payload), test.status, acme.Malformed)

			lenient := start(t, servertest.Options{Profile: func(p *acme.Profile) { p.LenientReplaces = true }}).registered(t, "default")
			r := lenient.post(t, lenient.url["newOrder"], payload)
			o := wantOrder(t, r, http.StatusCreated)
			if strings.Contains(string(r.body), `"replaces"`) {
				t.Errorf("the order says that it replaces something: %s", r.body)
			}
			lenient.finish(t, o, "renewed.localhost")
		})
	}
}

// finish proves whatever an order still wants proved, and takes it to its
// certificate.
func (c *client) finish(tb testing.TB, o order, names ...string) *x509.Certificate {
	tb.Helper()
	for _, url := range o.Authorizations {
		r := c.post(tb, url, "")
		if decode[struct{ Status string }](tb, r).Status != "pending" {
			continue
		}
		if r := c.post(tb, challengeOf(tb, r), "{}"); r.status != http.StatusOK {
			tb.Fatalf("challenge: %d %s", r.status, r.body)
		}
	}
	done := wantOrder(tb, c.post(tb, o.Finalize, csrFor(tb, names...)), http.StatusOK)
	if done.Status != "valid" {
		tb.Fatalf("the order is %s", done.Status)
	}
	block, _ := pem.Decode(c.post(tb, done.Certificate, "").body)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf
}
