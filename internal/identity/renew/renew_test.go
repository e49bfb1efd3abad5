package renew_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/testport"
	"acmebridge/internal/identity"
	"acmebridge/internal/identity/renew"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// write makes an identity that lives for the 90 days around now.
func write(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x87), Subject: pkix.Name{CommonName: "vasp.example"}, DNSNames: []string{"vasp.example"},
		NotBefore: now.AddDate(0, 0, -45), NotAfter: now.AddDate(0, 0, 45), AuthorityKeyId: []byte{1, 2, 3},
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Issuer"}, SubjectKeyId: []byte{1, 2, 3}}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	content, err := identity.Identity{Key: key, Leaf: leaf}.Encode(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// advisor is a server that says when to renew, and takes no orders.
type advisor struct{ start, end time.Time }

func (a advisor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/directory" && a.start.IsZero():
		_, _ = io.WriteString(w, `{"newOrder":"https://elsewhere.example/order"}`)
	case r.URL.Path == "/directory":
		_, _ = fmt.Fprintf(w, `{"renewalInfo":"http://%s/info"}`, r.Host)
	case r.URL.Path == "/info/AQID.AIc": // the serial number has its sign octet
		_, _ = fmt.Fprintf(w, `{"suggestedWindow":{"start":%q,"end":%q}}`, a.start.Format(time.RFC3339), a.end.Format(time.RFC3339))
	default:
		http.NotFound(w, r)
	}
}

// noOrder is what becomes of an order there, because it is no whole directory:
// that it was tried is what counts.
const noOrder = "read the directory"

// TestWhenItIsTime: by the window of the server, and by age where there is none
// or it makes no sense.
func TestWhenItIsTime(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		a      advisor
		before time.Duration
		due    bool
		says   string
	}{
		"window is to come":       {advisor{now.Add(day), now.Add(2 * day)}, 0, false, "as the server suggests"},
		"window is over":          {advisor{now.Add(-2 * day), now.Add(-day)}, 0, true, "as the server suggests"},
		"young, no window":        {advisor{}, 0, false, "by its age"},
		"old, no window":          {advisor{}, 50 * day, true, "by its age"},
		"window ends before":      {advisor{now.Add(-day), now.Add(-2 * day)}, 0, false, "by its age"},
		"window after the end":    {advisor{now.Add(60 * day), now.Add(61 * day)}, 0, false, "is to be renewed on 2026-12-05"},
		"after the end, and late": {advisor{now.Add(60 * day), now.Add(61 * day)}, 50 * day, true, "as the server suggests"},
	} {
		server := httptest.NewServer(tt.a)
		path := filepath.Join(t.TempDir(), "vasp.pem")
		write(t, path)
		var said strings.Builder
		r := &renew.Renewer{
			Path: path, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256", Before: tt.before,
			Now: func() time.Time { return now }, Say: func(f string, args ...any) { fmt.Fprintf(&said, f+"\n", args...) },
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := r.Run(ctx)
		cancel()
		server.Close()
		if due := err != nil; due != tt.due || !strings.Contains(said.String(), tt.says) {
			t.Errorf("%s: %v, %q; want due %t, %q", name, err, said.String(), tt.due, tt.says)
		}
		_, err = os.Stat(path + ".next.key")
		if made := err == nil; made != tt.due {
			t.Errorf("%s: a key was made: %t", name, made)
		}
	}
}

// TestHostileServer: what a server sends is read up to a bound, gets onto the
// terminal as one line of text, and a redirect takes the account nowhere.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	const escape = "\\u001b[2J"
	long := strings.Repeat("a", 8<<20)
	for name, tt := range map[string]struct {
		serve func(http.ResponseWriter, *http.Request)
		says  string
	}{
		"a page that goes to another": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/directory" {
				http.Redirect(w, r, "/moved", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, `{"newNonce":"http://`+r.Host+`/nonce","newOrder":"http://`+r.Host+`/order"}`)
		}, "elsewhere"},
		"a directory without end": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"newNonce":"http://`+r.Host+`/nonce","newOrder":"`+long+`"}`)
		}, "too large"},
		"a problem that clears the screen": {func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/directory":
				_, _ = fmt.Fprintf(w, `{"newNonce":"http://%[1]s/nonce","newAccount":"http://%[1]s/account","newOrder":"http://%[1]s/order"}`, r.Host)
			case "/nonce":
				w.Header().Set("Replay-Nonce", "n")
			default:
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"no`+escape+`\nway"}`)
			}
		}, "way"},
	} {
		server := httptest.NewServer(http.HandlerFunc(tt.serve))
		r := &renew.Renewer{
			Path: filepath.Join(t.TempDir(), "vasp.pem"), Names: []string{"vasp.example"}, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256",
			Now: func() time.Time { return now }, Say: func(string, ...any) {},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := r.Run(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %q", name, fmt.Sprint(err))
		}
		server.Close()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/directory" {
			_, _ = fmt.Fprintf(w, `{"renewalInfo":"http://%s/info"}`, r.Host)
			return
		}
		_, _ = io.WriteString(w, `{"suggestedWindow":{"start":"2027-01-01T00:00:00Z","end":"2027-01-02T00:00:00Z"},"explanationURL":"https://ca.example/`+escape+`"}`)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "vasp.pem")
	write(t, path)
	r := &renew.Renewer{
		Path: path, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256", Now: func() time.Time { return now },
		Say: func(f string, args ...any) {
			if text := fmt.Sprintf(f, args...); strings.Contains(text, "\x1b") {
				t.Errorf("said %q", text)
			}
		},
	}
	if err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// The key of what is on order is the same in every run until it came: a CA is
