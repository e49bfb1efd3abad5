package admin_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// TestRenewals lists what is due through small pages and moves windows, over
// the socket and within the process (R9773-4.2-1).
func TestRenewals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	const day = 24 * time.Hour
	err := f.store.Update(t.Context(), func(tx storage.Tx) error {
		if err := tx.Certificates().PutChain(acme.Chain{Certificates: [][]byte{{1}}}); err != nil {
			return err
		}
		for n := range 5 {
			begin := now.Add(-time.Duration(65-10*n) * day)
			if err := tx.Certificates().Put(acme.Certificate{
				ID: acme.CertificateID(fmt.Sprintf("c%d", n)), Member: acme.MemberID(fmt.Sprintf("m%d", n%2)), Profile: "tls", Backend: "local",
				Serial: []byte{1, byte(n)}, AuthorityKeyID: []byte{2}, NotBefore: begin, IssuedAt: begin, NotAfter: begin.Add(90 * day),
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range clients(t, f.handler) {
		ctx := t.Context()
		list := func(query url.Values) (ids string) {
			t.Helper()
			query.Set("limit", "1")
			err := admin.All(ctx, c, "/v1/renewals", query, func(r admin.Renewal) error {
				if r.WindowStart == nil || r.WindowEnd == nil || r.CertID == "" || r.AskAgain != 6*60*60 {
					t.Errorf("%s: %+v", name, r)
				}
				ids += r.Certificate.ID + " " + r.DecidedBy + "; "
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return ids
		}
		in := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
		for want, query := range map[string]url.Values{
			"c0 usual; ":                     {},
			"c0 usual; c1 usual; ":           {"due_before": {in(5 * day)}},
			"c0 usual; c2 usual; ":           {"due_before": {in(15 * day)}, "member": {"m0"}},
			"c1 usual; ":                     {"due_before": {in(15 * day)}, "member": {"m1"}, "profile": {"tls"}, "backend": {"local"}},
			"":                               {"due_before": {in(15 * day)}, "profile": {"other"}},
			"c0 usual; c1 usual; c2 usual; ": {"due_before": {in(15 * day)}, "backend": {"local"}},
		} {
			if got := list(query); got != want {
				t.Errorf("%s, %v: %q, want %q", name, query, got, want)
			}
		}

		start, end := now.Add(-time.Hour), now.Add(time.Hour)
		done, err := admin.Post[admin.MovedRenewal](ctx, c, "/v1/renewals", admin.MoveRenewal{Member: "m1", WindowStart: &start, WindowEnd: &end, Reason: "audit", ExplanationURL: "https://a.example/"})
		if err != nil || !done.Changed || done.Certificates != 2 || !done.WindowStart.Equal(start) || !done.WindowEnd.Equal(end) || done.IssuedBefore == nil {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
		if got, want := list(url.Values{}), "c0 usual; c1 operator; c3 operator; "; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		r, err := admin.Get[admin.Renewal](ctx, c, "/v1/renewals/c3")
		if err != nil || r.DecidedBy != "operator" || r.Reason != "audit" || r.ExplanationURL != "https://a.example/" || !r.WindowEnd.Equal(end) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		decisions, err := admin.Get[admin.Page[admin.RenewalDecision]](ctx, c, "/v1/renewal-decisions")
		if err != nil || len(decisions.Items) != 1 || decisions.Items[0].Member != "m1" || decisions.Items[0].Reason != "audit" || !decisions.Items[0].IssuedBefore.Equal(now) {
			t.Errorf("%s: %+v, %v", name, decisions, err)
		}
		var export bytes.Buffer
		if err := c.Stream(ctx, "/v1/export", &export); err != nil || !strings.Contains(export.String(), `{"kind":"renewal-decision","member":"m1",`) {
			t.Errorf("%s: the export has %q, %v", name, &export, err)
		}
		done, err = admin.Post[admin.MovedRenewal](ctx, c, "/v1/renewals", admin.MoveRenewal{Member: "m1", Usual: true})
		if err != nil || !done.Changed || done.WindowStart != nil {
			t.Errorf("%s: %+v, %v", name, done, err)
		}

		var failed *admin.Error
		for path, status := range map[string]int{"/v1/renewals?due_before=soon": 400, "/v1/renewals?limit=0": 400, "/v1/renewals/c9": 404} {
			if _, err := admin.Get[admin.Renewal](ctx, c, path); !errors.As(err, &failed) || failed.Status != status {
				t.Errorf("%s, %s: %v, want %d", name, path, err, status)
			}
		}
		for status, m := range map[int]admin.MoveRenewal{404: {Member: "m9", AtOnce: true}, 409: {Profile: "tls"}} {
			if _, err := admin.Post[admin.MovedRenewal](ctx, c, "/v1/renewals", m); !errors.As(err, &failed) || failed.Status != status {
				t.Errorf("%s, %+v: %v, want %d", name, m, err, status)
			}
		}
	}
}
