package admin

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Health answers whether the program is alive and whether it should get work.
type Health struct {
	// Reasons says why it should not; none means that it should.
	Reasons func() []string
	// Warnings stand for as long as they are true (SA-13, SV-4).
	Warnings func() []string
	// Metrics answers /metrics.
	Metrics http.Handler
}

// readiness is the body of /readyz.
type readiness struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Mount adds /healthz, /readyz and /metrics.
func (h Health) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the caller has gone if this fails
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := readiness{Reasons: h.Reasons(), Warnings: h.Warnings()}
		r.Ready = len(r.Reasons) == 0
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r) // the caller has gone if this fails
	})
	mux.Handle("GET /metrics", h.Metrics)
}

// Public is what admin_listen serves: health and metrics, to whoever asks for
// this very server. host is that of admin_listen.
func (h Health) Public(host string) http.Handler {
	mux := http.NewServeMux()
	h.Mount(mux)
	return onlyFor(host, mux)
}

// onlyFor refuses requests that were meant for somebody else (SA-2): a web page
// that has its own name point at this machine would otherwise read it through
// its visitor's browser. That takes a name, so addresses are always accepted.
func onlyFor(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Host
		if name, _, err := net.SplitHostPort(asked); err == nil {
			asked = name
		}
		asked = strings.Trim(asked, "[]")
		_, notAddress := netip.ParseAddr(asked)
		if notAddress != nil && !strings.EqualFold(asked, "localhost") && (host == "" || !strings.EqualFold(asked, host)) {
			http.Error(w, "this server is not called that", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
