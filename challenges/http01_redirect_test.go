package challenges_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/challenges/http01test"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

// R8555-8.3-5, DH-1: ten redirects are followed, and not one more.
func TestHTTP01CountsRedirects(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 9, 10, 11} {
		s := http01test.New(t, "127.0.0.1:0")
		s.On(token, http01test.Redirect(302, "/hop/1"))
		for i := 1; i < n; i++ {
			s.On(fmt.Sprintf("/hop/%d", i), http01test.Redirect(302, fmt.Sprintf("/hop/%d", i+1)))
		}
		s.Answer(fmt.Sprintf("/hop/%d", n), proof)
		got := newValidator(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org"))
		want := expect{}
		if n > 10 {
			want = expect{acme.Connection, false, "after 10 redirects, which is the limit"}
		}
		check(t, got, want)
		if requests := len(s.Requests()); requests != min(n, 10)+1 {
			t.Errorf("%d redirects: %d requests", n, requests)
		}
	}
}

// DH-2: these four are followed; 303 is among the answers of TestHTTP01Answers.
func TestHTTP01FollowsFourStatuses(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		s := http01test.New(t, "127.0.0.1:0")
		s.On(token, http01test.Redirect(status, "/moved?a=b c#fragment"))
		s.Answer("/moved", proof)
		check(t, newValidator(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org")), expect{})
		if got := s.Requests()[1].RequestURI; got != "/moved?a=b%20c" {
			t.Errorf("the second request was for %s", got)
		}
	}
}

// DH-3 to DH-5, SV-3: places that cannot be redirected to. None of them is
// contacted, and none is shown in the message (SV-8).
func TestHTTP01RefusesRedirects(t *testing.T) {
	t.Parallel()
	for location, says := range map[string]string{
		"":                             "no Location",
		"ftp://canary.example/":        "neither http nor https",
		"file:///etc/canary":           "neither http nor https",
		"gopher://127.0.0.1:80/canary": "neither http nor https",
		"javascript:canary":            "neither http nor https",
		"http:canary":                  "no host",
		"http:///canary":               "no host",
		"http://user@canary.example/":  "user name",
		"http://u:p@canary.example/":   "user name",
		"http://canary.example:22/":    "not one that validation uses",
		"http://canary.example:8080/":  "not one that validation uses",
		"http://canary.example:080/":   "not one that validation uses",
		"http://canary.example:/":      "port is empty",
		"http://canary.example:99999/": "not one that validation uses",
		"http://canary.example.well-known/acme-challenge/x": "lacks a slash",
		"http://2130706433/":                               "a number",
		"http://0x7f000001/":                               "a number",
		"http://0177.0.0.1/":                               "a number",
		"http://127.1/":                                    "a number",
		"http://0x7f.0.0.0x1/":                             "a number",
		"http://127.0.0.1./canary":                         "a number",
		"http://[::ffff:7f00:1]/canary":                    "canonical form",
		"http://[2001:DB8::01]/":                           "canonical form",
		"http://[fe80::1%25eth0]/":                         "zone",
		"http://canary..example/":                          "neither a DNS name",
		"http://-canary.example/":                          "neither a DNS name",
		"http://caf\u00e9.example/":                        "neither a DNS name",
		"http://" + strings.Repeat("a.", 130) + "example/": "too long",
		"/" + strings.Repeat("c", 2000):                    "longer than 2000",
		"http://[::1/canary":                               "not a URL",
	} {
		s := http01test.New(t, "127.0.0.1:0")
		s.On(token, http01test.Redirect(302, location))
		v := newValidator(t, setup{names: at(map[string]string{"example.org": "127.0.0.1", "www.example.org": "127.0.0.1", "canary.example": "127.0.0.1"}), port: s.Addr().Port()})
		got := v.Validate(t.Context(), target("example.org"))
		check(t, got, expect{acme.Connection, false, says})
		if strings.Contains(got.Problem.Detail, "canary") {
			t.Errorf("%s: the detail shows what was fetched: %s", location, got.Problem.Detail)
		}
		if n := len(s.Requests()); n != 1 {
			t.Errorf("%s: %d requests, want 1", location, n)
		}
	}
	// A path of just the length that is allowed.
	s := http01test.New(t, "127.0.0.1:0")
	long := "/" + strings.Repeat("c", 1999)
	s.On(token, http01test.Redirect(302, long))
	s.Answer(long, proof)
	check(t, newValidator(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org")), expect{})
}

// DH-5: circles of any size are noticed before they are walked again.
func TestHTTP01NoticesCircles(t *testing.T) {
	t.Parallel()
	s := http01test.New(t, "127.0.0.1:0")
	port := s.Addr().Port()
	s.On(token, http01test.Redirect(302, "/a"))
	s.On("/a", http01test.Redirect(302, "/b"))
	s.On("/b", http01test.Redirect(302, fmt.Sprintf("http://EXAMPLE.org:%d/a", port)))
	got := newValidator(t, setup{port: port}).Validate(t.Context(), target("example.org"))
	check(t, got, expect{acme.Connection, false, "in a circle"})
	if n := len(s.Requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// DH-11, SV-7: https is followed without looking at the certificate.
func TestHTTP01RedirectToHTTPS(t *testing.T) {
	t.Parallel()
	plain, secure := http01test.New(t, "127.0.0.1:0"), http01test.NewTLS(t, "127.0.0.1:0")
	secure.Answer("/"+token, proof)
	v := newValidator(t, setup{port: plain.Addr().Port(), tlsPort: secure.Addr().Port()})
	plain.On(token, http01test.Redirect(301, "https://example.org/"+token))
	check(t, v.Validate(t.Context(), target("example.org")), expect{})
	if r := secure.Requests()[0]; r.TLS == nil || r.TLS.ServerName != "example.org" || r.Host != "example.org" || r.Header.Get("Referer") != "" {
		t.Errorf("got %+v", r)
	}
	// TLS spoken to a server that does not.
	plain.On(token, http01test.Redirect(301, fmt.Sprintf("https://example.org:%d/", plain.Addr().Port())))
	check(t, v.Validate(t.Context(), target("example.org")), expect{acme.TLS, false, "handshake failed"})
}

// A redirect to another host: looked up once, asked by its own name, without
// anything that the first host said (SV-7).
func TestHTTP01RedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	s := http01test.New(t, "127.0.0.1:0")
	s.On(token, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		http01test.Redirect(302, "http://other.example/x")(w, r)
	})
	s.Answer("/x", proof)
	v := newValidator(t, setup{names: at(map[string]string{"example.org": "127.0.0.1", "other.example": "127.0.0.1"}), port: s.Addr().Port()})
	check(t, v.Validate(t.Context(), target("example.org")), expect{})
	if r := s.Requests()[1]; r.Host != "other.example" || len(r.Header["Cookie"]) != 0 {
		t.Errorf("the second request: Host %s, %v", r.Host, r.Header)
	}
	// One that does not exist; its name is not shown.
	s.On(token, http01test.Redirect(302, "http://canary.example/x"))
	got := v.Validate(t.Context(), target("example.org"))
	check(t, got, expect{acme.DNS, false, "after 1 redirect: the host name does not exist"})
	if strings.Contains(got.Problem.Detail, "canary") {
		t.Errorf("detail %q", got.Problem.Detail)
	}
}

// Every hop is a step: which host, which address, what came of it. The client
// learns the names of its own host and of those above and below it; others are
// for the operator, and paths for nobody (SV-8).
func TestHTTP01Steps(t *testing.T) {
	t.Parallel()
	s := http01test.New(t, "127.0.0.1:0")
	port := s.Addr().Port()
	s.On(token, http01test.Redirect(302, "http://www.example.org/secret"))
	s.On("/secret", http01test.Redirect(302, "http://canary.example/secret-path?secret-query"))
	s.On("/secret-path", http01test.Redirect(302, fmt.Sprintf("http://canary6.example:%d/secret-path", port)))
	n := at(map[string]string{"example.org": "127.0.0.1", "www.example.org": "127.0.0.1", "canary.example": "127.0.0.1", "canary6.example": "127.0.0.2"})
	got := newValidator(t, setup{names: n, port: port}).Validate(t.Context(), target("example.org"))
	var told, toClient []string
	for _, step := range got.Steps {
		told, toClient = append(told, step.String()), append(toClient, step.Told())
	}
	want := []string{
		fmt.Sprintf("connect to 127.0.0.1:%d for example.org", port),
		"redirect to http://www.example.org",
		fmt.Sprintf("connect to 127.0.0.1:%d for www.example.org", port),
		"redirect to http://canary.example",
		fmt.Sprintf("connect to 127.0.0.1:%d for canary.example", port),
		fmt.Sprintf("redirect to http://canary6.example:%d", port),
		"no connection to canary6.example: no address that may be connected to",
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("steps %q, want %q", told, want)
	}
	wantClient := []string{
		want[0], want[1], want[2],
		"redirect to another host (http)",
		fmt.Sprintf("connect to 127.0.0.1:%d for another host", port),
		"redirect to another host (http)",
		"no connection to another host: no address that may be connected to",
	}
	if strings.Join(toClient, "\n") != strings.Join(wantClient, "\n") {
		t.Errorf("steps for the client %q, want %q", toClient, wantClient)
	}
	if text := fmt.Sprint(told, got.Tried, got.Problem.Detail); strings.Contains(text, "secret") || strings.Contains(got.Problem.Detail, "canary") {
		t.Errorf("shown: %s", text)
	}

	dnsServer := dnstest.New(t, `web.example. 60 IN CNAME host.example.
		host.example. 60 IN A 127.0.0.1`)
	dnsServer.Sign()
	signed := setup{resolver: newResolver(t, dnsServer, egress.ResolverConfig{}), port: port}
	got = newValidator(t, signed).Validate(t.Context(), target("gone.example"))
	check(t, got, expect{acme.DNS, false, "NXDOMAIN"})
	told = nil
	for _, step := range got.Steps {
		told = append(told, step.String())
	}
	if want := "AAAA gone.example: 0 records, authenticated: the name does not exist\nA gone.example: 0 records, authenticated: the name does not exist"; strings.Join(told, "\n") != want {
		t.Errorf("steps %q, want %q", told, want)
	}
	s.Answer(token, proof)
	got = newValidator(t, signed).Validate(t.Context(), target("web.example"))
	check(t, got, expect{})
	if len(got.Steps) != 3 || got.Steps[1].String() != "A web.example -> host.example: 1 record, authenticated" {
		t.Errorf("steps %v", got.Steps)
	}
}
