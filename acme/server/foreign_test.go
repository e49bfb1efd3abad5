package server_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// things are the URLs of what an account has, by row of the table.
func things(t testing.TB, c *client) map[string]string {
	t.Helper()
	pending, issued := c.newOrder(t, "pending.localhost"), c.issue(t, "issued.localhost")
	all := map[string]string{
		"/account/{account}":         c.kid,
		"/account/{account}/orders":  c.kid + "/orders",
		"/order/{order}":             issued.url,
		"/order/{order}/finalize":    pending.Finalize,
		"/authz/{authz}":             pending.Authorizations[0],
		"/challenge/{authz}/{type}":  challengeOf(t, c.post(t, pending.Authorizations[0], "")),
		"/certificate/{certificate}": issued.Certificate,
	}
	if others := alternates(c.post(t, issued.Certificate, "")); len(others) > 0 {
		all["/certificate/{certificate}/{chain}"] = others[0]
	}
	return all
}

// TestForeignLooksUnknown asks for what belongs to somebody else, and for
// what does not exist: nobody can tell the two apart (SP-1, R8555-10.5-3).
func TestForeignLooksUnknown(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{CrossSigned: true})
	owner, other := f.registered(t, "default"), f.registered(t, "default")
	owned := things(t, owner)
	payloads := []string{"", "{}", `{"status":"deactivated"}`, `{"contact":[]}`, csrFor(t, "issued.localhost"), "[]", "nonsense"}

	compare := func(t *testing.T) {
		for _, row := range server.Rows() {
			if !strings.Contains(row.Path, "{") || row.Auth == "none" {
				continue // it names nothing, or nothing that belongs to somebody
			}
			foreign, ok := owned[row.Path]
			if !ok {
				t.Errorf("there is no example for %s; add one to things", row.Path)
				continue
			}
			for _, payload := range payloads {
				want := other.post(t, foreign, payload)
				if want.status < 400 || want.status > 499 {
					t.Errorf("%s of somebody else with payload %q: %d %s", row.Path, payload, want.status, want.body)
				}
				got := other.post(t, urlFor(f, "default", row), payload)
				if got.status != want.status || string(got.body) != string(want.body) || !maps.EqualFunc(withoutNonce(got.header), withoutNonce(want.header), slices.Equal) {
					t.Errorf("%s with payload %q: unknown is\n%d %v\n%s\nforeign is\n%d %v\n%s", row.Path, payload,
						got.status, got.header, got.body, want.status, want.header, want.body)
				}
				// What has not even the shape of an id tells nobody anything.
				if got := other.post(t, strings.Replace(urlFor(f, "default", row), nobody, "x", 1), payload); got.status < 400 || got.status > 499 {
					t.Errorf("%s with an impossible id and payload %q: %d", row.Path, payload, got.status)
				}
			}
		}
	}
	t.Run("of an account in force", compare)
	// Nothing was changed by all this.
	for path, url := range owned {
		if strings.HasSuffix(path, "/finalize") {
			continue
		}
		if r := owner.post(t, url, ""); r.status != http.StatusOK || strings.Contains(string(r.body), "deactivated") {
			t.Errorf("%s, as its owner sees it now: %d %s", path, r.status, r.body)
		}
	}
	owner.post(t, owner.kid, `{"status":"deactivated"}`)
	t.Run("of an account that has ended", compare)
}

func withoutNonce(h http.Header) http.Header {
	h = h.Clone()
	if _, has := h["Replay-Nonce"]; has {
		h.Set("Replay-Nonce", "some")
	}
	return h
}

// TestUnknownChallengeType: the type is part of the name.
func TestUnknownChallengeType(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	url := challengeOf(t, c.post(t, c.newOrder(t, "a.localhost").Authorizations[0], ""))
	for _, other := range []string{"dns-01", "HTTP-01", "x"} {
		for _, payload := range []string{"", "{}"} {
			r := c.post(t, strings.Replace(url, "http-01", other, 1), payload)
			if r.status != http.StatusNotFound {
				t.Errorf("challenge %s: %d %s", other, r.status, r.body)
			}
		}
	}
}

// BenchmarkForeignAndUnknown measures whether time tells what the answer does
// not (SP-1: the medians of 10,000 differ by less than a millisecond). It is
// no test, because a busy machine would fail it.
func BenchmarkForeignAndUnknown(b *testing.B) {
	f := start(b, servertest.Options{})
	owner, other := f.registered(b, "default"), f.registered(b, "default")
	foreign := owner.issue(b, "a.localhost").url
	unknown := f.URL + "/acme/default/order/" + nobody
	var took [2][]time.Duration
	for range b.N {
		for i, url := range []string{foreign, unknown} {
			c := post(url, other.withAccount(b, url, ""))
			begun := time.Now()
			f.do(b, c)
			took[i] = append(took[i], time.Since(begun))
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = float64(took[i][len(took[i])/2].Nanoseconds())
	}
	b.ReportMetric(median[0], "ns/foreign")
	b.ReportMetric(median[1], "ns/unknown")
	b.ReportMetric(median[0]-median[1], "ns/difference")
}
