package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
)

// Config is what a server is made of. Engine, Nonces and BaseURL are required.
type Config struct {
	Engine *engine.Engine
	Nonces *nonce.Source
	// BaseURL is what clients see: https, host and port, no path. A directory
	// with a host of its own gets that host instead.
	BaseURL string
	Log     *slog.Logger
	Now     func() time.Time
	// MaxBody bounds a request body (SL-1); 51,200 bytes when zero.
	MaxBody int64
	// SignatureChecks bounds how many signatures are verified at once (SL-12);
	// twice the number of processors when zero.
	SignatureChecks int
	// BadSignatures is how many requests with a bad signature one address may
	// send in a minute (SL-11); 60 when zero, no bound when negative.
	BadSignatures int
	// Limits bound what comes from one address; none when zero.
	Limits Limits
	// Origins are the web origins that may use the server from a browser; "*"
	// is any (R8555-6.1-5). None: no such headers are sent.
	Origins []string
	// AccountHashPrefix is what hashed account URIs in records of
	// dns-persist-01 begin with. Empty: they are in the clear, and challenges
	// have the form of revision 01 of the draft.
	AccountHashPrefix string
}

// Server answers ACME requests.
type Server struct {
	cfg     Config
	log     *slog.Logger
	sites   []*site
	checks  chan struct{} // one slot for each signature that is being verified
	waiting atomic.Int64  // requests that wait for such a slot
	limits  *limits
}

// site is one directory as the outside sees it.
type site struct {
	*Server
	directory acme.Directory
	base      string // scheme, host and port
	prefix    string // path below which the resources lie
	object    []byte // the directory object, which never changes
}

// New returns a server for all directories of the engine.
func New(cfg Config) (*Server, error) {
	if cfg.Engine == nil || cfg.Nonces == nil {
		return nil, errors.New("server: no engine or no nonces")
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme != "https" || base.Host == "" || strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("server: base URL %q has to be https://host or https://host:port (R8555-6.1-1)", cfg.BaseURL)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 51_200
	}
	if cfg.SignatureChecks == 0 {
		cfg.SignatureChecks = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.BadSignatures == 0 {
		cfg.BadSignatures = 60
	}
	s := &Server{
		cfg: cfg, log: cfg.Log,
		checks: make(chan struct{}, cfg.SignatureChecks),
		limits: newLimits(cfg),
	}
	for _, d := range cfg.Engine.Directories() {
		st := &site{Server: s, directory: d, base: siteBase(base, d), prefix: "/acme/" + string(d.Name)}
		if st.object, err = st.directoryObject(); err != nil {
			return nil, err
		}
		s.sites = append(s.sites, st)
	}
	return s, nil
}

// siteBase is the base URL of a directory: its own host, with the port of the
// configured base URL.
func siteBase(base *url.URL, d acme.Directory) string {
	host := base.Host
	if d.Host != "" {
		host = d.Host
		if port := base.Port(); port != "" && !strings.Contains(d.Host, ":") {
			host += ":" + port
		}
	}
	return "https://" + host
}

// Handler returns the server as one handler.
func (s *Server) Handler() http.Handler {
	root := mux.NewRouter().SkipClean(true).UseEncodedPath()
	// A directory on a host of its own answers there and nowhere else, so it
	// is asked first.
	sites := slices.Clone(s.sites)
	slices.SortStableFunc(sites, func(a, b *site) int { return len(b.directory.Host) - len(a.directory.Host) })
	for _, st := range sites {
		r := root
		if st.directory.Host != "" {
			r = root.MatcherFunc(onHost(st.directory.Host)).Subrouter()
		}
		st.mount(r)
	}
	root.NotFoundHandler = s.common(nil, func(a *answer) error { return acme.NotFound() })
	return root
}

// onHost matches requests to a host, on whatever port. The router's own rule
// for hosts takes north.example and North.Example for two.
func onHost(host string) mux.MatcherFunc {
	host = hostOnly(host)
	return func(r *http.Request, _ *mux.RouteMatch) bool { return strings.EqualFold(hostOnly(r.Host), host) }
}

// hostOnly returns a host without its port and without the dot that ends a
// name at the root.
func hostOnly(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// DirectoryURL returns the URL of a directory, empty when there is none of
// that name.
func (s *Server) DirectoryURL(name acme.DirectoryName) string {
	for _, st := range s.sites {
		if st.directory.Name == name {
			return st.base + st.directory.Path
		}
	}
	return ""
}

// AccountURL returns the URL of an account.
func (s *Server) AccountURL(a acme.Account) string {
	for _, st := range s.sites {
		if st.directory.Name == a.Directory {
			return st.accountURL(a.ID)
		}
	}
	return ""
}
