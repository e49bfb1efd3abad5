package sectigo

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// TestRenewOnce: of many calls whose token was not taken, the first renews it
// and the others use what it got.
func TestRenewOnce(t *testing.T) {
	t.Parallel()
	ca, err := sectigotest.New(sectigotest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c, err := New(Config{URL: url, Username: "bridge", Password: secret.New([]byte("bridge-password")), Now: ca.Now, Dial: new(net.Dialer).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	old, err := c.session.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ca.Advance(time.Second) // tokens of the same second are the same
	for range 5 {
		if got, err := c.session.renew(t.Context(), old.Access); err != nil || got.Access.Equal(old.Access) {
			t.Errorf("not renewed: %v", err)
		}
	}
	if ca.Count("refresh") != 1 || len(ca.Journal("login")) != 1 {
		t.Errorf("counts %v", ca.Counts())
	}
}

// TestPace: three at once, then one a minute, however long it has been quiet.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		for _, pause := range []time.Duration{0, 24 * time.Hour} {
			time.Sleep(pause)
			for i := range 3 {
				if wait := p.take(time.Now()); wait != 0 {
					t.Errorf("login %d has to wait %s", i, wait)
				}
			}
			if wait := p.take(time.Now()); wait != time.Minute {
				t.Errorf("the fourth has to wait %s", wait)
			}
			time.Sleep(20 * time.Second)
			if wait := p.take(time.Now()); wait != 40*time.Second {
				t.Errorf("the fourth has to wait %s more", wait)
			}
			time.Sleep(40 * time.Second)
			if wait := p.take(time.Now()); wait != 0 {
				t.Errorf("the fourth has to wait %s after a minute", wait)
			}
		}
	})
}
