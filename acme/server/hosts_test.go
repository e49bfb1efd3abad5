package server_test

import (
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// liars are headers by which a request claims to have arrived elsewhere.
var liars = http.Header{
	"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"81"},
	"X-Forwarded-Prefix": {"/evil"}, "X-Original-Url": {"/evil"}, "X-Rewrite-Url": {"/evil"},
	"Forwarded": {`host="evil.example";proto=http`}, "X-Forwarded-For": {"192.0.2.66"},
}

// TestHostBuildsNoURL: what a request says about where it arrived is in no
// answer, and a URL that was signed for another host is refused (SP-14,
// R8555-6.4-4).
func TestHostBuildsNoURL(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.client(t, "default")
	lying := func(r call) call {
		r.host, r.header = "evil.example:81", liars.Clone()
		return r
	}
	register := f.do(t, lying(post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], "{}"))))
	c.kid = register.header.Get("Location")
	if register.status != http.StatusCreated || !strings.HasPrefix(c.kid, f.URL+"/") {
		t.Fatalf("register: %d %v", register.status, register.header)
	}
	owned := things(t, c)
	replies := []reply{register, f.do(t, lying(get(f.DirectoryURL("default")))), f.do(t, lying(get(f.URL+"/nowhere")))}
	for _, url := range owned {
		replies = append(replies, f.do(t, lying(post(url, c.withAccount(t, url, "")))))
	}
	newOrder := f.do(t, lying(post(c.url["newOrder"], c.withAccount(t, c.url["newOrder"], orderFor("b.localhost")))))
	wantOrder(t, newOrder, http.StatusCreated)
	for _, r := range append(replies, newOrder) {
		for name, values := range r.header {
			if strings.Contains(strings.Join(values, " "), "evil") {
				t.Errorf("header %s: %v", name, values)
			}
		}
		if strings.Contains(string(r.body), "evil") || strings.Contains(string(r.body), `"http://`) {
			t.Errorf("body: %s", r.body)
		}
	}
	signedForEvil := c.withAccount(t, "https://evil.example:81/acme/default/new-order", orderFor("b.localhost"))
	p := wantProblem(t, f.do(t, lying(post(c.url["newOrder"], signedForEvil))), http.StatusForbidden, acme.Unauthorized)
	if strings.Contains(p.Detail, "evil") {
		t.Errorf("the problem says %s", p.Detail)
	}
}

// TestSignedURL: the URL has to be the one that was handed out, byte for byte
// (R8555-6.4-1).
func TestSignedURL(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	url := c.url["newOrder"]
	for _, signed := range []string{
		url + "/", url + "?", url + "?a=b", url + "#", "/acme/default/new-order", strings.ToUpper(url), strings.Replace(url, "https", "HTTPS", 1),
		strings.Replace(url, "https", "http", 1), strings.Replace(url, "new-order", "new%2Dorder", 1), strings.Replace(url, "127.0.0.1", "127.0.0.1.", 1),
		" " + url, url + " ", strings.Replace(url, "/acme", "//acme", 1), strings.Replace(url, "https://", "https://user@", 1), c.url["newNonce"],
	} {
		r := f.do(t, post(url, c.withAccount(t, signed, orderFor("a.localhost"))))
		if r.status != http.StatusForbidden {
			t.Errorf("signed for %q: %d %s", signed, r.status, r.body)
		}
	}
	// The other way round: a query that was not signed.
	wantProblem(t, f.do(t, post(url+"?a=b", c.withAccount(t, url, orderFor("a.localhost")))), http.StatusForbidden, acme.Unauthorized)
}

// manyDirectories are two on hosts of their own and two by path.
func manyDirectories() servertest.Options {
	directory := func(name acme.DirectoryName, path, host string) acme.Directory {
		return acme.Directory{Name: name, Path: path, Host: host, ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}
	}
	return servertest.Options{
		Directories: []acme.Directory{
			directory("default", "/directory", ""), directory("second", "/second/directory", ""),
			directory("north", "/directory", "north.example"), directory("south", "/directory", "south.example"),
		},
		Server: func(c *server.Config) { c.BaseURL = "https://acme.example:14000" },
	}
}

