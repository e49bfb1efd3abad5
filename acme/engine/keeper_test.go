package engine_test

import (
	"encoding/pem"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/localca"
)

// keeper is a CA whose lists were signed elsewhere before, and are bundled with
// that of a root, which is signed elsewhere still.
type keeper struct {
	*localca.CA
	forget bool
}

func (k keeper) CRLRule(string) (backends.CRLRule, error) {
	return backends.CRLRule{After: 40, Forget: k.forget}, nil
}

func (k keeper) CRLBundles() []backends.CRLBundle {
	return []backends.CRLBundle{{Name: "crl/all.pem", Lists: []string{"crl/root.crl", k.CRLNames()[0], "crl/there-is-none.crl"}}}
}

var rootListAt = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (k keeper) Publications() []backends.Publication {
	return append(k.CA.Publications(), backends.Publication{
		Name: "crl/root.crl", DER: []byte("list of the root"), ContentType: "application/pkix-crl", At: rootListAt, Next: rootListAt.AddDate(1, 0, 0),
	})
}

// TestKeeper: numbers go on above those of lists that were signed elsewhere, an
// entry leaves after one list past the end of its certificate where that is the
// rule, and a bundle has what there is.
func TestKeeper(t *testing.T) {
	for _, forget := range []bool{true, false} {
		w := newWorld(t)
		ca := keeper{w.ca, forget}
		w.backend = ca
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			defer r.end()
			a := r.account()
			c := r.issue(a, csrFor(t, newKey(t), "a.example.org"), "a.example.org")
			if err := r.Revoke(t.Context(), engine.Revocation{Directory: "default", Certificate: c.Leaf, Owner: a.ID, Reason: acme.Superseded}); err != nil {
				t.Fatal(err)
			}
			list := r.crl(ca)
			if list.Number.Int64() < 42 || len(list.RevokedCertificateEntries) != 1 {
				t.Errorf("number %v with %d entries", list.Number, len(list.RevokedCertificateEntries))
			}
			p, ok, err := r.Publication(t.Context(), "crl/all.pem")
			if err != nil || !ok || p.Next.IsZero() || !p.Next.Before(rootListAt.AddDate(1, 0, 0)) || p.At.Before(list.ThisUpdate) {
				t.Fatalf("%v, %v: %+v", ok, err, p)
			}
			first, rest := pem.Decode(p.Body)
			second, rest := pem.Decode(rest)
			if first == nil || string(first.Bytes) != "list of the root" || first.Type != "X509 CRL" || second == nil || string(second.Bytes) != string(list.Raw) || len(rest) > 0 {
				t.Errorf("the bundle is %s", p.Body)
			}
			// The end of the certificate, then a list with it and one without.
			time.Sleep(time.Until(c.NotAfter.Add(time.Minute)))
			if n := len(r.crl(ca).RevokedCertificateEntries); n != 1 {
				t.Errorf("%d entries before the first list past the end", n)
			}
			time.Sleep(49 * time.Hour)
			want := 1
			if forget {
				want = 0
			}
			if n := len(r.crl(ca).RevokedCertificateEntries); n != want {
				t.Errorf("forget %v: %d entries two lists later, want %d", forget, n, want)
			}
		})
	}
}
