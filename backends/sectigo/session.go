package sectigo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// session keeps the tokens of a client valid.
//
//	usable access token      -> used
//	else refresh token good  -> refresh; refused -> login
//	else                     -> login; refused   -> no more logins
type session struct {
	client *Client
	// turn is held while tokens are looked at or obtained, so that of many
	// calls that need new ones, one asks and the others wait for it (SC-13).
	// It is a channel and not a mutex because waiting must end with the
	// context. Everything below changes only while it is held.
	turn chan struct{}

	// mu guards reading by those who do not hold the turn.
	mu       sync.Mutex
	username string
	password secret.Secret
	tokens   tokens

	refused error // why no login is tried any more
	pace    pace
}

func newSession(c *Client) *session {
	return &session{client: c, turn: make(chan struct{}, 1), username: c.cfg.Username, password: c.cfg.Password}
}

// take waits for the turn; give returns it.
func (s *session) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a login that is under way: %w", ctx.Err())
	}
}

func (s *session) give() { <-s.turn }

// current returns tokens that are good now.
func (s *session) current(ctx context.Context) (tokens, error) {
	if err := ctx.Err(); err != nil {
		return tokens{}, err
	}
	if err := s.take(ctx); err != nil {
		return tokens{}, err
	}
	defer s.give()
	if s.tokens.usable(s.client.cfg.Now()) {
		return s.tokens, nil
	}
	return s.obtain(ctx, secret.Secret{})
}

// renew returns other tokens than the one that the CA did not take.
func (s *session) renew(ctx context.Context, bad secret.Secret) (tokens, error) {
	if err := s.take(ctx); err != nil {
		return tokens{}, err
	}
	defer s.give()
	if !s.tokens.Access.Equal(bad) && s.tokens.usable(s.client.cfg.Now()) {
		return s.tokens, nil // somebody else has renewed them meanwhile
	}
	return s.obtain(ctx, bad)
}

// anew returns other tokens than the present ones.
func (s *session) anew(ctx context.Context) (tokens, error) {
	if err := s.take(ctx); err != nil {
		return tokens{}, err
	}
	defer s.give()
	return s.obtain(ctx, s.tokens.Access)
}

// obtain gets new tokens from the cache, by the refresh token or by a login.
// Other processes on the same cache are kept out meanwhile: a refresh token
// may work only once.
func (s *session) obtain(ctx context.Context, bad secret.Secret) (tokens, error) {
	cache := s.client.cfg.Cache
	if cache == nil {
		return s.ask(ctx)
	}
	unlock, err := cache.lock(ctx)
	if err != nil {
		return tokens{}, err
	}
	defer unlock()
	found, err := cache.load(s.client.origin, s.username)
	if err != nil {
		return tokens{}, err
	}
	if !found.Access.Equal(bad) && found.usable(s.client.cfg.Now()) {
		s.put(found)
		return found, nil
	}
	if !found.Refresh.Empty() {
		found.Access = secret.Secret{}
		s.put(found)
	}
	got, err := s.ask(ctx)
	if err != nil {
		return tokens{}, err
	}
	if err := cache.save(s.client.origin, or(s.username, found.Owner), got); err != nil {
		return tokens{}, err
	}
	return got, nil
}

func (s *session) put(t tokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = t
}

// ask gets new tokens from the CA.
func (s *session) ask(ctx context.Context) (tokens, error) {
	if s.tokens.refreshable(s.client.cfg.Now()) {
		got, err := s.refresh(ctx)
		if err == nil {
			s.put(got)
			return got, nil
		}
		// When the CA cannot be reached a login will not reach it either.
		if ctx.Err() != nil || (OutcomeOf(err) == NotSent && !errors.Is(err, ErrNotAuthenticated)) {
			return tokens{}, err
		}
		if s.password.Empty() {
			return tokens{}, fmt.Errorf("%w: %w", ErrNoCredentials, err)
		}
	}
	got, err := s.login(ctx)
	if err != nil {
		return tokens{}, err
	}
	s.put(got)
	return got, nil
}

