package sectigo_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/pkcs12"

	"acmebridge/acme"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// calls are one call of every endpoint that only looks, and a word on what it
// should find. The world has one finished batch.
var calls = []struct {
	endpoint string
	call     func(context.Context, *sectigo.Client, sectigo.Batch) (any, error)
	want     func(any) bool
}{
	{"batches", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Batches(ctx) }, func(v any) bool {
		l := v.(sectigo.BatchList)
		return l.Complete && len(l.Batches) == 1 && l.Batches[0].Name == "acme-1"
	}},
	{"batch", func(ctx context.Context, c *sectigo.Client, b sectigo.Batch) (any, error) { return c.Batch(ctx, b.ID) }, func(v any) bool {
		b := v.(sectigo.Batch)
		return b.Canonical() == sectigo.StatusReady && b.Size == 1 && b.Profile == "CipherTrace EE_#17" && b.Created.Equal(begin) && b.UserID == 10 && b.Order > 0
	}},
	{"status", func(ctx context.Context, c *sectigo.Client, b sectigo.Batch) (any, error) {
		return c.BatchStatus(ctx, b.ID)
	}, func(v any) bool { return v == "Ready for download" }},
	{"processing", func(ctx context.Context, c *sectigo.Client, b sectigo.Batch) (any, error) {
		return c.Processing(ctx, b.ID)
	}, func(v any) bool { return v == sectigo.Processing{Success: 1} }},
	{"audit", func(ctx context.Context, c *sectigo.Client, b sectigo.Batch) (any, error) { return c.Audit(ctx, b.ID) }, func(v any) bool {
		return strings.Contains(string(v.(sectigo.Any)), "READY_FOR_DOWNLOAD")
	}},
	{"licenses", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Licenses(ctx) }, func(v any) bool {
		return v == sectigo.Licenses{Ordered: 1, Issued: 1}
	}},
	{"authorities", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Authorities(ctx) }, func(v any) bool {
		l := v.([]sectigo.Authority)
		return len(l) == 2 && l[0].ID == authority && l[0].ProfileID == profile && l[0].Enabled && l[0].EcosystemName == "TRISA"
	}},
	{"balance", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) {
		return c.Balance(ctx, authority)
	}, func(v any) bool { return v == int64(999) }},
	{"profiles", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Profiles(ctx) }, func(v any) bool {
		l := v.([]sectigo.Profile)
		return len(l) == 2 && l[0].ID == profile && len(l[0].Algorithms) == 2
	}},
	{"profile", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Profile(ctx, 489) }, func(v any) bool {
		return v.(sectigo.ProfileDetail).ProfileName == "CipherTrace End Entity Certificate_#85"
	}},
	{"params", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) {
		return c.ProfileParams(ctx, 489)
	}, func(v any) bool {
		l := v.([]sectigo.ProfileParam)
		return len(l) == 7 && l[6].Name == "countryName" && l[6].Required && l[6].ValidationPattern == "^[A-Z]{2}$"
	}},
	{"organization", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) { return c.Organization(ctx) }, func(v any) bool {
		o := v.(sectigo.Organization)
		return o.ID == 7 && len(o.Authorities) == 2 && o.Parameters["region"] == "EU" && o.Status == "ACTIVE"
	}},
	{"find", func(ctx context.Context, c *sectigo.Client, _ sectigo.Batch) (any, error) {
		return c.Find(ctx, sectigo.Query{CommonName: "a.example.org"})
	}, func(v any) bool {
		f := v.(sectigo.Found)
		return f.Total == 1 && len(f.Items) == 1 && f.Items[0].CommonName == "a.example.org" && f.Items[0].Status == "VALID"
	}},
	{"download", func(ctx context.Context, c *sectigo.Client, b sectigo.Batch) (any, error) {
		return c.Download(ctx, b.ID)
	}, func(v any) bool {
		d := v.(sectigo.Download)
		return strings.HasSuffix(d.Name, ".zip") && bytes.HasPrefix(d.Content, []byte("PK"))
	}},
}

