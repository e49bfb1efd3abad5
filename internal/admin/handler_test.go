package admin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/internal/admin"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// plain is a sealer that shows where a key went.
type plain struct{}

func (plain) Seal(b, _ []byte) ([]byte, error) { return append([]byte("sealed"), b...), nil }
func (plain) Open(b, _ []byte) ([]byte, error) { return b[len("sealed"):], nil }

// database backs up some text, and breaks when told to.
type database struct {
	content string
	err     error
}

func (d database) Backup(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, d.content)
	return errors.Join(err, d.err)
}
func (d database) Check(context.Context) error { return d.err }

// keys describes a CA by the roles of its keys.
type keys struct{ *localca.CA }

func (k keys) Keys() (all []admin.CAKey, err error) {
	status, err := k.Status()
	for _, s := range status {
		all = append(all, admin.CAKey{File: s.File, Role: s.Role})
	}
	return all, err
}

type fixture struct {
	handler http.Handler
	store   storage.Store
}

func newFixture(t *testing.T, d database, offline bool) fixture {
	t.Helper()
	ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: "local"})
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New()
	t.Cleanup(func() { _ = store.Close() })
	e, err := engine.New(engine.Config{
		Store: store, Sealer: plain{}, Holder: "test", Now: func() time.Time { return now },
		Backends:    map[string]backends.Backend{"local": ca.Backend()},
		Profiles:    map[acme.ProfileName]acme.Profile{"tls": {Name: "tls", Backend: "local"}},
		Directories: []acme.Directory{{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := admin.NewHandler(admin.Config{
		Operator: e.Operator(), Database: d, CAs: map[string]admin.CA{"local": keys{ca}}, Offline: offline,
		Now: func() time.Time { return now }, Info: admin.Info{Version: "test"},
		Warnings: func() []string { return []string{"beware"} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{h, store}
}

// Over a network and within the process a command sees the same.
func clients(t *testing.T, h http.Handler) map[string]*admin.Client {
	t.Helper()
	dir := t.TempDir()
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, h)
	c, err := admin.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*admin.Client{"socket": c, "in process": admin.InProcess(h)}
}

func TestExternalKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	for name, c := range clients(t, f.handler) {
		ctx := t.Context()
		expires := now.Add(time.Hour)
		k, err := admin.Post[admin.CreatedExternalKey](ctx, c, "/v1/external-keys", admin.NewExternalKey{
			Directory: "default", Member: "m-" + name, Profiles: []string{"tls"}, Identifiers: []string{".example.net"}, Uses: 2, Expires: &expires,
		})
		if err != nil {
			t.Fatal(name, err)
		}
		mac, err := base64.RawURLEncoding.DecodeString(k.HMACKey)
		if err != nil || len(mac) != 32 {
			t.Errorf("%s: MAC key %q", name, k.HMACKey)
		}
		got, err := admin.Get[admin.ExternalKey](ctx, c, "/v1/external-keys/"+k.ID)
		if err != nil || got.Member != "m-"+name || got.Status != "usable" || got.Uses != 2 || !slices.Equal(got.Profiles, []string{"tls"}) ||
			!slices.Equal(got.Identifiers, []string{".example.net"}) || !got.Expires.Equal(expires) || !got.CreatedAt.Equal(now) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got, err = admin.Post[admin.ExternalKey](ctx, c, "/v1/external-keys/"+k.ID+"/revoke", struct{}{}); err != nil || got.Status != "revoked" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		var failed *admin.Error
		if _, err := admin.Get[admin.ExternalKey](ctx, c, "/v1/external-keys/bogus"); !errors.As(err, &failed) || failed.Status != 404 {
			t.Errorf("%s: unknown: %v", name, err)
		}
		if _, err := admin.Post[admin.Done](ctx, c, "/v1/external-keys", admin.NewExternalKey{Directory: "bogus", Member: "m"}); !errors.As(err, &failed) || failed.Status != 409 || !strings.Contains(failed.Text, "bogus") {
			t.Errorf("%s: bad directory: %v", name, err)
		}
	}
}

// Lists come in pages, and nothing is left out between them.
func TestAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	want := 250
	err := f.store.Update(t.Context(), func(tx storage.Tx) error {
		for i := range want {
			id, err := acme.MintID[acme.AccountID](now.Add(time.Duration(i)*time.Second), strings.NewReader(strings.Repeat("x", 16)))
			if err != nil {
				return err
			}
			if err := tx.Accounts().Put(acme.Account{ID: id, Directory: "default", KeyHash: acme.KeyHash{byte(i), byte(i >> 8), 1}, Status: acme.AccountValid, CreatedAt: now}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range clients(t, f.handler) {
		seen := map[string]bool{}
		if err := admin.All(t.Context(), c, "/v1/accounts", nil, func(a admin.Account) error { seen[a.ID] = true; return nil }); err != nil || len(seen) != want {
			t.Errorf("%s: %d accounts, %v", name, len(seen), err)
		}
		var failed *admin.Error
		if _, err := admin.Get[admin.Page[admin.Account]](t.Context(), c, "/v1/accounts?limit=0"); !errors.As(err, &failed) || failed.Status != 400 {
			t.Errorf("%s: limit 0: %v", name, err)
		}
	}
}

// A stream that breaks off is not taken for a whole one.
func TestBackup(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("database ", 1<<17)
	for _, d := range []database{{content: big}, {content: big, err: errors.New("the disk\nwent away")}, {err: errors.New("nothing at all")}} {
		for name, c := range clients(t, newFixture(t, d, false).handler) {
			var got bytes.Buffer
			err := c.Stream(t.Context(), "/v1/database/backup", &got)
			if got.String() != d.content {
				t.Errorf("%s: %d bytes, want %d", name, got.Len(), len(d.content))
			}
			if (err == nil) != (d.err == nil) || err != nil && !strings.Contains(strings.ReplaceAll(d.err.Error(), "\n", " "), err.Error()) {
				t.Errorf("%s: %v, want %v", name, err, d.err)
			}
			if _, err := admin.Get[admin.Done](t.Context(), c, "/v1/database/check"); (err == nil) != (d.err == nil) {
				t.Errorf("%s: check: %v", name, err)
			}
		}
	}
	cut := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("half")) })
	if err := admin.InProcess(cut).Stream(t.Context(), "/", io.Discard); err == nil {
		t.Error("a stream without an end was taken for a whole one")
	}
}

// SA-3, SL-29: nothing but JSON, and not much of it.
func TestRequests(t *testing.T) {
	t.Parallel()
	h := newFixture(t, database{}, false).handler
	for _, tt := range []struct {
		name, method, path, contentType, body string
		status                                int
	}{
		{"form", "POST", "/v1/external-keys", "application/x-www-form-urlencoded", "directory=default", 415},
		{"no type", "POST", "/v1/external-keys", "", `{}`, 415},
		{"unknown member", "POST", "/v1/external-keys", "application/json", `{"directory":"default","member":"m","use":3}`, 400},
		{"not JSON", "POST", "/v1/orders/x/retry", "application/json", `resend`, 400},
		{"too long", "POST", "/v1/external-keys", "application/json", `{"member":"` + strings.Repeat("a", 300<<10) + `"}`, 400},
		{"no reason", "POST", "/v1/orders/x/abandon", "application/json", `{"reason":" "}`, 400},
		{"bad reason", "POST", "/v1/certificates/x/revoke", "application/json", `{"reason":8}`, 400},
		{"change by GET", "GET", "/v1/publish", "", "", 405},
		{"unknown", "GET", "/v1/bogus", "", "", 404},
		{"unknown CA", "POST", "/v1/cas/bogus/rotate", "application/json", `{}`, 409},
		{"bad serial", "GET", "/v1/certificates?serial=xyz", "", "", 400},
		{"bad duration", "GET", "/v1/certificates?expiring=soon", "", "", 400},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		if tt.contentType != "" {
			r.Header.Set("Content-Type", tt.contentType)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
	}
}

// Without anybody to carry it out, the answer says when it happens.
func TestOffline(t *testing.T) {
	t.Parallel()
	for _, offline := range []bool{false, true} {
		c := admin.InProcess(newFixture(t, database{}, offline).handler)
		done, err := admin.Post[admin.Done](t.Context(), c, "/v1/publish", struct{}{})
		if err != nil || (done.Note != "") != offline {
			t.Errorf("offline %v: %+v, %v", offline, done, err)
		}
		if s, err := admin.Get[admin.Status](t.Context(), c, "/v1/status"); err != nil || s.Offline != offline || s.Jobs != 1 || s.Version != "test" || len(s.Warnings) != 1 {
			t.Errorf("offline %v: %+v, %v", offline, s, err)
		}
		if done, err = admin.Post[admin.Done](t.Context(), c, "/v1/cas/local/rotate", struct{}{}); err != nil || (done.Note != "") != offline {
			t.Errorf("offline %v: %+v, %v", offline, done, err)
		}
		cas, err := admin.Get[admin.Page[admin.CAStatus]](t.Context(), c, "/v1/cas")
		if err != nil || len(cas.Items) != 1 || len(cas.Items[0].Keys) != 3 {
			t.Errorf("offline %v: %+v, %v", offline, cas, err)
		}
	}
}

// An export has every kind of record, and no secret of any of them (SK-9).
func TestExport(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, true)
	c := admin.InProcess(f.handler)
	secrets := []string{"SECRETTOKEN", "SECRETAUTHORIZATION", "SECRETBINDING", "sealed"}
	key, err := admin.Post[admin.CreatedExternalKey](t.Context(), c, "/v1/external-keys", admin.NewExternalKey{Directory: "default", Member: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, key.HMACKey)
	ids := map[string]string{}
	for i, kind := range []string{"account", "order", "authorization", "submission", "certificate"} {
		id, err := acme.MintID[string](now, strings.NewReader(strings.Repeat(string(rune('a'+i)), 16)))
		if err != nil {
			t.Fatal(err)
		}
		ids[kind] = id
	}
	names := []acme.Identifier{{Type: acme.DNSIdentifier, Value: "a.example.net"}}
	err = f.store.Update(t.Context(), func(tx storage.Tx) error {
		chain := acme.Chain{Hash: acme.ChainHash{7}, Certificates: [][]byte{[]byte("above")}}
		return errors.Join(
			tx.Accounts().Put(acme.Account{ID: acme.AccountID(ids["account"]), Directory: "default", Status: acme.AccountValid, KeyHash: acme.KeyHash{1}, Binding: []byte("SECRETBINDING"), CreatedAt: now}),
			tx.Orders().Put(acme.Order{
				ID: acme.OrderID(ids["order"]), Account: acme.AccountID(ids["account"]), Directory: "default", Status: acme.OrderProcessing, Identifiers: names,
				Authorizations: []acme.AuthorizationID{acme.AuthorizationID(ids["authorization"])}, Submission: acme.SubmissionID(ids["submission"]),
				Certificate: acme.CertificateID(ids["certificate"]), CreatedAt: now, Expires: now.Add(time.Hour),
			}),
			tx.Authorizations().Put(acme.Authorization{
				ID: acme.AuthorizationID(ids["authorization"]), Identifier: names[0], Status: acme.AuthorizationPending, Expires: now.Add(time.Hour),
				Challenges: []acme.Challenge{{Type: acme.HTTP01, Token: "SECRETTOKEN", KeyAuthorization: "SECRETAUTHORIZATION"}},
			}),
			tx.Submissions().Put(storage.Submission{ID: acme.SubmissionID(ids["submission"]), Key: "ourkey", Order: acme.OrderID(ids["order"]), Backend: "local", Ticket: "its-ticket"}),
			tx.Certificates().PutChain(chain),
			tx.Certificates().Put(acme.Certificate{ID: acme.CertificateID(ids["certificate"]), Leaf: []byte("leaf"), Chain: chain.Hash, Serial: []byte{1, 2}, AuthorityKeyID: []byte{3}, Identifiers: names, NotAfter: now, IssuedAt: now}),
			tx.Jobs().Put(storage.Job{ID: storage.JobID("order/" + ids["order"]), Kind: storage.JobPoll, Due: now, Subject: ids["order"], Parked: "for a test"}),
			tx.Publications().Put(storage.Publication{Name: "crl/local.crl", Backend: "local", Body: []byte("list"), At: now, Next: now}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Stream(t.Context(), "/v1/export", &out); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]map[string]any{}
	for line := range strings.Lines(out.String()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		kinds[o["kind"].(string)] = o
	}
	for kind, id := range ids {
		if kinds[kind]["id"] != id {
			t.Errorf("%s: %v", kind, kinds[kind])
		}
	}
	if kinds["key"]["id"] != key.ID || kinds["job"]["parked"] != "for a test" || kinds["publication"]["name"] != "crl/local.crl" ||
		kinds["submission"]["ticket"] != "its-ticket" || kinds["certificate"]["serial"] != "0102" {
		t.Errorf("%v", kinds)
	}
	for _, s := range secrets {
		if strings.Contains(out.String(), s) {
			t.Errorf("the export has %s", s)
		}
	}
}

func TestParseSerial(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]byte{
		"5A:00:12": {0x5a, 0, 0x12}, "5a0012": {0x5a, 0, 0x12}, "fe": {0, 0xfe}, "0xfe": {0, 0xfe}, "0X5a0012": {0x5a, 0, 0x12}, "00fe": {0, 0xfe}, "0:fe": {0, 0xfe}, "1": {1}, "0001": {1},
		"": nil, "0x": nil, "0x0xfe": nil, "xyz": nil, "1 2": nil, strings.Repeat("11", 30): nil,
	} {
		got, err := admin.ParseSerial(text)
		if !bytes.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
}

// TestExportAuthorizations: an authorization that serves several orders is
// exported once, and one that was asked for ahead of any is not forgotten.
func TestExportAuthorizations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, true)
	authz := func(id acme.AuthorizationID, order acme.OrderID, sharing ...acme.OrderID) acme.Authorization {
		return acme.Authorization{ID: id, Account: "a", Order: order, Sharing: sharing, Status: acme.AuthorizationValid, Expires: now.Add(time.Hour)}
	}
	order := func(id acme.OrderID, authzs ...acme.AuthorizationID) acme.Order {
		return acme.Order{ID: id, Account: "a", Status: acme.OrderReady, Authorizations: authzs, CreatedAt: now, Expires: now.Add(time.Hour)}
	}
	err := f.store.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(
			tx.Orders().Put(order("o1", "z1")), tx.Orders().Put(order("o2", "z1", "z2")), tx.Orders().Put(order("o3", "z3")),
			tx.Authorizations().Put(authz("z1", "o1", "o2")), tx.Authorizations().Put(authz("z2", "o2")),
			tx.Authorizations().Put(authz("z3", "", "o3")), tx.Authorizations().Put(authz("z4", "")),
			tx.Jobs().Put(storage.Job{ID: "authz/z4", Kind: storage.JobValidate, Due: now, Subject: "z4"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := admin.InProcess(f.handler).Stream(t.Context(), "/v1/export", &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var o struct{ Kind, ID, Order string }
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if o.Kind == "authorization" || o.Kind == "job" {
			got = append(got, o.Kind+" "+o.ID+" of "+o.Order)
		}
	}
	slices.Sort(got)
	want := []string{"authorization z1 of o1", "authorization z2 of o2", "authorization z3 of ", "authorization z4 of ", "job authz/z4 of "}
	if !slices.Equal(got, want) {
		t.Errorf("exported\n%q, want\n%q", got, want)
	}
}

// TestQuarantine: what a CA issued otherwise than ordered stays valid there, so who
// operates the server has to see it: also what was issued again meanwhile (SC-8).
func TestQuarantine(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	err := f.store.Update(t.Context(), func(tx storage.Tx) error {
		sub := storage.Submission{ID: "s", Order: "o", Account: "a", Backend: "local", Quarantine: [][]byte{{2}}, Reissue: &storage.Reissue{Wrong: [][]byte{{1}}}}
		return errors.Join(tx.Submissions().Put(sub), tx.Orders().Put(acme.Order{ID: "o", Account: "a", Directory: "default", Status: acme.OrderInvalid, Submission: "s"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range clients(t, f.handler) {
		x, err := admin.Get[admin.Explanation](t.Context(), c, "/v1/orders/o")
		if err != nil || x.Submission == nil {
			t.Fatalf("%s: %+v, %v", name, x, err)
		}
		first, rest := pem.Decode([]byte(x.Submission.Quarantine))
		second, _ := pem.Decode(rest)
		if x.Submission.Quarantined != 2 || first == nil || second == nil || !slices.Equal(first.Bytes, []byte{1}) || !slices.Equal(second.Bytes, []byte{2}) {
			t.Errorf("%s: %+v", name, x.Submission)
		}
	}
}
