package sectigo_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// TestOneLoginForMany: calls that need tokens at the same time share a login,
// and later a refresh (SC-13).
func TestOneLoginForMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{SingleUse: true})
	burst := func() {
		var g sync.WaitGroup
		for range 40 {
			g.Go(func() {
				if _, err := w.client.Licenses(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
	}
	burst()
	if w.ca.Count("login") != 2 || w.ca.Count("refresh") != 0 { // a request and an event
		t.Errorf("counts %v, want 1 login", w.ca.Counts())
	}
	for i := 1; i <= 3; i++ {
		w.ca.Advance(10 * time.Minute)
		burst()
		if w.ca.Count("login") != 2 || w.ca.Count("refresh") != i {
			t.Errorf("counts %v, want 1 login and %d refreshes", w.ca.Counts(), i)
		}
	}
	w.ca.Advance(3 * time.Hour) // beyond the refresh token
	burst()
	if w.ca.Count("login") != 4 || w.ca.Count("refresh") != 3 {
		t.Errorf("counts %v, want 2 logins and 3 refreshes", w.ca.Counts())
	}
}

// TestKeptRefreshToken: an answer without a refresh token leaves the old one
// in force.
func TestKeptRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{KeepRefreshToken: true})
	for i := range 5 {
		if _, err := w.client.Licenses(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.ca.Count("refresh") != i || w.ca.Count("login") != 2 {
			t.Errorf("counts %v", w.ca.Counts())
		}
		w.ca.Advance(11 * time.Minute)
	}
}

// TestShortTokens: tokens of one second are used and not thrown away at once.
func TestShortTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{AccessLifetime: time.Second, RefreshLifetime: time.Minute})
	for range 10 {
		if _, err := w.client.Licenses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.ca.Count("refresh") != 0 {
		t.Errorf("%d refreshes within a moment", w.ca.Count("refresh"))
	}
	w.ca.Advance(time.Second)
	if _, err := w.client.Licenses(t.Context()); err != nil || w.ca.Count("refresh") != 1 {
		t.Errorf("%d refreshes: %v", w.ca.Count("refresh"), err)
	}
}

// TestRefusedLogin: the first refusal is the last attempt, so that no account
// gets locked, until somebody changes something.
func TestRefusedLogin(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]error{"401": sectigo.ErrLoginRefused, "403": sectigo.ErrLoginRefused, "307": sectigo.ErrCertificateLogin} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{Login: mode, LockAfter: 3})
			for range 20 {
				if _, err := w.client.Licenses(t.Context()); !errors.Is(err, want) || !errors.Is(err, sectigo.ErrLoginRefused) || sectigo.OutcomeOf(err) != sectigo.NotSent {
					t.Fatalf("%v, want %v", err, want)
				}
			}
			w.ca.Advance(24 * time.Hour)
			if _, err := w.client.Licenses(t.Context()); !errors.Is(err, want) {
				t.Fatal(err)
			}
			if n := len(w.ca.Journal("login")); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
			if err := w.client.LoginRefused(); !errors.Is(err, want) {
				t.Errorf("the breaker says %v", err)
			}
			w.ca.SetLogin("ok")
			if err := w.client.ResetLogin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := w.client.Licenses(t.Context()); err != nil || w.client.LoginRefused() != nil {
				t.Errorf("after the reset: %v", err)
			}
		})
	}
}

func TestChangedPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	if _, err := w.client.Licenses(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ca.SetPassword("another")
	w.ca.Advance(3 * time.Hour)
	if _, err := w.client.Licenses(t.Context()); !errors.Is(err, sectigo.ErrLoginRefused) {
		t.Errorf("with the old password: %v", err)
	}
	if err := w.client.SetCredentials(t.Context(), username, secret.New([]byte("another"))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Licenses(t.Context()); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}

// TestCorrectedPassword: a password that was corrected in its file is tried,
// and one that was not is left alone.
func TestCorrectedPassword(t *testing.T) {
	t.Parallel()
	now := secret.New([]byte("wrong"))
	w := newWorld(t, sectigotest.Config{})
	client := w.connect(t, func(c *sectigo.Config) {
		c.Password, c.Reload = now, func() (secret.Secret, error) {
			if now.Empty() {
				return now, errors.New("the file is gone")
			}
			return now, nil
		}
	})
	for range 5 {
		if _, err := client.Licenses(t.Context()); !errors.Is(err, sectigo.ErrLoginRefused) {
			t.Fatal(err)
		}
	}
	now = secret.Secret{}
	if _, err := client.Licenses(t.Context()); err == nil || !strings.Contains(err.Error(), "the file is gone") || sectigo.OutcomeOf(err) != sectigo.NotSent {
		t.Errorf("without the file: %v", err)
	}
	if n := len(w.ca.Journal("login")); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	now = secret.New([]byte(password))
	if _, err := client.Licenses(t.Context()); err != nil || client.LoginRefused() != nil {
		t.Errorf("with the right password: %v", err)
	}
}

// TestRevokedToken: a token that the CA stops taking is renewed once within
// the call, and the call does not fail.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	if _, err := w.client.Licenses(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.breaks(t, sectigotest.Fault{Endpoint: "upload", Kind: "status", Status: 401, Count: 1})
	w.uploads(t, "acme-1", newOrder(t, "a.example.org"))
	if len(w.ca.Purchases()) != 1 || w.ca.Count("upload") != 2 || w.ca.Count("refresh") != 1 {
		t.Errorf("counts %v", w.ca.Counts())
	}
	// A refresh token that is no longer taken either is replaced by a login.
	w.breaks(t, sectigotest.Fault{Endpoint: "refresh", Kind: "status", Status: 401, Count: 1},
		sectigotest.Fault{Endpoint: "licenses", Kind: "status", Status: 401, Count: 1})
	if _, err := w.client.Licenses(t.Context()); err != nil || len(w.ca.Journal("login")) != 2 {
		t.Errorf("%v after %d logins", err, len(w.ca.Journal("login")))
	}
}