// TestDirectoriesByHost: each host has its own directory at the same path
// (D11), found whatever the case and the port of the Host header.
func TestDirectoriesByHost(t *testing.T) {
	t.Parallel()
	f := start(t, manyDirectories())
	for host, name := range map[string]string{
		"acme.example:14000": "default", "anything.example": "default", "": "default",
		"north.example:14000": "north", "north.example": "north", "North.Example": "north", "NORTH.EXAMPLE:14000": "north",
		"north.example.": "north", "north.example:1": "north",
		"south.example": "south", "xsouth.example": "default", "south.example.org": "default",
	} {
		r := f.do(t, call{method: "GET", url: "https://acme.example:14000/directory", host: host})
		if host == "" {
			r = f.do(t, call{method: "GET", url: "https://acme.example:14000/directory"})
		}
		base := "https://acme.example:14000"
		if name == "north" || name == "south" {
			base = "https://" + name + ".example:14000"
		}
		object := decode[map[string]any](t, r)
		if got, want := object["newOrder"], base+"/acme/"+name+"/new-order"; got != want {
			t.Errorf("host %q: newOrder is at %v, want %s", host, got, want)
		}
	}
	// The resources of a host are on that host only.
	wantProblem(t, f.do(t, call{method: "HEAD", url: "https://acme.example:14000/acme/north/new-nonce"}).orEmptyProblem(), http.StatusNotFound, acme.Malformed)
	if r := f.do(t, call{method: "HEAD", url: "https://north.example:14000/acme/north/new-nonce"}); r.status != http.StatusOK {
		t.Errorf("HEAD newNonce of north: %d", r.status)
	}
}

// orEmptyProblem gives a HEAD answer the body that it does not have.
func (r reply) orEmptyProblem() reply {
	if len(r.body) == 0 {
		r.body = []byte(`{"type":"urn:ietf:params:acme:error:malformed","detail":"-","status":404}`)
	}
	return r
}

// TestAccountSpacesAreApart: the same key is another account in every
// directory, and what is in one directory is not in another (D11).
func TestAccountSpacesAreApart(t *testing.T) {
	t.Parallel()
	f := start(t, manyDirectories())
	names := []acme.DirectoryName{"default", "second", "north", "south"}
	key := newKey(t)
	seen := map[string]acme.DirectoryName{}
	clients := map[acme.DirectoryName]*client{}
	for _, name := range names {
		c := f.client(t, name)
		c.key = key
		wantProblem(t, f.do(t, post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], `{"onlyReturnExisting":true}`))),
			http.StatusBadRequest, acme.AccountDoesNotExist)
		if r := c.register(t, "{}"); r.status != http.StatusCreated {
			t.Fatalf("register at %s: %d %s", name, r.status, r.body)
		}
		if other, ok := seen[c.kid]; ok {
			t.Errorf("%s and %s share account %s", name, other, c.kid)
		}
		seen[c.kid], clients[name] = name, c
	}
	for _, at := range names {
		o := clients[at].newOrder(t, "a.localhost")
		for _, from := range names {
			if from == at {
				continue
			}
			// Another directory's account is no account here.
			stray := &client{f: f, key: key, kid: clients[from].kid}
			if r := stray.post(t, clients[at].url["newOrder"], orderFor("a.localhost")); r.status != http.StatusBadRequest {
				t.Errorf("account of %s at %s: %d %s", from, at, r.status, r.body)
			}
			// And neither is its id under this directory's URL.
			id := clients[from].kid[strings.LastIndexByte(clients[from].kid, '/')+1:]
			stray.kid = clients[at].kid[:strings.LastIndexByte(clients[at].kid, '/')+1] + id
			wantProblem(t, stray.post(t, clients[at].url["newOrder"], orderFor("a.localhost")), http.StatusBadRequest, acme.AccountDoesNotExist)
			// Nor does an order show through another directory.
			base := clients[from].url["newOrder"][:strings.LastIndexByte(clients[from].url["newOrder"], '/')]
			moved := base + o.url[strings.Index(o.url, "/order/"):]
			wantProblem(t, clients[from].post(t, moved, ""), http.StatusNotFound, acme.Malformed)
		}
	}
}
