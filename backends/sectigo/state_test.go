package sectigo_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// TestCacheState: what a cache holds can be told without the tokens, and what
// it holds can be used without the password by the user that it is of.
func TestCacheState(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cache := sectigo.NewCache(filepath.Join(t.TempDir(), "own", "credentials.yaml"))
	w := newWorld(t, sectigotest.Config{}, func(cfg *sectigo.Config) { cfg.Cache = cache })
	if _, found, err := cache.State(w.ca.Now()); found || err != nil {
		t.Errorf("an empty cache: %v, %v", found, err)
	}
	without := func(user string) *sectigo.Client {
		return w.connect(t, func(cfg *sectigo.Config) { cfg.Cache, cfg.Username, cfg.Password = cache, user, secret.Secret{} })
	}
	if _, err := without(username).Login(ctx); !errors.Is(err, sectigo.ErrNoCredentials) {
		t.Errorf("without tokens and password: %v", err)
	}
	if _, err := w.client.Login(ctx); err != nil {
		t.Fatal(err)
	}
	state := func() sectigo.CacheState {
		s, found, err := cache.State(w.ca.Now())
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		return s
	}
	if s := state(); s.Username != username || s.Endpoint != w.url || s.Subject == "" || !s.Usable || !s.Refreshable || !s.ExpiresAt.Equal(begin.Add(10*time.Minute)) {
		t.Errorf("after the login: %+v", s)
	}
	if _, err := without(username).Licenses(ctx); err != nil {
		t.Errorf("with the tokens of the cache: %v", err)
	}
	if _, err := without("somebody").Licenses(ctx); !errors.Is(err, sectigo.ErrNoCredentials) {
		t.Errorf("another user: %v", err)
	}
	w.ca.Advance(11 * time.Minute)
	if s := state(); s.Usable || !s.Refreshable {
		t.Errorf("after 11 minutes: %+v", s)
	}
	if _, err := without(username).Licenses(ctx); err != nil {
		t.Errorf("renewed without the password: %v", err)
	}
	w.ca.Advance(3 * time.Hour)
	if s := state(); s.Usable || s.Refreshable {
		t.Errorf("after 3 hours: %+v", s)
	}
	if _, err := without(username).Licenses(ctx); !errors.Is(err, sectigo.ErrNoCredentials) {
		t.Errorf("with tokens that have run out: %v", err)
	}
	if got := len(w.ca.Journal("login")); got != 1 {
		t.Errorf("%d logins, want the one with a password", got)
	}
}
