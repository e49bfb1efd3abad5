package engine_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// TestProfileChangesMeanwhile: between finalize and the certificate, a new
// configuration changes what the profile promises. The order ends as it was
// finalized, and by no other version of its profile (SP-16): a CA that goes by
// the new one is found out.
func TestProfileChangesMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name string
		// bend is what the CA makes of the order after the change.
		bend func(*backends.Request, acme.Profile)
		want acme.OrderStatus
	}{
		{"the CA keeps to what it was asked for", func(*backends.Request, acme.Profile) {}, acme.OrderValid},
		{"the CA goes by the new usages", func(r *backends.Request, p acme.Profile) { r.Contract.Usages = p.Usages }, acme.OrderInvalid},
		{"the CA goes by the new subject", func(r *backends.Request, p acme.Profile) {
			r.Contract.Subject, r.Contract.CommonName = p.Subject, ""
		}, acme.OrderInvalid},
		{"the CA goes by the new validity", func(r *backends.Request, p acme.Profile) {
			r.Contract.NotAfter = r.At.Add(p.Validity)
		}, acme.OrderInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				w.fake.issueAfter = time.Hour
				before := w.profile
				r := w.start()
				a, o := r.finalized("a.example.org")
				time.Sleep(10 * time.Minute) // it is bought by now
				r.end()

				w.profile.Usages = []acme.Usage{acme.ClientAuth}
				w.profile.Subject = acme.SubjectEmpty
				w.profile.Validity = 10 * 24 * time.Hour
				w.fake.set(func(f *fakeCA) {
					f.mutate = func([][]byte) [][]byte {
						request := f.purchases[0]
						test.bend(&request, w.profile)
						chain, err := f.issuing.Issue(request)
						if err != nil {
							t.Error(err)
						}
						return chain
					}
				})
				r = w.start()
				defer r.end()
				time.Sleep(3 * time.Hour)
				o = r.wantStatus(a, o.ID, test.want)
				if test.want == acme.OrderInvalid {
					if x := r.explain(o.ID); len(x.Submission.Quarantine) == 0 || o.Certificate != "" {
						t.Errorf("what the CA made of it is not in quarantine: %+v", x.Submission)
					}
					return
				}
				c, _, err := r.Certificate(t.Context(), a.ID, o.Certificate)
				if err != nil {
					t.Fatal(err)
				}
				leaf, err := x509.ParseCertificate(c.Leaf)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || leaf.Subject.CommonName != "a.example.org" ||
					leaf.NotAfter.Sub(leaf.NotBefore) < before.Validity {
					t.Errorf("usages %v, subject %s, %s to %s: not what was finalized", leaf.ExtKeyUsage, leaf.Subject, leaf.NotBefore, leaf.NotAfter)
				}
			})
		})
	}
}

// TestProfileIsGone: an order whose profile is offered no longer cannot be
// finalized (RPROF-5), one that was finalized before is, and gets what it was
// promised (SP-16).
func TestProfileIsGone(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.issueAfter = time.Hour
		r := w.start()
		a, paid := r.finalized("paid.example.org")
		ready := r.ready(a, "ready.example.org")
		time.Sleep(10 * time.Minute)
		r.end()

		w.change = func(c *engine.Config) {
			other := c.Profiles["tls"]
			other.Name = "other"
			c.Profiles = map[acme.ProfileName]acme.Profile{"other": other}
			for i := range c.Directories {
				c.Directories[i].Profiles = []acme.ProfileName{"other"}
			}
		}
		r = w.start()
		defer r.end()
		_, _, err := r.Finalize(t.Context(), a, ready.ID, csrFor(t, newKey(t), "ready.example.org"))
		wantProblem(t, err, acme.InvalidProfile)
		if n := w.fake.bought(); n != 1 {
			t.Errorf("%d were bought", n)
		}
		time.Sleep(2 * time.Hour)
		if o := r.wantStatus(a, paid.ID, acme.OrderValid); o.Profile != "tls" {
			t.Errorf("the order is of profile %s", o.Profile)
		}
	})
}
