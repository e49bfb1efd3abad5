package server_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
)

// moody is a validator that fails for names that say so.
type moody struct{}

func (moody) Type() acme.ChallengeType { return acme.HTTP01 }
func (moody) Validate(_ context.Context, t challenges.Target) acme.Outcome {
	if strings.HasPrefix(t.Identifier.Value, "wrong") {
		return acme.Outcome{Problem: acme.Problemf(acme.Unauthorized, "the answer for %s is 404", t.Identifier.Value)}
	}
	return acme.Outcome{Valid: true}
}

func withMoody(c *engine.Config) { c.Validators = []challenges.Validator{moody{}} }

// wantParts holds a problem document against what RFC 8555, 6.7.1 says: the
// identifiers are in the subproblems, each one that was asked for, and none is
// on top (R8555-6.7-3, -4).
func wantParts(tb testing.TB, document map[string]any, names ...string) {
	tb.Helper()
	if _, has := document["identifier"]; has {
		tb.Errorf("an identifier on top of %v", document)
	}
	parts, _ := document["subproblems"].([]any)
	var got []string
	for _, part := range parts {
		p, _ := part.(map[string]any)
		id, _ := p["identifier"].(map[string]any)
		if _, nested := p["subproblems"]; nested || !strings.HasPrefix(p["type"].(string), acme.ProblemPrefix) || id["type"] != "dns" {
			tb.Errorf("the part %v", p)
		}
		value, _ := id["value"].(string)
		got = append(got, value)
	}
	slices.Sort(got)
	if !slices.Equal(got, names) {
		tb.Errorf("subproblems are about %q, want %q: %v", got, names, document)
	}
}

// TestIdentifiersOfProblems goes through everything that can go wrong with some
// of the names of an order.
func TestIdentifiersOfProblems(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Engine: withMoody})
	c := f.registered(t, "default")
	newOrder := func(names ...string) reply {
		var list []map[string]string
		for _, n := range names {
			list = append(list, map[string]string{"type": "dns", "value": n})
		}
		return c.post(t, c.url["newOrder"], string(marshal(t, map[string]any{"identifiers": list})))
	}
	wantParts(t, decode[map[string]any](t, newOrder("good.localhost", "*.a.localhost", "under_score.localhost")), "*.a.localhost", "under_score.localhost")
	wantParts(t, decode[map[string]any](t, newOrder("under_score.localhost")), "under_score.localhost")
	wantParts(t, decode[map[string]any](t, newOrder()))

	// A name that could not be proved: in the order, and in its challenge.
	o := wantOrder(t, newOrder("wrong.localhost", "good.localhost"), http.StatusCreated)
	for _, url := range o.Authorizations {
		c.post(t, challengeOf(t, c.post(t, url, "")), "{}")
	}
	object := decode[map[string]any](t, c.post(t, o.url, ""))
	failed, ok := object["error"].(map[string]any)
	if object["status"] != "invalid" || !ok {
		t.Fatalf("the order is %v", object)
	}
	wantParts(t, failed, "wrong.localhost")
	for _, url := range o.Authorizations {
		for _, ch := range decode[struct{ Challenges []map[string]any }](t, c.post(t, url, "")).Challenges {
			if p, failed := ch["error"].(map[string]any); failed {
				wantParts(t, p, "wrong.localhost") // a part for each attempt (R8555-8.2-2)
			}
		}
	}
	// And every refusal that is about no name at all.
	for _, r := range []reply{
		c.post(t, c.url["newOrder"], "[]"), c.post(t, o.Finalize, csrFor(t, "wrong.localhost")), c.post(t, c.url["revokeCert"], "{}"),
		f.do(t, get(f.URL+"/nowhere")), f.do(t, get(c.url["newOrder"])),
	} {
		checkProblem(t, r)
		wantParts(t, decode[map[string]any](t, r))
	}
}

// TestAuthorizationObjects: what an authorization shows when it is pending, valid
// and invalid, and no more than that: its end always (R8555-7.5-2), the failed
// challenge among others that one succeeded of (R8555-7.5-4), an error where the
// challenge is invalid and nowhere else (R8555-8-2).
func TestAuthorizationObjects(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Engine: withMoody})
	c := f.registered(t, "default")
	for _, tt := range []struct {
		name, status string
		answer       bool
	}{{"open.localhost", "pending", false}, {"good.localhost", "valid", true}, {"wrong.localhost", "invalid", true}} {
		o := c.newOrder(t, tt.name)
		url := o.Authorizations[0]
		before := decode[map[string]any](t, c.post(t, url, ""))
		if tt.answer {
			if r := c.post(t, challengeOf(t, c.post(t, url, "")), "{}"); r.status != http.StatusOK {
				t.Fatalf("%s: %d %s", tt.name, r.status, r.body)
			}
		}
		after := decode[map[string]any](t, c.post(t, url, ""))
		members := []string{"challenges", "expires", "identifier", "status"}
		if got := slices.Sorted(maps.Keys(after)); !slices.Equal(got, members) {
			t.Errorf("%s has members %q", tt.name, got)
		}
		if after["status"] != tt.status || before["status"] != "pending" {
			t.Errorf("%s went from %v to %v", tt.name, before["status"], after["status"])
		}
		if !ahead.MatchString(after["expires"].(string)) {
			t.Errorf("%s expires at %v", tt.name, after["expires"])
		}
		list, _ := after["challenges"].([]any)
		if len(list) != 1 {
			t.Fatalf("%s has challenges %v", tt.name, list)
		}
		ch := list[0].(map[string]any)
		want := map[string][]string{
			"pending": {"status", "token", "type", "url"},
			"valid":   {"status", "token", "type", "url", "validated"},
			"invalid": {"error", "status", "token", "type", "url"},
		}[tt.status]
		if got := slices.Sorted(maps.Keys(ch)); !slices.Equal(got, want) || ch["status"] != tt.status {
			t.Errorf("the challenge of %s is %v, want %s with %q", tt.name, ch, tt.status, want)
		}
	}
}

