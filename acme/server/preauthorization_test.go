package server_test

import (
	"net/http"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server/servertest"
)

// TestNoPreAuthorization: a directory that does not offer it has neither the
// entry nor the resource, whatever another one has (R8555-7.1.1-2,
// R8555-7.4.1-6).
func TestNoPreAuthorization(t *testing.T) {
	t.Parallel()
	profiles := []acme.ProfileName{servertest.Profile().Name}
	f := start(t, servertest.Options{Directories: []acme.Directory{
		{Name: "with", Path: "/with", Profiles: profiles, PreAuthorization: true},
		{Name: "without", Path: "/without", Profiles: profiles},
	}})
	with, without := f.registered(t, "with"), f.registered(t, "without")
	const payload = `{"identifier":{"type":"dns","value":"a.localhost"}}`
	r := with.post(t, with.url["newAuthz"], payload)
	if r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	challenge := challengeOf(t, r)
	if r := with.post(t, challenge, "{}"); r.status != http.StatusOK {
		t.Fatalf("challenge: %d %s", r.status, r.body)
	}
	if o := with.newOrder(t, "a.localhost"); o.Status != "ready" {
		t.Errorf("the order is %s", o.Status)
	}

	if url, there := without.url["newAuthz"]; there {
		t.Errorf("newAuthz is listed: %s", url)
	}
	wantProblem(t, without.post(t, f.URL+"/acme/without/new-authz", payload), http.StatusNotFound, acme.Malformed)
	wantProblem(t, f.do(t, get(f.URL+"/acme/without/new-authz")), http.StatusNotFound, acme.Malformed)    // and not 405
	wantProblem(t, without.post(t, with.url["newAuthz"], payload), http.StatusBadRequest, acme.Malformed) // its account is none there
}

// TestNoSubdomains: an authorization is for its very name. A client that asks for
// more, in the way of RFC 9444, gets one that does not say it covers what is below,
// and it does not (R9444-2).
func TestNoSubdomains(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{Directories: []acme.Directory{
		{Name: "default", Path: "/directory", Profiles: []acme.ProfileName{servertest.Profile().Name}, PreAuthorization: true},
	}})
	c := f.registered(t, "default")
	r := c.post(t, c.url["newAuthz"], `{"identifier":{"type":"dns","value":"a.localhost","subdomainAuthAllowed":true}}`)
	if r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if _, says := decode[map[string]any](t, r)["subdomainAuthAllowed"]; says {
		t.Errorf("the authorization says that it covers what is below: %s", r.body)
	}
	if r := c.post(t, challengeOf(t, r), "{}"); r.status != http.StatusOK {
		t.Fatalf("challenge: %d %s", r.status, r.body)
	}
	for _, name := range []string{"b.a.localhost", "localhost"} {
		if o := c.newOrder(t, name); o.Status != "pending" {
			t.Errorf("the order for %s is %s", name, o.Status)
		}
	}
	below := wantOrder(t, c.post(t, c.url["newOrder"], `{"identifiers":[{"type":"dns","value":"b.a.localhost","ancestorDomain":"a.localhost"}]}`), http.StatusCreated)
	authz := decode[struct{ Identifier struct{ Value string } }](t, c.post(t, below.Authorizations[0], ""))
	if below.Status != "pending" || authz.Identifier.Value != "b.a.localhost" {
		t.Errorf("the order is %s, and %s has to be proved", below.Status, authz.Identifier.Value)
	}
	if meta := decode[struct{ Meta map[string]any }](t, f.do(t, get(f.DirectoryURL("default")))).Meta; meta["subdomainAuthAllowed"] != nil {
		t.Errorf("meta is %v", meta)
	}
	if o := c.newOrder(t, "a.localhost"); o.Status != "ready" {
		t.Errorf("the order for the name itself is %s", o.Status)
	}
}