// TestEveryEndpoint looks through every endpoint, in the shapes that answers
// have been seen in or might have (F-9).
func TestEveryEndpoint(t *testing.T) {
	t.Parallel()
	for _, shape := range []string{"", "string-numbers", "text-plain", "json-charset"} {
		t.Run("shape "+shape, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			b := w.uploads(t, "acme-1", newOrder(t, "a.example.org"))
			for _, c := range calls {
				if shape != "" && c.endpoint != "download" {
					w.breaks(t, sectigotest.Fault{Endpoint: c.endpoint, Kind: shape})
				}
				got, err := c.call(t.Context(), w.client, b)
				if err != nil {
					t.Errorf("%s: %v", c.endpoint, err)
				} else if !c.want(got) {
					t.Errorf("%s: got %+v", c.endpoint, got)
				}
				if w.ca.Count(c.endpoint) == 0 {
					t.Errorf("%s: no request came", c.endpoint)
				}
			}
		})
	}
}

// TestEveryEndpointFails meets each endpoint with each way of going wrong: an
// error that says what was tried, soon, and never something made up.
func TestEveryEndpointFails(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		fault sectigotest.Fault
		is    error
	}{
		"forbidden":     {sectigotest.Fault{Kind: "status", Status: 403}, sectigo.ErrForbidden},
		"not found":     {sectigotest.Fault{Kind: "status", Status: 404}, sectigo.ErrNotFound},
		"bad":           {sectigotest.Fault{Kind: "status", Status: 400, Message: "no good"}, sectigo.ErrBadRequest},
		"conflict":      {sectigotest.Fault{Kind: "status", Status: 409}, nil},
		"throttled":     {sectigotest.Fault{Kind: "status", Status: 429, RetryAfter: "120"}, sectigo.ErrThrottled},
		"unavailable":   {sectigotest.Fault{Kind: "status", Status: 503}, sectigo.ErrThrottled},
		"broken":        {sectigotest.Fault{Kind: "status", Status: 500}, nil},
		"bad gateway":   {sectigotest.Fault{Kind: "status", Status: 502}, nil},
		"reset":         {sectigotest.Fault{Kind: "reset-before"}, nil},
		"lost":          {sectigotest.Fault{Kind: "reset-after"}, nil},
		"half":          {sectigotest.Fault{Kind: "half-body"}, nil},
		"redirect":      {sectigotest.Fault{Kind: "redirect"}, nil},
		"html":          {sectigotest.Fault{Kind: "html"}, sectigo.ErrUndecodable},
		"empty":         {sectigotest.Fault{Kind: "empty"}, sectigo.ErrUndecodable},
		"cut short":     {sectigotest.Fault{Kind: "invalid-json"}, sectigo.ErrUndecodable},
		"json error":    {sectigotest.Fault{Kind: "json-error"}, sectigo.ErrUndecodable},
		"too much":      {sectigotest.Fault{Kind: "huge"}, sectigo.ErrUndecodable},
		"slow headers":  {sectigotest.Fault{Kind: "slow-headers", Delay: sectigotest.Duration(time.Hour)}, context.DeadlineExceeded},
		"slow body":     {sectigotest.Fault{Kind: "slow-body", Delay: sectigotest.Duration(time.Hour)}, context.DeadlineExceeded},
		"not logged in": {sectigotest.Fault{Kind: "status", Status: 401}, sectigo.ErrNotAuthenticated},
	}
	// What a sentence, a file, a bare number and a log of any shape cannot be told by.
	fine := map[string]bool{
		"status empty": true, "status cut short": true, "status json error": true, "audit json error": true, "download cut short": true, "balance cut short": true,
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			b := w.uploads(t, "acme-1", newOrder(t, "a.example.org"))
			impatient := w.connect(t, func(c *sectigo.Config) {
				if strings.HasPrefix(name, "slow") {
					c.CallTimeout, c.TransferTimeout = 100*time.Millisecond, 100*time.Millisecond
				}
			})
			if strings.HasPrefix(name, "slow") {
				// The login has to be quick enough once; keep trying on a busy
				// machine.
				for _, err := impatient.Login(t.Context()); err != nil; _, err = impatient.Login(t.Context()) {
					if err := impatient.ResetLogin(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, c := range calls {
				if fine[c.endpoint+" "+name] {
					continue
				}
				w.ca.Mend()
				fault := f.fault
				fault.Endpoint = c.endpoint
				w.breaks(t, fault)
				got, err := c.call(t.Context(), impatient, b)
				switch {
				case err == nil:
					t.Errorf("%s: no error and %+v", c.endpoint, got)
				case f.is != nil && !errors.Is(err, f.is):
					t.Errorf("%s: %v, want %v", c.endpoint, err, f.is)
				case strings.Contains(err.Error(), password), strings.Contains(err.Error(), "<script>"):
					t.Errorf("%s: the error has something in it that it must not have: %v", c.endpoint, err)
				}
				var e *sectigo.Error
				if !errors.As(err, &e) || e.Op == "" {
					t.Errorf("%s: %v does not say what was tried", c.endpoint, err)
				} else if name == "throttled" && e.RetryAfter != 2*time.Minute {
					t.Errorf("%s: a pause of %s, want 2m", c.endpoint, e.RetryAfter)
				}
				w.ca.Advance(2 * time.Minute) // which a CA may ask for
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	o := newOrder(t, "a.example.org")
	b := w.uploads(t, "acme-1", o)
	chain, err := w.archive(t, b).Match(o.key, o.names, false)
	if err != nil {
		t.Fatal(err)
	}
	serial := chain[0].SerialNumber
	if err := w.client.Revoke(t.Context(), 489, serial, acme.Superseded); !errors.Is(err, sectigo.ErrNotFound) {
		t.Errorf("under another profile: %v", err)
	}
	if err := w.client.Revoke(t.Context(), profile, serial, 7); sectigo.OutcomeOf(err) != sectigo.NotSent || err == nil {
		t.Errorf("for reason 7: %v", err)
	}
	if err := w.client.Revoke(t.Context(), profile, serial, acme.KeyCompromise); err != nil {
		t.Error(err)
	}
	if err := w.client.Revoke(t.Context(), profile, serial, acme.KeyCompromise); !errors.Is(err, sectigo.ErrBadRequest) {
		t.Errorf("twice: %v", err)
	}
	found, err := w.client.Find(t.Context(), sectigo.Query{SerialNumber: sectigo.FormatSerial(serial)})
	if err != nil || len(found.Items) != 1 || found.Items[0].Status != "REVOKED" || !sectigo.SameSerial(found.Items[0].SerialNumber, serial) {
		t.Errorf("found %+v, %v", found, err)
	}
	if got := w.ca.Journal("revocation"); len(got) != 1 || got[0].Reason != "1" {
		t.Errorf("the stand-in revoked %+v", got)
	}
	if err := w.ca.EditProfile(profile, func(p *sectigotest.Profile) { p.ReadOnly = true }); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Revoke(t.Context(), profile, serial, acme.KeyCompromise); !errors.Is(err, sectigo.ErrForbidden) {
		t.Errorf("without the right: %v", err)
	}
}

// TestRevokeLeadingZero: the CA's programs disagree on leading zeros, so both
// spellings are tried.
func TestRevokeLeadingZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	err := w.client.Revoke(t.Context(), profile, big.NewInt(0x0ABC), acme.Unspecified)
	if !errors.Is(err, sectigo.ErrNotFound) || w.ca.Count("revoke") != 2 {
		t.Errorf("%v after %d requests, want 2", err, w.ca.Count("revoke"))
	}
	if err := w.client.Revoke(t.Context(), profile, big.NewInt(0xABCD), acme.Unspecified); !errors.Is(err, sectigo.ErrNotFound) || w.ca.Count("revoke") != 3 {
		t.Errorf("%v after %d requests, want 3", err, w.ca.Count("revoke"))
	}
}

// TestCreateSingle buys a key together with its certificate, and opens the old
// kind of file that it comes in.
func TestCreateSingle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	params := map[string]string{"commonName": "a.example.org", "dNSName": "a.example.org\nb.example.org", "pkcs12Password": "correct horse"}
	b, err := w.client.CreateSingle(t.Context(), sectigo.CreateSingle{AuthorityID: authority, BatchName: "one", Params: params})
	if err != nil {
		t.Fatal(err)
	}
	a := w.archive(t, b)
	if len(a.KeyStores) != 1 || a.KeyStores[0].Name != "a.example.org.p12" || len(a.Certificates) != 0 {
		t.Fatalf("the archive has %d key stores and %d certificates", len(a.KeyStores), len(a.Certificates))
	}
	blocks, err := pkcs12.ToPEM(a.KeyStores[0].Content, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, block := range blocks {
		kinds[block.Type]++
	}
	if kinds["CERTIFICATE"] != 3 || kinds["PRIVATE KEY"] != 1 {
		t.Errorf("the key store has %v", kinds)
	}
	for name, r := range map[string]sectigo.CreateSingle{
		"no parameters":     {AuthorityID: authority, Params: nil},
		"an empty one":      {AuthorityID: authority, Params: map[string]string{"commonName": " "}},
		"one missing":       {AuthorityID: authority, Params: map[string]string{"commonName": "a.example.org"}},
		"one too many":      {AuthorityID: authority, Params: map[string]string{"commonName": "a.b", "dNSName": "a.b", "pkcs12Password": "12345678", "x": "y"}},
		"a weak password":   {AuthorityID: authority, Params: map[string]string{"commonName": "a.b", "dNSName": "a.b", "pkcs12Password": "short"}},
		"unknown authority": {AuthorityID: 17, Params: params},
	} {
		if _, err := w.client.CreateSingle(t.Context(), r); err == nil || sectigo.OutcomeOf(err) == sectigo.Unknown {
			t.Errorf("%s: %v (%s)", name, err, sectigo.OutcomeOf(err))
		}
	}
	if n := len(w.ca.Purchases()); n != 1 {
		t.Errorf("%d purchases, want 1", n)
	}
}

func TestRSAKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{Key: "rsa"})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := orderFor(t, key, "rsa.example.org")
	if _, err := w.archive(t, w.uploads(t, "acme-1", o)).Match(o.key, o.names, false); err != nil {
		t.Error(err)
	}
}

// TestListInPages follows a list whose pages nobody has documented, and knows
// when it has not seen everything.
func TestListInPages(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"", "items", "content"} {
		t.Run("list "+list, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{List: list, PageSize: 3})
			for i := range 8 {
				w.uploads(t, fmt.Sprintf("acme-%d", i), newOrder(t, "a.example.org"))
			}
			got, err := w.client.Batches(t.Context())
			if err != nil || !got.Complete || len(got.Batches) != 8 || got.Batches[0].Name != "acme-7" {
				t.Errorf("%d batches, complete: %v, %v", len(got.Batches), got.Complete, err)
			}
		})
	}
	w := newWorld(t, sectigotest.Config{List: "off"})
	if _, err := w.client.Batches(t.Context()); !errors.Is(err, sectigo.ErrNotFound) {
		t.Errorf("without a list: %v", err)
	}
}

