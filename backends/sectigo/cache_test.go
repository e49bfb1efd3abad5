package sectigo_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// cacheIn returns a way to use the cache in that folder.
func cacheIn(path string) func(*sectigo.Config) {
	return func(c *sectigo.Config) { c.Cache = sectigo.NewCache(path) }
}

func tokensOnly(c *sectigo.Config) { c.Username, c.Password = "", secret.Secret{} }

// TestCache: one command logs in, and those after it do not.
func TestCache(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "private", "credentials.yaml")
	w := newWorld(t, sectigotest.Config{SingleUse: true})
	for range 3 {
		if _, err := w.connect(t, cacheIn(path)).Licenses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.connect(t, cacheIn(path), tokensOnly).Licenses(t.Context()); err != nil {
		t.Errorf("with the tokens alone: %v", err)
	}
	w.ca.Advance(11 * time.Minute)
	for range 3 { // the refresh token works once, so the new one has to be kept
		if _, err := w.connect(t, cacheIn(path), tokensOnly).Licenses(t.Context()); err != nil {
			t.Errorf("after a refresh: %v", err)
		}
	}
	if _, err := w.connect(t, cacheIn(path)).Licenses(t.Context()); err != nil {
		t.Errorf("the owner got lost: %v", err)
	}
	if len(w.ca.Journal("login")) != 1 || w.ca.Count("refresh") != 1 {
		t.Errorf("counts %v", w.ca.Counts())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"endpoint: " + w.url, "username: bridge", "access_token:", "refresh_token:", "expires_at:", "refresh_by:", "subject: /account/"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("%q is not in the file", want)
		}
	}
	if strings.Contains(string(content), password) {
		t.Error("the password is in the file")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder %v, %v", dir.Mode(), err)
	}
	if err := sectigo.NewCache(path).Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.connect(t, cacheIn(path), tokensOnly).Licenses(t.Context()); err == nil {
		t.Error("tokens work after they were cleared")
	}
}

// TestCacheOfAnother: tokens go to the place and the account that they came
// from, and nowhere else.
func TestCacheOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "private", "credentials.yaml")
	trial, real := newWorld(t, sectigotest.Config{}), newWorld(t, sectigotest.Config{})
	if _, err := trial.connect(t, cacheIn(path)).Licenses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := real.connect(t, cacheIn(path), tokensOnly).Licenses(t.Context()); err == nil {
		t.Error("the tokens of another place work")
	}
	if n := real.ca.Count("request"); n != 0 {
		t.Errorf("%d requests went out with them", n)
	}
	other := trial.connect(t, cacheIn(path), func(c *sectigo.Config) { c.Username = "somebody" })
	if _, err := other.Licenses(t.Context()); err == nil {
		t.Error("the tokens of another account work")
	}
}

// TestExposedCache: what others can read is refused, and says how to mend it.
func TestExposedCache(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "private", "credentials.yaml")
	w := newWorld(t, sectigotest.Config{})
	use := func() error { _, err := w.connect(t, cacheIn(path)).Licenses(t.Context()); return err }
	if err := use(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := use(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file for all: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := use(); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder for all: %v", err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"no YAML":       "{{{",
		"half a pair":   "endpoint: " + w.url + "\nusername: bridge\naccess_token: a.b.c\n",
		"broken tokens": "endpoint: " + w.url + "\nusername: bridge\naccess_token: a.b.c\nrefresh_token: a.b.c\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := use(); err == nil || !strings.Contains(err.Error(), "remove it and log in again") || strings.Contains(err.Error(), "a.b.c") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCacheOfMany: several at once on one cache log in once, because a
// single-use refresh token has no second chance.
func TestCacheOfMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "private", "credentials.yaml")
	w := newWorld(t, sectigotest.Config{SingleUse: true})
	for turn := range 2 {
		var g sync.WaitGroup
		for range 8 {
			client := w.connect(t, cacheIn(path))
			g.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := client.Licenses(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		if len(w.ca.Journal("login")) != 1 || w.ca.Count("refresh") != turn {
			t.Errorf("counts %v", w.ca.Counts())
		}
		w.ca.Advance(11 * time.Minute)
	}
}
