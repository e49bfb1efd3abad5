package server_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// TestHead: the same headers as GET and no body (R8555-6.3-5), with a nonce at
// both places where clients look for one (R8555-7.2-1, C-SH-4).
func TestHead(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.client(t, "default")
	for url, status := range map[string][2]int{
		f.DirectoryURL("default"): {http.StatusOK, http.StatusOK},
		c.url["newNonce"]:         {http.StatusNoContent, http.StatusOK},
	} {
		got, head := f.do(t, get(url)), f.do(t, call{method: http.MethodHead, url: url})
		if got.status != status[0] || head.status != status[1] {
			t.Errorf("%s: GET %d, HEAD %d", url, got.status, head.status)
		}
		if len(head.body) > 0 {
			t.Errorf("%s: HEAD has a body", url)
		}
		if !maps.EqualFunc(withoutNonce(got.header), withoutNonce(head.header), slices.Equal) {
			t.Errorf("%s:\nGET  %v\nHEAD %v", url, got.header, head.header)
		}
		nonces := append(got.header.Values("Replay-Nonce"), head.header.Values("Replay-Nonce")...)
		if len(nonces) != 2 || nonces[0] == nonces[1] {
			t.Fatalf("%s: nonces %q", url, nonces)
		}
		for _, n := range nonces {
			if err := f.nonces.Redeem(n); err != nil {
				t.Errorf("%s: nonce %s: %v", url, n, err)
			}
		}
	}
	for _, r := range []reply{f.do(t, get(c.url["newNonce"])), f.do(t, call{method: http.MethodHead, url: c.url["newNonce"]})} {
		if r.header.Get("Cache-Control") != "no-store" { // R8555-7.2-3
			t.Errorf("newNonce: Cache-Control is %q", r.header.Get("Cache-Control"))
		}
	}
}

// TestSignedReadOfOpenResources: directory and newNonce are read by POST, too
// (R8555-6.3-3), and take nothing.
func TestSignedReadOfOpenResources(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	for _, url := range []string{f.DirectoryURL("default"), c.url["newNonce"]} {
		r := c.post(t, url, "")
		if r.status != http.StatusOK || len(r.header.Values("Replay-Nonce")) != 1 {
			t.Errorf("%s: %d %v", url, r.status, r.header)
		}
		wantProblem(t, c.post(t, url, "{}"), http.StatusBadRequest, acme.Malformed)
	}
}

// TestLinks: every resource but the directory links to it (R8555-7.1-2), each
// link on a line of its own, as shell clients read them (C-SH-3).
func TestLinks(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	owned := things(t, c)
	index := `<` + f.DirectoryURL("default") + `>;rel="index"`
	want := map[string][]string{c.url["newNonce"]: {index}, f.DirectoryURL("default"): nil}
	for path, url := range owned {
		want[url] = []string{index}
		if path == "/challenge/{authz}/{type}" {
			want[url] = append(want[url], `<`+owned["/authz/{authz}"]+`>;rel="up"`) // R8555-7.1-3
		}
	}
	for url, links := range want {
		if got := c.post(t, url, "").header.Values("Link"); !slices.Equal(got, links) {
			t.Errorf("%s has links %q, want %q", url, got, links)
		}
	}
}

// TestTerms: who has not agreed is told where the terms are, in the three
// places where clients look (R8555-7.3.3-1, R8555-7.3-6).
func TestTerms(t *testing.T) {
	t.Parallel()
	const terms = "https://example.org/terms/7"
	f := start(t, servertest.Options{Directories: []acme.Directory{{
		Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOff, Profiles: []acme.ProfileName{"tls"},
		TermsOfService: terms, Website: "https://example.org/",
	}}})
	link := `<` + terms + `>;rel="terms-of-service"`
	c := f.client(t, "default")
	for _, payload := range []string{`{}`, `{"termsOfServiceAgreed":false}`} {
		r := c.register(t, payload)
		p := wantProblem(t, r, http.StatusForbidden, acme.UserActionRequired)
		if p.Instance != terms || !strings.Contains(p.Detail, terms) || !slices.Contains(r.header.Values("Link"), link) {
			t.Errorf("%+v with links %q", p, r.header.Values("Link"))
		}
	}
	if r := c.register(t, `{"termsOfServiceAgreed":true}`); r.status != http.StatusCreated || !slices.Contains(r.header.Values("Link"), link) {
		t.Errorf("with agreement: %d, links %q", r.status, r.header.Values("Link"))
	}
	meta := decode[struct{ Meta map[string]any }](t, f.do(t, get(f.DirectoryURL("default")))).Meta
	if meta["termsOfService"] != terms || meta["website"] != "https://example.org/" {
		t.Errorf("meta is %v", meta)
	}
}

