package engine_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
)

// xroadRun has the profile of authentication certificates, and an account of a
// member.
func xroadRun(t *testing.T, change func(*world), test func(*run, acme.Account)) {
	w := newWorld(t)
	w.profile.XRoad = acme.XRoadRule{Usage: acme.XRoadAuth, Subject: acme.XRoadBasic}
	w.profile.Dates, w.profile.LenientReplaces = acme.DatesUpperBound, true
	change(w)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		k, _, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: "EX:COM:555"})
		if err != nil {
			t.Fatal(err)
		}
		request := accountRequest(t, "members", newKey(t).Public())
		request.Binding = &engine.Binding{KeyID: k.ID, Verify: func([]byte) *acme.Problem { return nil }}
		a, _, err := r.NewAccount(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		test(r, a)
		r.end()
	})
}

func authCSR(t *testing.T, host string) []byte {
	t.Helper()
	var subject pkix.Name
	for _, a := range []struct {
		arc   int
		value string
	}{{6, "EX"}, {10, "Member"}, {5, "555"}, {3, host}} {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, a.arc}, Value: a.value})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: []string{host}}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestXRoadWaits are the cases 20 and 21 by a clock of their own: finalize is
// answered within 10 seconds however slow the CA is, each look but the last has a
// pause of 5 to 60 seconds, or of what the profile says, and a CA that is done by
// the time that four pauses end is done by the fifth look, which is the last one.
func TestXRoadWaits(t *testing.T) {
	for _, tt := range []struct{ retryAfter, takes time.Duration }{
		{0, 15 * time.Second}, {5 * time.Second, 15 * time.Second}, {20 * time.Second, 70 * time.Second},
		{time.Minute, 3*time.Minute + 30*time.Second}, {5 * time.Minute, 18 * time.Minute}, {time.Hour, 3*time.Hour + 30*time.Minute},
	} {
		t.Run(fmt.Sprintf("%s for %s", tt.retryAfter, tt.takes), func(t *testing.T) {
			xroadRun(t, func(w *world) { w.profile.RetryAfter, w.fake.issueAfter = tt.retryAfter, tt.takes }, func(r *run, a acme.Account) {
				ctx := r.w.t.Context()
				o := r.ready(a, "ss1.example.org")
				begun := time.Now()
				o, pause, err := r.Finalize(ctx, a, o.ID, authCSR(r.w.t, "ss1.example.org"))
				if err != nil {
					r.w.t.Fatal(err)
				}
				if took := time.Since(begun); took >= 10*time.Second || o.Status != acme.OrderProcessing {
					r.w.t.Fatalf("finalize took %s, and the order is %s", took, o.Status)
				}
				fair := func(pause time.Duration) {
					r.w.t.Helper()
					if least, most := max(tt.retryAfter, 5*time.Second), max(tt.retryAfter, time.Minute); pause < least || pause > most {
						r.w.t.Errorf("a pause of %s, want %s to %s", pause, least, most)
					}
				}
				fair(pause)
				for look := 1; look <= 5; look++ {
					if o, pause, err = r.Order(ctx, a.ID, o.ID); err != nil {
						r.w.t.Fatal(err)
					}
					if o.Status == acme.OrderValid {
						if pause != 0 {
							r.w.t.Errorf("a pause of %s for an order that is valid", pause)
						}
						return
					}
					fair(pause)
					time.Sleep(pause)
				}
				r.w.t.Errorf("after five looks and %s the order is %s", time.Since(begun), o.Status)
			})
		})
	}
}

// TestXRoadChallengePause: a challenge that is being tried has a pause that no
// clock skew turns into the past, and no more than a minute of it (X-Road counts
// from Date).
func TestXRoadChallengePause(t *testing.T) {
	xroadRun(t, func(*world) {}, func(r *run, a acme.Account) {
		o := r.order(a, "down.example.org")
		ctx, id := r.w.t.Context(), o.Authorizations[0]
		_, pause, err := r.Respond(ctx, a, id, acme.HTTP01)
		for look := 0; err == nil && look < 40; look++ {
			if pause == 0 {
				break // it is over
			}
			if pause < 5*time.Second || pause > time.Minute {
				r.w.t.Fatalf("look %d: a pause of %s", look, pause)
			}
			time.Sleep(pause)
			_, pause, err = r.Authorization(ctx, a.ID, id)
		}
		authz, pause, err := r.Authorization(ctx, a.ID, id)
		if err != nil || authz.Status != acme.AuthorizationInvalid || pause != 0 {
			r.w.t.Errorf("the authorization is %s with a pause of %s, %v", authz.Status, pause, err)
		}
	})
}
