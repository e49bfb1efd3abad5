package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/storage"
)

// renewalAnswer is what clients read (RFC 9773, 4.2).
type renewalAnswer struct {
	SuggestedWindow struct{ Start, End time.Time }
	ExplanationURL  string
}

// onlyCertificate returns the one certificate there is, and where its renewal
// information is.
func (c *client) onlyCertificate(t *testing.T) (cert acme.Certificate, url string) {
	t.Helper()
	found, _, err := c.f.Engine.Operator().Certificates(t.Context(), "", storage.Page{})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d certificates, %v", len(found), err)
	}
	return found[0], c.url["renewalInfo"] + "/" + acme.CertID(found[0].AuthorityKeyID, found[0].Serial)
}

// TestRenewalInfo: anybody may ask, every answer says when to ask again, and
// caches may keep it whatever is added to the question (R9773-4.1-1,
// R9773-4.2-1, R9773-4.3-1, R9773-6-1).
func TestRenewalInfo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		validity   time.Duration
		retryAfter string
	}{{90 * 24 * time.Hour, "21600"}, {6 * time.Hour, "900"}} {
		t.Run(tt.validity.String(), func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{Profile: func(p *acme.Profile) {
				p.Validity, p.Renewal.Explanation = tt.validity, "https://ca.example/renewals"
			}})
			c := f.registered(t, "default")
			c.issue(t, "a.localhost")
			cert, url := c.onlyCertificate(t)
			ask := func(what string, q call) renewalAnswer {
				t.Helper()
				r := f.do(t, q)
				if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" {
					t.Fatalf("%s: %d %s", what, r.status, r.body)
				}
				if got := r.header.Get("Retry-After"); got != tt.retryAfter {
					t.Errorf("%s: Retry-After is %q, want %s", what, got, tt.retryAfter)
				}
				if got := r.header.Get("Cache-Control"); got != "public, max-age=300" {
					t.Errorf("%s: Cache-Control is %q", what, got)
				}
				if got := r.header.Get("Replay-Nonce"); got != "" {
					t.Errorf("%s: a nonce in an answer that others will get from a cache", what)
				}
				return decode[renewalAnswer](t, r)
			}
			usual := ask("plain", get(url))
			w := usual.SuggestedWindow
			if !w.End.After(w.Start) || w.Start.Before(cert.IssuedAt.Truncate(time.Second)) || w.End.After(cert.NotAfter) || usual.ExplanationURL != "https://ca.example/renewals" {
				t.Errorf("%+v of a certificate from %s until %s", usual, cert.IssuedAt, cert.NotAfter)
			}
			odd := get(url + "?cachebuster=1")
			odd.header = http.Header{"Cache-Control": {"no-cache"}, "X-Odd": {"1"}}
			if got := ask("with a query", odd); got != usual {
				t.Errorf("with a query: %+v, want %+v", got, usual)
			}

			window := acme.Window{Start: time.Now().Add(time.Hour).UTC().Truncate(time.Second), End: time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)}
			if _, err := f.Engine.Operator().MoveRenewal(t.Context(), engine.RenewalMove{
				Certificate: cert.ID, Window: window, Explanation: "https://ca.example/incident",
			}); err != nil {
				t.Fatal(err)
			}
			moved := ask("moved", get(url))
			if !moved.SuggestedWindow.Start.Equal(window.Start) || !moved.SuggestedWindow.End.Equal(window.End) || moved.ExplanationURL != "https://ca.example/incident" {
				t.Errorf("%+v, want %+v", moved, window)
			}
		})
	}
}

// TestRenewalInfoRefuses: what is refused is not kept, and an id that is
// unknown today says when to ask again as well (R9773-4.1-2, R9773-4.3-1).
func TestRenewalInfoRefuses(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	c.issue(t, "a.localhost")
	_, url := c.onlyCertificate(t)
	base := c.url["renewalInfo"]
	wantProblem(t, f.do(t, get(base+"/AAAA")), 400, acme.Malformed)
	wantProblem(t, f.do(t, get(url+"=")), 400, acme.Malformed)
	wantProblem(t, f.do(t, get(url[:strings.LastIndexByte(url, '.')])), 400, acme.Malformed)
	unknown := f.do(t, get(base+"/AAAA.AQ"))
	wantProblem(t, unknown, 404, acme.Malformed)
	if got := unknown.header.Get("Retry-After"); got != "21600" {
		t.Errorf("Retry-After is %q", got)
	}
	if r := f.do(t, call{method: http.MethodPost, url: url}); r.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.status)
	}
}

// TestReplacesOnTheWire: the order shows what it replaces, at once and later
// (R9773-5-4).
func TestReplacesOnTheWire(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	c.issue(t, "a.localhost")
	cert, _ := c.onlyCertificate(t)
	id := acme.CertID(cert.AuthorityKeyID, cert.Serial)
	payload := `{"identifiers":[{"type":"dns","value":"a.localhost"}],"replaces":"` + id + `"}`
	made := c.post(t, c.url["newOrder"], payload)
	o := wantOrder(t, made, http.StatusCreated)
	for what, r := range map[string]reply{"at once": made, "later": c.post(t, o.url, "")} {
		if got := decode[struct{ Replaces string }](t, r).Replaces; got != id {
			t.Errorf("%s: replaces is %q, want %q", what, got, id)
		}
	}
	wantProblem(t, c.post(t, c.url["newOrder"], payload), 409, acme.AlreadyReplaced)
}