// TestNoLoginStorm: a CA that gives tokens and then does not take them, or
// that fails each login, is not asked for logins without end.
func TestNoLoginStorm(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]sectigotest.Fault{
		"tokens not taken": {{Endpoint: "licenses", Kind: "status", Status: 401}, {Endpoint: "refresh", Kind: "status", Status: 401}},
		"login broken":     {{Endpoint: "login", Kind: "status", Status: 500}},
		"login cut":        {{Endpoint: "login", Kind: "reset-after"}},
		"login nonsense":   {{Endpoint: "login", Kind: "json-error"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			w.breaks(t, faults...)
			var last error
			for range 50 {
				if _, last = w.client.Licenses(t.Context()); last == nil {
					t.Fatal("it worked")
				}
			}
			var e *sectigo.Error
			if !errors.Is(last, sectigo.ErrLoginPaused) || !errors.As(last, &e) || e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
				t.Errorf("in the end: %v", last)
			}
			logins := func() int {
				n := 0
				for _, e := range w.ca.Journal("request") {
					if e.Endpoint == "login" {
						n++
					}
				}
				return n
			}
			if logins() != 3 {
				t.Errorf("%d logins, want 3", logins())
			}
			w.ca.Advance(time.Minute)
			for range 10 {
				_, _ = w.client.Licenses(t.Context()) // of interest is what arrives
			}
			if logins() != 4 {
				t.Errorf("%d logins a minute later, want 4", logins())
			}
			w.ca.Mend()
			w.ca.Advance(time.Minute)
			if _, err := w.client.Licenses(t.Context()); err != nil {
				t.Errorf("once it works again: %v", err)
			}
		})
	}
}

// TestSecretsStayInside looks for secrets in everything that a client and its
// errors can be printed as (SK-1, SK-10), also when the CA sends them back.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{Login: "401"})
	_, failed := w.client.Licenses(t.Context())
	w.ca.SetLogin("ok")
	if err := w.client.ResetLogin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Licenses(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.breaks(t, sectigotest.Fault{Endpoint: "licenses", Kind: "status", Status: 400, Message: "your password " + password + " is fine"})
	_, echoed := w.client.Licenses(t.Context())
	if echoed == nil || !strings.Contains(echoed.Error(), "your password [redacted] is fine") {
		t.Errorf("the CA's words: %v", echoed)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "client", w.client, "err", failed, "echo", echoed)
	for _, v := range []any{w.client, failed, echoed} {
		_, _ = fmt.Fprintf(&out, "%v %+v %#v %s", v, v, v, v)
	}
	for _, never := range []string{password, "eyJ"} { // the beginning of every token
		if strings.Contains(out.String(), never) {
			t.Errorf("%q can be read: %s", never, out.String())
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := sectigo.Config{Username: username, Password: secret.New([]byte(password)), Dial: new(net.Dialer).DialContext}
	for name, test := range map[string]struct {
		change func(*sectigo.Config)
		ok     bool
	}{
		"defaults":       {func(*sectigo.Config) {}, true},
		"a host":         {func(c *sectigo.Config) { c.URL = "https://demo.iot.sectigo.com/" }, true},
		"a stand-in":     {func(c *sectigo.Config) { c.URL = "http://127.0.0.1:8831" }, true},
		"in the clear":   {func(c *sectigo.Config) { c.URL = "http://iot.sectigo.com" }, false},
		"a path":         {func(c *sectigo.Config) { c.URL = "https://iot.sectigo.com/api" }, false},
		"a user":         {func(c *sectigo.Config) { c.URL = "https://me:secret@iot.sectigo.com" }, false},
		"another scheme": {func(c *sectigo.Config) { c.URL = "ftp://iot.sectigo.com" }, false},
		"no host":        {func(c *sectigo.Config) { c.URL = "https://" }, false},
		"nonsense":       {func(c *sectigo.Config) { c.URL = "://" }, false},
		"no password":    {func(c *sectigo.Config) { c.Password = secret.Secret{} }, false},
		"no username":    {func(c *sectigo.Config) { c.Username = "" }, false},
		"nothing":        {func(c *sectigo.Config) { c.Username, c.Password = "", secret.Secret{} }, false},
		"nothing, but tokens": {func(c *sectigo.Config) {
			c.Username, c.Password, c.Cache = "", secret.Secret{}, sectigo.NewCache("x")
		}, true},
		"no dialer": {func(c *sectigo.Config) { c.Dial = nil }, false},
		"no time":   {func(c *sectigo.Config) { c.CallTimeout = -1 }, false},
	} {
		cfg := good
		test.change(&cfg)
		if _, err := sectigo.New(cfg); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
}
