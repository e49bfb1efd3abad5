package pki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"acmebridge/storage"
)

// Source is where publications come from; the engine is one.
type Source interface {
	// Publication returns what the public may fetch under a name, such as
	// crl/local.crl. ok is false when there is nothing.
	Publication(ctx context.Context, name string) (p storage.Publication, ok bool, err error)
}

// Config says what a handler serves.
type Config struct {
	Source Source
	// Chains returns what stands at /roots/N.pem: one entry for each root, the
	// root first and then the issuers below it, in DER. It is asked at every
	// request, because a CA may get a new issuer at any time. Nil is none.
	Chains func() [][][]byte
	// OCSP answers at /ocsp and below. Nil is nobody.
	OCSP http.Handler
	Log  *slog.Logger
	Now  func() time.Time
}

// Handler serves one PKI listener.
type Handler struct {
	source Source
	chains func() [][][]byte
	ocsp   http.Handler
	log    *slog.Logger
	now    func() time.Time
}

// New returns a handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Source == nil {
		return nil, errors.New("pki: a handler needs a source of publications")
	}
	h := &Handler{source: cfg.Source, chains: cfg.Chains, ocsp: cfg.OCSP, log: cfg.Log, now: cfg.Now}
	if h.chains == nil {
		h.chains = func() [][][]byte { return nil }
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	return h, nil
}

// names is what a publication may be called; anything else is not there, and
// the store is not asked.
var names = regexp.MustCompile(`^[a-z]{1,16}/[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// How long caches may keep what seldom changes.
const (
	certificateAge = 24 * time.Hour
	listAge        = time.Hour
)

// ServeHTTP answers GET and HEAD, and leaves OCSP to whoever knows it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if h.ocsp != nil && (r.URL.Path == "/ocsp" || strings.HasPrefix(r.URL.Path, "/ocsp/")) {
		h.ocsp.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if !names.MatchString(name) {
		http.NotFound(w, r)
		return
	}
	if number, ok := strings.CutPrefix(name, "roots/"); ok {
		h.root(w, r, number)
		return
	}
	h.publication(w, r, name)
}

func (h *Handler) root(w http.ResponseWriter, r *http.Request, file string) {
	number, ok := strings.CutSuffix(file, ".pem")
	n, err := strconv.Atoi(number)
	chains := h.chains()
	if !ok || err != nil || strconv.Itoa(n) != number || n < 0 || n >= len(chains) {
		http.NotFound(w, r)
		return
	}
	h.serve(w, r, object{body: encode(chains[n]), contentType: "application/pem-certificate-chain", age: listAge})
}

func (h *Handler) publication(w http.ResponseWriter, r *http.Request, name string) {
	p, ok, err := h.source.Publication(r.Context(), name)
	switch {
	case err != nil:
		h.log.Error("cannot read a publication", "event", "pki.read", "name", name, "cause", err)
		w.Header().Set("Retry-After", "30")
		http.Error(w, "this cannot be read at the moment", http.StatusServiceUnavailable)
	case !ok:
		http.NotFound(w, r)
	default:
		h.serve(w, r, object{body: p.Body, contentType: p.ContentType, at: p.At, age: h.age(p)})
	}
}

// age is how long a cache may keep p: a list not beyond the moment when the
// next one is due, so that a revocation is never late by more than that.
func (h *Handler) age(p storage.Publication) time.Duration {
	if p.Next.IsZero() {
		return certificateAge
	}
	return max(0, min(listAge, p.Next.Sub(h.now())))
}

type object struct {
	body        []byte
	contentType string
	at          time.Time
	age         time.Duration
}

// serve writes o. The standard library does conditional requests and ranges
// once the validators are set.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, o object) {
	sum := sha256.Sum256(o.body)
	w.Header().Set("Content-Type", o.contentType)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(o.age/time.Second)))
	http.ServeContent(w, r, "", o.at, bytes.NewReader(o.body))
}
