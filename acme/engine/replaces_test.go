package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

func certIDOf(c acme.Certificate) string { return acme.CertID(c.AuthorityKeyID, c.Serial) }

// withProfiles gives the directories two further profiles, the second lenient.
func withProfiles(c *engine.Config) {
	second, lenient := c.Profiles["tls"], c.Profiles["tls"]
	second.Name, lenient.Name, lenient.LenientReplaces = "second", "lenient", true
	c.Profiles["second"], c.Profiles["lenient"] = second, lenient
	for i := range c.Directories {
		c.Directories[i].Profiles = []acme.ProfileName{"tls", "second", "lenient"}
	}
}

// TestReplaces: an order shows what it replaces, nobody else may then, and when
// it fails somebody may again (R9773-5-3, R9773-5-4, R9773-5-5).
func TestReplaces(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		cert := r.issue(a, csrFor(t, newKey(t), "a.net"), "a.net")
		request := engine.OrderRequest{Identifiers: dns("a.net"), Replaces: certIDOf(cert)}
		first, err := r.NewOrder(t.Context(), a, request)
		if err != nil || first.Replaces != request.Replaces {
			t.Fatalf("%+v, %v", first, err)
		}
		_, err = r.NewOrder(t.Context(), a, request)
		wantProblem(t, err, acme.AlreadyReplaced)
		if _, err := r.DeactivateAuthorization(t.Context(), a.ID, first.Authorizations[0]); err != nil {
			t.Fatal(err)
		}
		if o := r.wantStatus(a, first.ID, acme.OrderInvalid); o.Replaces != request.Replaces {
			t.Errorf("the order shows %q later", o.Replaces)
		}
		second, err := r.NewOrder(t.Context(), a, request)
		if err != nil {
			t.Fatalf("after the first has failed: %v", err)
		}
		if o := r.wantStatus(a, second.ID, acme.OrderPending); o.Replaces != request.Replaces {
			t.Errorf("the order shows %q later", o.Replaces)
		}
	})
}

// TestReplacesNamesTheProfile: a renewal that names no profile gets that of
// what it replaces, where that is the account's or its member's and the
// directory still has it (R9773-P-1).
func TestReplacesNamesTheProfile(t *testing.T) {
	w := newWorld(t)
	w.change = withProfiles
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.memberAccount("m1")
		issue := func(p acme.ProfileName, name string) acme.Certificate {
			t.Helper()
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(name), Profile: p})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Respond(t.Context(), a, o.Authorizations[0], acme.HTTP01); err != nil {
				t.Fatal(err)
			}
			if o, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), name)); err != nil {
				t.Fatal(err)
			}
			c, _, err := r.Certificate(t.Context(), a.ID, o.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		cert, lenient := issue("second", "a.net"), issue("lenient", "b.net")
		profile := func(owner acme.Account, request engine.OrderRequest) acme.ProfileName {
			t.Helper()
			o, err := r.NewOrder(t.Context(), owner, request)
			if err != nil {
				t.Fatal(err)
			}
			return o.Profile
		}
		if p := profile(a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: certIDOf(cert)}); p != "second" {
			t.Errorf("a renewal without profile gets %q", p)
		}
		if p := profile(a, engine.OrderRequest{Identifiers: dns("a.net")}); p != "tls" {
			t.Errorf("an order without profile gets %q", p)
		}
		if p := profile(a, engine.OrderRequest{Identifiers: dns("b.net"), Profile: "second", Replaces: certIDOf(lenient)}); p != "second" {
			t.Errorf("a renewal with profile gets %q", p)
		}
		// X-Road makes a new account when its key has run out.
		other := r.memberAccount("m1")
		if p := profile(other, engine.OrderRequest{Identifiers: dns("b.net"), Replaces: certIDOf(lenient)}); p != "lenient" {
			t.Errorf("another account of the member gets %q", p)
		}
		stranger := r.account()
		_, err := r.NewOrder(t.Context(), stranger, engine.OrderRequest{Identifiers: dns("b.net"), Replaces: certIDOf(lenient)})
		wantProblem(t, err, acme.Unauthorized) // judged by the strict profile that strangers get
		for _, replaces := range []string{"nonsense", "AAAA.AQ"} {
			if _, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("b.net"), Replaces: replaces}); err == nil {
				t.Errorf("replaces %q passed", replaces)
			}
		}

		// The directory has given the profile up.
		r.end()
		w.change = func(c *engine.Config) {
			withProfiles(c)
			for i := range c.Directories {
				c.Directories[i].Profiles = []acme.ProfileName{"lenient"}
			}
		}
		r = w.start()
		defer r.end()
		if p := profile(a, engine.OrderRequest{Identifiers: dns("a.net"), Replaces: certIDOf(cert)}); p != "lenient" {
			t.Errorf("a renewal under a profile that is gone gets %q", p)
		}
	})
}