var ahead = regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// TestCertificateAnswer: a chain is PEM in its media type whatever the client
// would rather have (R8555-7.4.2-1), and is kept by nobody on the way, because
// the read was authenticated (R8555-7.4.2-5).
func TestCertificateAnswer(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	o := c.issue(t, "a.localhost")
	for _, accept := range []string{"", "*/*", "application/pem-certificate-chain", "application/pkix-cert", "application/pkcs7-mime", "text/html;q=1", "garbage"} {
		r := post(o.Certificate, c.withAccount(t, o.Certificate, ""))
		if accept != "" {
			r.header = http.Header{"Accept": {accept}}
		}
		got := f.do(t, r)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/pem-certificate-chain" || !strings.HasPrefix(string(got.body), "-----BEGIN CERTIFICATE-----\n") {
			t.Errorf("Accept %q: %d %s", accept, got.status, got.header.Get("Content-Type"))
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("Accept %q: Cache-Control is %q", accept, got.header.Get("Cache-Control"))
		}
	}
}

// TestURLsSayNothing: what is in a URL is a kind and an id that nobody can guess.
// Neither the account, nor its key, nor a name is in it, and ids of one moment
// differ in more than a guess (R8555-10.5-2).
func TestURLsSayNothing(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	account := c.kid[strings.LastIndexByte(c.kid, '/')+1:]
	seen := map[string]string{}
	ids := regexp.MustCompile(`/(account|order|authz|challenge|certificate)/([0-9a-v]{36})(/|$)`)
	take := func(url, kind string) {
		t.Helper()
		m := ids.FindStringSubmatch(url)
		if m == nil || m[1] != kind || !strings.HasPrefix(url, f.URL+"/acme/default/"+kind+"/") {
			t.Fatalf("%s is no URL of a kind and an id", url)
		}
		id := m[2]
		if strings.Contains(url, "localhost") || kind != "account" && strings.Contains(url, account) {
			t.Errorf("%s says whose it is, or what for", url)
		}
		if owner, twice := seen[id]; twice && owner != kind {
			t.Errorf("%s names two things", id)
		}
		for other := range seen {
			// The first ten characters are the time. Of the 128 random bits
			// behind it, 40 are looked at: they do not agree by chance.
			if other != id && other[10:18] == id[10:18] {
				t.Errorf("%s and %s begin alike behind the time", other, id)
			}
		}
		seen[id] = kind
	}
	take(c.kid, "account")
	for i := range 20 {
		o := c.newOrder(t, "n"+string(rune('a'+i))+".localhost")
		take(o.url, "order")
		take(o.Authorizations[0], "authz")
	}
	o := c.issue(t, "issued.localhost")
	take(o.Certificate, "certificate")
	for kind, n := range map[string]int{"account": 1, "order": 20, "authz": 20, "certificate": 1} {
		got := 0
		for _, k := range seen {
			if k == kind {
				got++
			}
		}
		if got != n {
			t.Errorf("%d ids of kind %s, want %d", got, kind, n)
		}
	}
}

// TestProfilesAreListed: the directory describes each profile that may be
// ordered in it, one without a description by its name (RPROF-1), and an order
// that asks for renewal by itself is refused rather than made an ordinary one
// (R8739-P).
func TestProfilesAreListed(t *testing.T) {
	t.Parallel()
	profiles := map[acme.ProfileName]string{"tls": "for servers", "silent": "", "elsewhere": "of another directory"}
	f := start(t, servertest.Options{
		Directories: []acme.Directory{
			{Name: "default", Path: "/directory", Profiles: []acme.ProfileName{"tls", "silent"}},
			{Name: "second", Path: "/second/directory", Profiles: []acme.ProfileName{"elsewhere"}},
		},
		Engine: func(c *engine.Config) {
			for name, description := range profiles {
				p := servertest.Profile()
				p.Name, p.Description = name, description
				c.Profiles[name] = p
			}
		},
	})
	for d, want := range map[acme.DirectoryName]map[string]string{
		"default": {"tls": "for servers", "silent": "silent"},
		"second":  {"elsewhere": "of another directory"},
	} {
		got := decode[struct {
			Meta struct{ Profiles map[string]string }
		}](t, f.do(t, get(f.DirectoryURL(d)))).Meta.Profiles
		if !maps.Equal(got, want) {
			t.Errorf("directory %s lists %v, want %v", d, got, want)
		}
	}
	c := f.registered(t, "default")
	for _, renewal := range []string{`{}`, `{"end-date":"2030-01-01T00:00:00Z","lifetime":86400}`, `true`, `"yes"`} {
		r := c.post(t, c.url["newOrder"], `{"identifiers":[{"type":"dns","value":"a.localhost"}],"auto-renewal":`+renewal+`}`)
		if p := wantProblem(t, r, http.StatusBadRequest, acme.Malformed); !strings.Contains(p.Detail, "auto-renewal") {
			t.Errorf("auto-renewal %s: %s", renewal, p.Detail)
		}
	}
	object := decode[map[string]json.RawMessage](t, f.do(t, get(f.DirectoryURL("default"))))
	if strings.Contains(string(object["meta"]), "auto-renewal") {
		t.Errorf("meta is %s", object["meta"])
	}
}