func TestFindAuthority(t *testing.T) {
	t.Parallel()
	all := []sectigo.Authority{
		{ID: 1, ProfileID: 10, ProfileName: "EE_#17", Enabled: true},
		{ID: 2, ProfileID: 20, ProfileName: "Other_#85", Enabled: true},
		{ID: 3, ProfileID: 30, ProfileName: "Twin_#1", Enabled: true},
		{ID: 4, ProfileID: 40, ProfileName: "Twin_#2", Enabled: true},
		{ID: 5, ProfileID: 50, ProfileName: "Off_#3"},
	}
	for _, test := range []struct {
		id   int64
		name string
		want int64
		err  error
	}{
		{id: 10, want: 1}, {name: "EE", want: 1}, {name: "EE_#17", want: 1}, {id: 20, name: "Other", want: 2},
		{id: 17, err: sectigo.ErrNoAuthority}, // the number of the template
		{name: "Twin", err: sectigo.ErrAmbiguousAuthority}, {name: "Twin_#2", want: 4},
		{id: 50, err: sectigo.ErrNoAuthority}, {id: 10, name: "Other", err: sectigo.ErrNoAuthority}, {err: sectigo.ErrAmbiguousAuthority},
	} {
		got, err := sectigo.FindAuthority(all, test.id, test.name)
		if got.ID != test.want || !errors.Is(err, test.err) {
			t.Errorf("%d %q: authority %d, %v", test.id, test.name, got.ID, err)
		}
	}
}