// TestLenientReplaces: X-Road has no way to go on without replaces, so where a
// profile says so it is a hint (R9773-5-2, R9773-5-3).
func TestLenientReplaces(t *testing.T) {
	w := newWorld(t)
	w.change = withProfiles
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, other := r.account(), r.account()
		cert, foreign := r.issue(a, csrFor(t, newKey(t), "a.net"), "a.net"), r.issue(other, csrFor(t, newKey(t), "a.net"), "a.net")
		for _, tt := range []struct{ what, replaces, name, want string }{
			{"as it should be", certIDOf(cert), "a.net", certIDOf(cert)},
			{"replaced already", certIDOf(cert), "a.net", ""},
			{"of another account", certIDOf(foreign), "a.net", ""},
			{"for other names", certIDOf(cert), "b.net", ""},
			{"unknown", "AAAA.AQ", "a.net", ""},
			{"no certificate id", "nonsense", "a.net", ""},
		} {
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(tt.name), Profile: "lenient", Replaces: tt.replaces})
			if err != nil || o.Replaces != tt.want {
				t.Errorf("%s: replaces %q, %v", tt.what, o.Replaces, err)
				continue
			}
			noted := strings.Contains(strings.Join(historyOf(o), "\n"), "replaces was ignored")
			if noted != (tt.want == "") {
				t.Errorf("%s: the operator reads %q", tt.what, historyOf(o))
			}
		}
	})
}

func historyOf(o acme.Order) (all []string) {
	for _, h := range o.History {
		all = append(all, h.What)
	}
	return all
}

// TestReplacesIsToldToTheCA: a CA hears what an order replaces, where it has issued
// that itself, and of no other CA's certificates.
func TestReplacesIsToldToTheCA(t *testing.T) {
	w := newWorld(t)
	w.backend = w.fake
	w.change = func(c *engine.Config) {
		second := c.Profiles["tls"]
		second.Name, second.Backend = "second", "other"
		c.Profiles["second"], c.Backends["other"] = second, w.ca
		for i := range c.Directories {
			c.Directories[i].Profiles = []acme.ProfileName{"tls", "second"}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		issue := func(request engine.OrderRequest) acme.Certificate {
			t.Helper()
			request.Identifiers = dns("a.net")
			o, err := r.NewOrder(t.Context(), a, request)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range o.Authorizations {
				if _, _, err := r.Respond(t.Context(), a, id, acme.HTTP01); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.net")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			c, _, err := r.Certificate(t.Context(), a.ID, r.wantStatus(a, o.ID, acme.OrderValid).Certificate)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := issue(engine.OrderRequest{})
		foreign := issue(engine.OrderRequest{Profile: "second"})
		issue(engine.OrderRequest{Profile: "tls", Replaces: certIDOf(first)})
		issue(engine.OrderRequest{Profile: "tls", Replaces: certIDOf(foreign)})
		var told []string
		w.fake.set(func(f *fakeCA) {
			for _, p := range f.purchases {
				told = append(told, p.Replaces)
			}
		})
		if want := []string{"", certIDOf(first), ""}; !slices.Equal(told, want) {
			t.Errorf("the CA was told %q, want %q", told, want)
		}
	})
}
