package sectigotool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

func (t *tool) authCommand() *cobra.Command {
	var showCache, debug, check, logout bool
	c := &cobra.Command{
		Use:   "auth",
		Short: "Log in, or look at the login that is kept",
		Long: `Log in, and keep the tokens for the commands that follow. A login that is still good is used as it
is, and one that can be renewed is renewed without the password.

No token is ever printed, also not by --debug.`,
		Example: t.examples("auth", "auth --cache", "auth --debug", "auth --check", "auth --logout", "--username alice auth --password-file password.txt"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			chosen := 0
			for _, b := range []bool{showCache, debug, check, logout} {
				if b {
					chosen++
				}
			}
			if chosen > 1 {
				return usage.Errorf("--cache, --debug, --check and --logout: choose one")
			}
			if (showCache || debug || logout) && t.account.noCache {
				return usage.Errorf("--no-cache: there is nothing kept to look at")
			}
			switch {
			case showCache:
				return t.showCache()
			case debug:
				return t.showLogin()
			case logout:
				return t.logout(ctx)
			}
			return t.auth(ctx, check)
		}),
	}
	c.Flags().BoolVarP(&showCache, "cache", "C", false, "print where the tokens are kept, and do nothing else")
	c.Flags().BoolVarP(&debug, "debug", "d", false, "tell what is known of the login, without the network and without the tokens")
	c.Flags().BoolVar(&check, "check", false, "make a call as well, to see that the service takes the login")
	c.Flags().BoolVar(&logout, "logout", false, "forget the tokens")
	return c
}

func (t *tool) auth(ctx context.Context, check bool) error {
	return t.call(ctx, func(c *sectigo.Client) error {
		until, err := c.Login(ctx)
		if err != nil {
			return err
		}
		done := struct {
			Authenticated bool      `json:"authenticated"`
			ValidUntil    time.Time `json:"validUntil"`
			Cache         string    `json:"cache,omitempty"`
			Organization  string    `json:"organization,omitempty"`
		}{Authenticated: true, ValidUntil: until}
		if !t.account.noCache {
			cache, err := t.cache()
			if err != nil {
				return err
			}
			done.Cache = cache.Path()
		}
		if check {
			o, err := c.Organization(ctx)
			if err != nil {
				return err
			}
			done.Organization = o.Name
		}
		return t.tell(done, func(w io.Writer) {
			if done.Cache != "" {
				fmt.Fprintf(w, "user authenticated and credentials cached, valid until %s\n", when(until))
			} else {
				fmt.Fprintf(w, "user authenticated, valid until %s; nothing is kept\n", when(until))
			}
			if check {
				fmt.Fprintf(w, "the service takes the login: %s\n", show(done.Organization))
			}
		})
	})
}

func (t *tool) showCache() error {
	cache, err := t.cache()
	if err != nil {
		return err
	}
	_, err = os.Stat(cache.Path())
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the credentials: %w", err)
	}
	if !exists && t.format(asTable) == asTable {
		t.note("no credentials cache file exists; 'auth' makes %s", cache.Path())
		return nil
	}
	v := struct {
		Cache  string `json:"cache"`
		Exists bool   `json:"exists"`
	}{cache.Path(), exists}
	return t.tell(v, func(w io.Writer) { fmt.Fprintln(w, cache.Path()) })
}

func (t *tool) showLogin() error {
	cache, err := t.cache()
	if err != nil {
		return err
	}
	s, found, err := cache.State(t.Now())
	if err != nil {
		return err
	}
	v := struct {
		Found       bool      `json:"found"`
		Cache       string    `json:"cache"`
		Endpoint    string    `json:"endpoint,omitempty"`
		Username    string    `json:"username,omitempty"`
		Subject     string    `json:"subject,omitempty"`
		IssuedAt    time.Time `json:"issuedAt,omitzero"`
		ValidUntil  time.Time `json:"validUntil,omitzero"`
		RefreshBy   time.Time `json:"refreshBy,omitzero"`
		Valid       bool      `json:"valid"`
		Refreshable bool      `json:"refreshable"`
	}{found, cache.Path(), s.Endpoint, s.Username, s.Subject, s.IssuedAt, s.ExpiresAt, s.RefreshBy, s.Usable, s.Refreshable}
	return t.tell(v, func(w io.Writer) {
		state := "there is no login; the next command needs the password"
		switch {
		case s.Usable:
			state = "valid until " + when(s.ExpiresAt)
		case s.Refreshable:
			state = "expired; it can be renewed without the password until " + when(s.RefreshBy)
		case found:
			state = "expired; the next command needs the password"
		}
		fields(w, "login", state, "cache", cache.Path())
		if found {
			fields(w, "endpoint", show(s.Endpoint), "username", show(s.Username), "subject", show(s.Subject),
				"issued", when(s.IssuedAt), "valid until", when(s.ExpiresAt), "renewable until", when(s.RefreshBy))
		}
	})
}

func (t *tool) logout(ctx context.Context) error {
	cache, err := t.cache()
	if err != nil {
		return err
	}
	if err := cache.Clear(ctx); err != nil {
		return err
	}
	v := struct {
		LoggedOut bool `json:"loggedOut"`
	}{true}
	return t.tell(v, func(w io.Writer) {
		fmt.Fprintln(w, "the tokens are forgotten; the service itself keeps them valid until they run out")
	})
}
