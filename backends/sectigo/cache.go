package sectigo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v4"

	"acmebridge/internal/keyfile"
	"acmebridge/internal/secret"
)

// Cache is a file with the tokens of the last login, for commands that people
// run one after the other. Username and password are never in it. It is good
// for one account at one place only: tokens of a trial service must not reach
// the real one.
//
// The file is readable by its owner alone, and so is its folder; looser ones
// are refused. It changes in one piece, and one process at a time uses it.
type Cache struct{ path string }

// DefaultCache is in the folder that the system has for such files.
func DefaultCache() (*Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("sectigo: find a place for the credentials: %w; name one", err)
	}
	return NewCache(filepath.Join(dir, "acmebridge", "sectigo", "credentials.yaml")), nil
}

// NewCache returns the cache in that file, which need not exist yet.
func NewCache(path string) *Cache { return &Cache{path: path} }

// Path is where the file is.
func (c *Cache) Path() string { return c.path }

// Clear removes the tokens, as after a logout.
func (c *Cache) Clear(ctx context.Context) error {
	if _, err := os.Stat(filepath.Dir(c.path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sectigo: remove the credentials: %w", err)
	}
	return nil
}

// cacheFile is the file. The keys are those of the tool that the service's
// documents describe, and two that bind the tokens to an account and a place.
type cacheFile struct {
	Endpoint  string    `yaml:"endpoint"`
	Username  string    `yaml:"username"`
	Access    string    `yaml:"access_token,omitempty"`
	Refresh   string    `yaml:"refresh_token,omitempty"`
	Subject   string    `yaml:"subject,omitempty"`
	IssuedAt  time.Time `yaml:"issued_at,omitempty"`
	ExpiresAt time.Time `yaml:"expires_at,omitempty"`
	NotBefore time.Time `yaml:"not_before,omitempty"`
	RefreshBy time.Time `yaml:"refresh_by,omitempty"`
}

// read returns the file, and false when there is none.
func (c *Cache) read() (f cacheFile, found bool, err error) {
	held, err := secret.FromFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("sectigo: %w", err)
	}
	if err := yaml.Unmarshal(held.Reveal(), &f); err != nil {
		// The cause would quote the line.
		return f, false, fmt.Errorf("sectigo: %s is damaged; remove it and log in again", c.path)
	}
	if (f.Access == "") != (f.Refresh == "") {
		return f, false, fmt.Errorf("sectigo: %s has one token without the other; remove it and log in again", c.path)
	}
	return f, f.Access != "", nil
}

// tokens reads the tokens of the file. What it says of the times is a help for
// people; the tokens know.
func (c *Cache) tokens(f cacheFile) (tokens, error) {
	t, err := readTokens(f.Access, f.Refresh, tokens{})
	if err != nil {
		return tokens{}, fmt.Errorf("sectigo: %s: %w; remove it and log in again", c.path, err)
	}
	t.Owner = f.Username
	return t, nil
}

// load reads the tokens. None, or those of another account or place, are no
// error: there is a login to fall back to.
func (c *Cache) load(endpoint, username string) (tokens, error) {
	f, found, err := c.read()
	switch {
	case err != nil || !found:
		return tokens{}, err
	case f.Endpoint != endpoint, username != "" && f.Username != username:
		return tokens{}, nil
	}
	return c.tokens(f)
}

// CacheState is what a cache holds, without the tokens.
type CacheState struct {
	// Endpoint, Username and Subject are where and for whom the tokens are.
	Endpoint, Username, Subject string
	// The access token works from IssuedAt to ExpiresAt, the one to renew it
	// from NotBefore to RefreshBy.
	IssuedAt, ExpiresAt, NotBefore, RefreshBy time.Time
	// Usable and Refreshable are whether they work at the time asked about.
	Usable, Refreshable bool
}

// State returns what the cache holds, and false when it holds nothing.
func (c *Cache) State(now time.Time) (state CacheState, found bool, err error) {
	f, found, err := c.read()
	if err != nil || !found {
		return CacheState{}, false, err
	}
	t, err := c.tokens(f)
	if err != nil {
		return CacheState{}, false, err
	}
	return CacheState{
		Endpoint: f.Endpoint, Username: f.Username, Subject: t.Subject, IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt,
		NotBefore: t.NotBefore, RefreshBy: t.RefreshBy, Usable: t.usable(now), Refreshable: t.refreshable(now),
	}, true, nil
}

// save replaces the file as a whole, and it is on the disk when save returns.
func (c *Cache) save(endpoint, username string, t tokens) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sectigo: keep the credentials in %s: %w", c.path, err)
		}
	}()
	content, err := yaml.Marshal(cacheFile{
		Endpoint: endpoint, Username: username, Access: string(t.Access.Reveal()), Refresh: string(t.Refresh.Reveal()),
		Subject: t.Subject, IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt, NotBefore: t.NotBefore, RefreshBy: t.RefreshBy,
	})
	if err != nil {
		return err
	}
	return keyfile.Replace(c.path, 0o600, content)
}

// private makes the folder, or wants it to be nobody else's.
func (c *Cache) private() error {
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("sectigo: make a folder for the credentials: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("sectigo: look at the folder of the credentials: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("sectigo: the folder %s: %w: its mode is %04o; run chmod 700 on it", dir, secret.ErrExposed, info.Mode().Perm())
	}
	return nil
}

// lockWait is how often a lock that somebody else holds is tried again.
const lockWait = 50 * time.Millisecond

// lock keeps other processes out, and waits as long as ctx lasts.
func (c *Cache) lock(ctx context.Context) (unlock func(), err error) {
	if err := c.private(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(c.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sectigo: lock the credentials: %w", err)
	}
	unlock = func() { _ = f.Close() } // which gives the lock back
	for {
		got, err := tryLock(f)
		switch {
		case err != nil:
			unlock()
			return nil, fmt.Errorf("sectigo: lock the credentials: %w", err)
		case got:
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, fmt.Errorf("sectigo: wait for another process that uses %s: %w", c.path, ctx.Err())
		case <-time.After(lockWait):
		}
	}
}
