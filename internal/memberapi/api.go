package memberapi

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/internal/ratelimit"
)

// Config is what the API is made of. Engine and Path are required.
type Config struct {
	Engine *engine.Engine
	// Path is below which everything lies, such as /member-api.
	Path string
	// BaseURL is what clients see before the path.
	BaseURL string
	// Directory is whose profiles may be signed for; the first that has the
	// profile when it is empty.
	Directory acme.DirectoryName
	// Identities knows the people of members by their bearer tokens; nil knows
	// nobody.
	Identities Identities
	// MaxBody bounds a request body (SL-1); 51,200 bytes when zero.
	MaxBody int64
	Limits  Limits
	Log     *slog.Logger
	Now     func() time.Time
}

// Limits bound what comes from one address. A zero field is no limit. What a
// member may do is the engine's business.
type Limits struct {
	// Requests of one address, of whatever kind.
	Requests ratelimit.Rate
	// Failures are credentials of one address that were not accepted; 20 in ten
	// minutes when zero: nobody who has one is that often wrong (SA-11).
	Failures ratelimit.Rate
	// Help is a page about the limits, for the link of a refusal.
	Help string
	// Rates is where the rates are kept; a table of their own when nil.
	Rates *ratelimit.Table
}

// API answers requests of members.
type API struct {
	cfg                Config
	log                *slog.Logger
	mux                *http.ServeMux
	requests, failures *ratelimit.Limit
}

// New returns the API.
func New(cfg Config) (*API, error) {
	switch {
	case cfg.Engine == nil:
		return nil, errors.New("memberapi: no engine")
	case !strings.HasPrefix(cfg.Path, "/") || strings.HasSuffix(cfg.Path, "/"):
		return nil, errors.New("memberapi: the path has to begin with / and not to end with it, such as /member-api")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 51_200
	}
	if cfg.Limits.Failures == (ratelimit.Rate{}) {
		cfg.Limits.Failures = ratelimit.Rate{Count: 20, Per: 10 * time.Minute}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	table := cfg.Limits.Rates
	if table == nil {
		table = ratelimit.New(ratelimit.Config{Now: cfg.Now, Entries: 1 << 12})
	}
	a := &API{
		cfg: cfg, log: cfg.Log, mux: http.NewServeMux(),
		requests: table.Limit(cfg.Limits.Requests), failures: table.Limit(cfg.Limits.Failures),
	}
	for _, row := range routes {
		a.mux.Handle(row.method+" "+cfg.Path+row.path, a.serve(row))
	}
	for path, methods := range methodsByPath() {
		a.mux.Handle(cfg.Path+path, a.serve(route{open: true, handle: func(_ *API, q *request) error { return q.wrongMethod(methods) }}))
	}
	a.mux.Handle("/", a.serve(route{open: true, handle: func(*API, *request) error { return acme.NotFound() }}))
	return a, nil
}

// Handles reports whether a request is for the API.
func (a *API) Handles(r *http.Request) bool {
	return r.URL.Path == a.cfg.Path || strings.HasPrefix(r.URL.Path, a.cfg.Path+"/")
}

// Beside returns a handler for both the API and what else is served there.
func (a *API) Beside(others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Handles(r) {
			a.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// ServeHTTP answers a request of a member.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// url returns the URL of something of the API.
func (a *API) url(path string) string { return a.cfg.BaseURL + a.cfg.Path + path }
