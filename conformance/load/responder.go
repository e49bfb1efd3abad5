package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const challengePath = "/.well-known/acme-challenge/"

// responder answers the http-01 requests of all orders from one listener. Tokens are
// forgotten with their order, so memory does not grow with the run.
type responder struct {
	listener net.Listener
	server   *http.Server
	tokens   sync.Map // token to key authorization
}

func newResponder(address string) (*responder, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for http-01 requests (choose another address with -http01): %w", err)
	}
	r := &responder{listener: listener}
	r.server = &http.Server{Handler: http.HandlerFunc(r.answer), ReadHeaderTimeout: 10 * time.Second}
	return r, nil
}

// run serves until the context ends.
func (r *responder) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.server.Close() })
	defer stop()
	if err := r.server.Serve(r.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http-01 requests: %w", err)
	}
	return nil
}

func (r *responder) present(token, keyAuthorization string) { r.tokens.Store(token, keyAuthorization) }
func (r *responder) remove(token string)                    { r.tokens.Delete(token) }

func (r *responder) answer(w http.ResponseWriter, req *http.Request) {
	token, ok := strings.CutPrefix(req.URL.Path, challengePath)
	keyAuthorization, known := r.tokens.Load(token)
	if !ok || !known {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, keyAuthorization.(string)) // a server that has gone asks again
}