// asked once.
func TestKeyOfAnOpenOrderIsKept(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(advisor{now.Add(-2 * time.Hour), now.Add(-time.Hour)})
	defer server.Close()
	path := filepath.Join(t.TempDir(), "vasp.pem")
	write(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for range 2 {
		r := &renew.Renewer{
			Path: path, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256",
			Now: func() time.Time { return now }, Say: func(string, ...any) {},
		}
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), noOrder) {
			t.Fatalf("got %v", err)
		}
		key, err := os.ReadFile(path + ".next.key")
		if err != nil {
			t.Fatal(err)
		}
		if kept != nil && string(key) != string(kept) {
			t.Error("the second run has another key")
		}
		kept = key
		if info, err := os.Stat(path + ".next.key"); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the identity changed, %v", err)
	}
}

func TestDeployIsTriedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(advisor{now.Add(time.Hour), now.Add(2 * time.Hour)})
	defer server.Close()
	path := filepath.Join(t.TempDir(), "vasp.pem")
	write(t, path)
	if err := os.WriteFile(path+".undeployed", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for i, fails := range []error{errors.New("no such service"), nil, nil} {
		r := &renew.Renewer{
			Path: path, Directory: server.URL + "/directory", HTTP: server.Client(),
			Now: func() time.Time { return now }, Say: func(string, ...any) {},
			Deploy: func(context.Context) error { calls++; return fails },
		}
		if err := r.Run(t.Context()); !errors.Is(err, fails) || (err == nil) != (fails == nil) {
			t.Errorf("run %d: %v", i, err)
		}
	}
	if calls != 2 {
		t.Errorf("deployed %d times", calls)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const path, answer = "/.well-known/acme-challenge/token", "token.thumbprint"
	folder, address := t.TempDir(), testport.Address(t)
	files := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer files.Close()
	get := func(url string) string {
		res, err := http.Get(url)
		if err != nil {
			return "nobody is there"
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			return res.Status
		}
		return string(body)
	}
	for base, a := range map[string]renew.Answerer{files.URL: renew.Webroot{Folder: folder}, "http://" + address: renew.Listen{Address: address}} {
		withdraw, err := a.Answer(t.Context(), path, answer)
		if err != nil {
			t.Fatal(err)
		}
		if got := get(base + path); got != answer {
			t.Errorf("%T answers %q", a, got)
		}
		if got := get(base + path + "x"); got != "404 Not Found" {
			t.Errorf("%T answers %q to something else", a, got)
		}
		if err := withdraw(); err != nil {
			t.Error(err)
		}
		if got := get(base + path); got == answer {
			t.Errorf("%T answers still", a)
		}
	}
	// A token that climbs out of its folder is a matter of the server's: neither
	// what is beside the root nor the pages in it are written over or removed.
	index := filepath.Join(folder, "index.html")
	if err := os.WriteFile(index, []byte("welcome"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"/../../evil", "/.well-known/acme-challenge/../../index.html", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/a/b", "/index.html",
		"/.well-known/acme-challenge/..", "/.well-known/acme-challenge/a\x00b", "/.well-known/acme-challenge/.htaccess",
	} {
		if withdraw, err := (renew.Webroot{Folder: folder}).Answer(t.Context(), bad, answer); err == nil {
			t.Errorf("an answer was written for %q; withdrawn with %v", bad, withdraw())
		}
	}
	if page, err := os.ReadFile(index); string(page) != "welcome" {
		t.Errorf("the page in the root is %q, %v", page, err)
	}
	// A folder that somebody has made a link that leads out is not followed.
	elsewhere := t.TempDir()
	linked := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(linked, ".well-known")); err != nil {
		t.Fatal(err)
	}
	if _, err := (renew.Webroot{Folder: linked}).Answer(t.Context(), path, answer); err == nil {
		t.Error("an answer was written behind a link")
	}
}

// TestOneRunAtATime: a run that comes while another one is at work does nothing,
// since it would order the same with a key of its own as soon as the first is
// through; and whoever has waited looks at the identity as it is by then.
func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-leave
		http.NotFound(w, r)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "vasp.pem")
	write(t, path)
	run := func() error {
		r := &renew.Renewer{
			Path: path, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256",
			Now: func() time.Time { return now }, Say: func(string, ...any) {},
		}
		return r.Run(t.Context())
	}
	first := make(chan error, 1)
	go func() { first <- run() }()
	<-arrived
	if err := run(); !errors.Is(err, renew.ErrBusy) {
		t.Errorf("the second run says %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the first run says %v", err)
	}
	go func() { <-arrived }()
	if err := run(); err != nil { // what is left beside keeps nobody out
		t.Errorf("a later run says %v", err)
	}
}

// TestKeyOfARunThatDied: the key that a run left beside an identity which stands
// already is in use, and no new certificate is ordered for it.
func TestKeyOfARunThatDied(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(advisor{now.Add(-2 * time.Hour), now.Add(-time.Hour)})
	defer server.Close()
	path := filepath.Join(t.TempDir(), "vasp.pem")
	write(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := identity.ReadBundle(nil, content)
	if err != nil {
		t.Fatal(err)
	}
	old, err := identity.EncodeKey(b.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".next.key", old, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &renew.Renewer{
		Path: path, Directory: server.URL + "/directory", HTTP: server.Client(), KeyType: "p256",
		Now: func() time.Time { return now }, Say: func(string, ...any) {},
	}
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), noOrder) {
		t.Fatalf("got %v", err)
	}
	if next, err := os.ReadFile(path + ".next.key"); err != nil || string(next) == string(old) {
		t.Errorf("the next certificate is ordered for the key of the last: %v", err)
	}
}