func (s *session) refresh(ctx context.Context) (tokens, error) {
	const op = "refresh the login"
	// The body is the bare token, without quotes around it.
	got, err := s.client.exchange(ctx, request{op: op, method: http.MethodPost, path: "/auth/refresh", body: s.tokens.Refresh.Reveal()}, secret.Secret{})
	if err != nil {
		return tokens{}, err
	}
	return readLogin(got, s.tokens)
}

func (s *session) login(ctx context.Context) (tokens, error) {
	const op = "log in"
	if err := s.reload(); err != nil {
		return tokens{}, notSent(op, err)
	}
	switch {
	case s.refused != nil:
		return tokens{}, fmt.Errorf("sectigo: no login is tried any more after this one, because the CA locks accounts: %w", s.refused)
	case s.username == "" || s.password.Empty():
		return tokens{}, ErrNoCredentials
	}
	if wait := s.pace.take(s.client.cfg.Now()); wait > 0 {
		return tokens{}, Error{CA: caName, Op: op, Outcome: NotSent, RetryAfter: wait}.Because(ErrLoginPaused)
	}
	body, err := json.Marshal(struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}{s.username, string(s.password.Reveal())})
	if err != nil {
		return tokens{}, notSent(op, err)
	}
	got, err := s.client.exchange(ctx, request{op: op, method: http.MethodPost, path: "/auth/pwd", body: body}, secret.Secret{})
	if err != nil {
		err = loginError(err)
		if errors.Is(err, ErrLoginRefused) {
			s.mu.Lock()
			s.refused = err
			s.mu.Unlock()
		}
		return tokens{}, err
	}
	return readLogin(got, tokens{})
}

// loginError says what the status of a login means.
func loginError(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return e.Because(fmt.Errorf("%w: wrong username or password", ErrLoginRefused))
	case http.StatusForbidden:
		return e.Because(fmt.Errorf("%w: the password is right, and the account has no authority", ErrLoginRefused))
	case http.StatusTemporaryRedirect:
		return e.Because(fmt.Errorf("%w: %w", ErrLoginRefused, ErrCertificateLogin))
	}
	return err
}

// reload asks for the password anew, if there is somebody to ask. Another one
// than before deserves another attempt.
func (s *session) reload() error {
	if s.client.cfg.Reload == nil {
		return nil
	}
	password, err := s.client.cfg.Reload()
	if err != nil || password.Equal(s.password) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password, s.refused, s.pace = password, nil, pace{}
	return nil
}

func readLogin(got caclient.Reply, old tokens) (tokens, error) {
	var shape struct {
		Access  string `json:"accessToken"`
		Refresh string `json:"refreshToken"`
	}
	if err := into(got, &shape); err != nil {
		return tokens{}, err
	}
	t, err := readTokens(shape.Access, shape.Refresh, old)
	if err != nil {
		return tokens{}, got.Wrong(err)
	}
	return t, nil
}

func (s *session) replace(ctx context.Context, username string, password secret.Secret) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.username, s.password, s.tokens, s.refused, s.pace = username, password, tokens{}, nil, pace{}
	return nil
}

func (s *session) reset(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused, s.pace = nil, pace{}
	return nil
}

func (s *session) breaker() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// secrets are what a CA may repeat of what it was sent (SK-10).
func (s *session) secrets() []secret.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []secret.Secret{s.password, s.tokens.Access, s.tokens.Refresh}
}

// pace lets three logins through at once and one a minute after that. A
// working login lasts for hours, so more can only be a storm: tokens that are
// not taken, or a CA that does not answer.
type pace struct{ full time.Time }

const (
	paceBurst    = 3
	paceInterval = time.Minute
)

// take lets one through, or says how long it has to wait.
func (p *pace) take(now time.Time) (wait time.Duration) {
	next := p.full
	if next.Before(now) {
		next = now
	}
	next = next.Add(paceInterval)
	if wait = next.Sub(now) - paceBurst*paceInterval; wait > 0 {
		return wait
	}
	p.full = next
	return 0
}
