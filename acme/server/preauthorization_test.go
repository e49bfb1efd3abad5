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
	wantProblem(t, without.post(t, with.url["newAuthz"], payload), http.StatusBadRequest, acme.Malformed) // its account is none there
}