// TestExternalAccountRequired: the directory says so if and only if every new
// account needs a binding (R8555-7.1.1-5): lego refuses to go on otherwise.
func TestExternalAccountRequired(t *testing.T) {
	t.Parallel()
	var directories []acme.Directory
	for _, rule := range []acme.ExternalAccountRule{acme.ExternalAccountMandatory, acme.ExternalAccountOptional, acme.ExternalAccountOff} {
		directories = append(directories, acme.Directory{
			Name: acme.DirectoryName(rule), Path: "/" + string(rule), ExternalAccount: rule, Profiles: []acme.ProfileName{"tls"},
		})
	}
	f := start(t, servertest.Options{Directories: directories})
	for _, d := range directories {
		meta := decode[struct{ Meta map[string]any }](t, f.do(t, get(f.DirectoryURL(d.Name)))).Meta
		said, has := meta["externalAccountRequired"]
		if required := d.ExternalAccount == acme.ExternalAccountMandatory; has != required || has && said != true {
			t.Errorf("%s: externalAccountRequired is %v", d.ExternalAccount, said)
		}
		if _, has := meta["termsOfService"]; has {
			t.Errorf("%s: terms out of nowhere", d.ExternalAccount)
		}
		c := f.client(t, d.Name)
		if r := c.register(t, "{}"); d.ExternalAccount == acme.ExternalAccountMandatory {
			wantProblem(t, r, http.StatusForbidden, acme.ExternalAccountRequired)
		} else if r.status != http.StatusCreated {
			t.Errorf("%s: %d %s", d.ExternalAccount, r.status, r.body)
		}
	}
}

// TestCORS: browsers are let in where, and only where, the operator says so
// (R8555-6.1-5).
func TestCORS(t *testing.T) {
	t.Parallel()
	const page, other = "https://page.example", "https://other.example"
	for _, tt := range []struct {
		name    string
		origins []string
		origin  string
		allowed string // Access-Control-Allow-Origin
		vary    bool
	}{
		{"off", nil, page, "", false},
		{"named", []string{page}, page, page, true},
		{"another page", []string{page}, other, "", true},
		{"no page", []string{page}, "", "", true},
		{"a page that begins like it", []string{page}, page + ".evil", "", true},
		{"any", []string{"*"}, other, "*", false},
		{"any, no page", []string{"*"}, "", "*", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, servertest.Options{Server: func(c *server.Config) { c.Origins = tt.origins }})
			c := f.registered(t, "default")
			header := http.Header{}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			ask := func(method, url string, body []byte) reply {
				r := post(url, body)
				r.method, r.header = method, header
				return f.do(t, r)
			}
			for _, r := range []reply{
				ask("GET", f.DirectoryURL("default"), nil), ask("HEAD", c.url["newNonce"], nil), ask("GET", f.URL+"/nowhere", nil),
				ask("POST", c.kid, c.withAccount(t, c.kid, "")), ask("POST", c.url["newOrder"], nil),
			} {
				if got := r.header.Get("Access-Control-Allow-Origin"); got != tt.allowed {
					t.Errorf("Allow-Origin is %q, want %q", got, tt.allowed)
				}
				if got := slices.Contains(r.header.Values("Vary"), "Origin"); got != tt.vary {
					t.Errorf("Vary is %q", r.header.Values("Vary"))
				}
				exposed := r.header.Get("Access-Control-Expose-Headers")
				for _, name := range []string{"Link", "Replay-Nonce", "Location", "Retry-After"} {
					if strings.Contains(exposed, name) != (tt.allowed != "") {
						t.Errorf("%s among %q", name, exposed)
					}
				}
				if r.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are let in")
				}
			}
			header.Set("Access-Control-Request-Method", "POST")
			header.Set("Access-Control-Request-Headers", "content-type")
			r := ask("OPTIONS", c.url["newOrder"], nil)
			if tt.allowed == "" {
				if r.status != http.StatusMethodNotAllowed || r.header.Get("Access-Control-Allow-Methods") != "" {
					t.Errorf("preflight: %d %v", r.status, r.header)
				}
				return
			}
			if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Methods") != "POST" ||
				r.header.Get("Access-Control-Allow-Headers") != "Content-Type" || len(r.body) > 0 {
				t.Errorf("preflight: %d %v", r.status, r.header)
			}
			header.Del("Access-Control-Request-Method")
			if r := ask("OPTIONS", c.url["newOrder"], nil); r.status != http.StatusMethodNotAllowed {
				t.Errorf("OPTIONS that is no preflight: %d", r.status)
			}
		})
	}
}

// TestUserAgentAbsent: clients should send one (R8555-6.1-4), and no request
// fails for the lack of it.
func TestUserAgentAbsent(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	h := f.Client()
	defer h.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.DirectoryURL("default"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["User-Agent"] = []string{""} // net/http sends none then
	resp, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	f.registered(t, "default") // and here there was none at all
}

// TestContentType: parameters are tolerated, other types are not
// (R8555-6.2-16).
func TestContentType(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	for contentType, ok := range map[string]bool{
		"application/jose+json": true, "application/jose+json; charset=utf-8": true, "Application/JOSE+JSON": true,
		"application/json": false, "application/jose": false, "text/plain": false, "application/jose+json, text/plain": false, "": false, ";": false,
	} {
		r := post(c.kid, c.withAccount(t, c.kid, ""))
		r.contentType = contentType
		got := f.do(t, r)
		if ok && got.status != http.StatusOK || !ok && got.status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d", contentType, got.status)
		}
		if got.header.Get("Replay-Nonce") == "" {
			t.Errorf("%q: no nonce", contentType)
		}
	}
}
