package servertest_test

import (
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/xroad"
)

// TestXRoadInstances: a profile may be for the members of one instance. The
// subjects of BasicACME do not say of which they are, so the member of the
// external account key decides (SP-3).
func TestXRoadInstances(t *testing.T) {
	t.Parallel()
	i := newInstance(t, servertest.Options{})
	newAuth := func(host string) xroad.Key { return xroad.AuthKey(newSigner(t), basicAuth(host), host, host) }

	// With one key for everything, the profile of the member's own instance is
	// meant, though another one comes first.
	s := i.with(t, i.config("instances"), i.keyFor(t, "instances"))
	if got := profileOf(t, s, obtained(t, s, newAuth("home.localhost"))); got != "home-auth" {
		t.Errorf("the order has profile %s", got)
	}
	// Where there is none, nothing is issued.
	_, err := i.with(t, i.config("test"), i.keyFor(t, "test")).Order(t.Context(), newAuth("away.localhost"))
	wantRefusal(t, err, "order_finalization_failure", "unauthorized")
	if err == nil || !strings.Contains(err.Error(), `members of instance "EX-TEST"`) || !strings.Contains(err.Error(), "acme.yml") {
		t.Errorf("nobody learns what to change: %v", err)
	}
	// And nobody is given a key that is good for nothing.
	for profile, wrong := range map[acme.ProfileName]bool{"test-auth": true, "home-auth": false} {
		_, _, err := i.Engine.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "instances", Member: member, Profiles: []acme.ProfileName{profile}})
		if wrong != (err != nil && strings.Contains(err.Error(), "xroad.instance")) {
			t.Errorf("a key for %s: %v", profile, err)
		}
	}
}
