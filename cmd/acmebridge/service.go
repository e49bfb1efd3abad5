package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"acmebridge/internal/admin"
	"acmebridge/internal/ocsp"
	"acmebridge/internal/pki"
	"acmebridge/storage"
)

// service is a server with its listeners. Make one with newService, which
// binds everything, then call run, which answers.
type service struct {
	*parts
	cert    *serverCertificate
	ocsp    *ocsp.Responder // nil where nobody wants answers
	limiter *limitListener
	servers []listening
	// clock says why the clock is not to be trusted, if it is not (SS-23).
	clock    string
	draining atomic.Bool
}

// listening is one listener and its server.
type listening struct {
	name     string
	listener net.Listener
	server   *http.Server
	tls      bool
}

// newService makes a server of the parts. On success the listeners are the
// service's, and run closes them; the store stays the caller's.
func newService(ctx context.Context, p *parts) (_ *service, err error) {
	s := &service{parts: p}
	// Its clients live in the time of the world, whatever clock a test gives us.
	if s.cert, err = newServerCertificate(p.cfg, p.log, time.Now); err != nil {
		return nil, err
	}
	if s.clock, err = checkClock(ctx, p.store, p.now()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, l := range s.servers {
				_ = l.listener.Close()
			}
		}
	}()
	if err := s.bindACME(); err != nil {
		return nil, err
	}
	if err := s.bindPKI(); err != nil {
		return nil, err
	}
	if err := s.bindUpstream(); err != nil {
		return nil, err
	}
	if err := s.bindAdmin(); err != nil {
		return nil, err
	}
	s.own.Store(s.ownAddresses())
	return s, nil
}

// bindACME binds the listener that clients use, with the limits of SL-2 to SL-6.
func (s *service) bindACME() error {
	c := s.cfg.Limits
	l, err := listen("listen", s.cfg.Listen)
	if err != nil {
		return err
	}
	hold := time.Duration(0)
	for _, p := range s.cfg.Profiles {
		hold = max(hold, p.Hold)
	}
	s.limiter = newLimitListener(l, c.Connections, c.ConnectionsPerAddress)
	handler := s.front.Handler()
	api, err := s.memberAPI()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if api != nil {
		handler = api.Beside(handler)
	}
	server := s.server("acme", handler)
	server.TLSConfig = s.cert.config()
	server.ReadHeaderTimeout = c.ReadHeaderTimeout
	server.ReadTimeout = c.ReadTimeout
	server.WriteTimeout = hold + c.WriteTimeout
	server.IdleTimeout = c.IdleTimeout
	server.MaxHeaderBytes = headerBytes(c.Header)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: c.Streams}
	s.servers = append(s.servers, listening{"acme", s.limiter, server, true})
	return nil
}

// headerBytes makes up for the 4 KiB that net/http adds to the bound it is given.
func headerBytes(total int) int { return max(total-4096, 1) }

func (s *service) bindPKI() error {
	if s.cfg.PKIListen == "" {
		return nil
	}
	var err error
	if s.ocsp, err = s.responder(); err != nil {
		return err
	}
	cfg := pki.Config{Source: s.engine, Chains: s.chains, Log: s.log, Now: s.now}
	if s.ocsp != nil {
		cfg.OCSP = s.ocsp
	}
	h, err := pki.New(cfg)
	if err != nil {
		return err
	}
	l, err := listen("pki_listen", s.cfg.PKIListen)
	if err != nil {
		return err
	}
	limited := newLimitListener(l, s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerAddress)
	s.servers = append(s.servers, listening{"pki", limited, s.server("pki", h), false})
	return nil
}

// bindAdmin binds the socket, and admin_listen where it is configured.
func (s *service) bindAdmin() error {
	health := admin.Health{
		Reasons: s.notReady, Warnings: func() []string { return append(s.warnings(), findings(s.engine.Standings())...) },
		Metrics: admin.Metrics(admin.MetricsConfig{
			Engine: s.engine, Nonces: func() admin.Nonces { return admin.Nonces(s.nonces.Stats()) }, Connections: s.limiter.counts, Version: version(),
			Limited: s.limited, Shed: s.front.Shed, Trees: s.ib1Trees,
			Ready: func() bool { return len(s.notReady()) == 0 },
		}),
	}
	api, err := s.handler(false)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", api)
	health.Mount(mux)
	socket, err := admin.Listen(s.cfg.DataDir)
	if err != nil {
		return err
	}
	server := s.server("admin socket", mux)
	server.WriteTimeout = 0 // a backup takes as long as it takes
	server.ConnContext = admin.ConnContext
	s.servers = append(s.servers, listening{"admin socket", socket, server, false})
	if s.cfg.AdminListen == "" {
		return nil
	}
	l, err := listen("admin_listen", s.cfg.AdminListen)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.cfg.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("admin_listen: %w", err), l.Close())
	}
	limited := newLimitListener(l, 128, 0)
	s.servers = append(s.servers, listening{"admin", limited, s.server("admin", health.Public(host)), false})
	return nil
}

// limited counts the refusals by limits of engine and front.
func (s *service) limited() map[string]int64 {
	all := s.engine.Limited()
	maps.Copy(all, s.front.Limited())
	return all
}

// server returns an http.Server with small limits.
func (s *service) server(name string, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 60 * time.Second, MaxHeaderBytes: headerBytes(16 << 10),
		ErrorLog: log.New(httpErrors{s.log, name}, "", 0),
	}
}

func listen(setting, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		// The setting says what net.OpError would say again in its own words.
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: cannot listen on %s: %w; end what uses the port, or configure another", setting, address, err)
	}
	return l, nil
}

// chains are what /roots/N.pem serves: those of the CAs, then our own.
func (s *service) chains() [][][]byte {
	chains := pki.Chains(s.engine.Roots())
	if own := s.cert.chain(); len(own) > 0 {
		chains = append(chains, own)
	}
	return chains
}

func (s *service) ownAddresses() *[]netip.AddrPort {
	var own []netip.AddrPort
	for _, l := range s.servers {
		if a, ok := l.listener.Addr().(*net.TCPAddr); ok {
			own = append(own, a.AddrPort())
		}
	}
	return &own
}

// notReady says why the server should get no work.
func (s *service) notReady() []string {
	var reasons []string
	select {
	case <-s.engine.Started():
	default:
		reasons = append(reasons, "starting: jobs of an earlier run are being looked at")
	}
	if s.draining.Load() {
		reasons = append(reasons, "stopping")
	}
	if s.clock != "" {
		reasons = append(reasons, s.clock)
	}
	return append(reasons, lockedOut(s.engine.Standings(), s.cfg)...)
}

const (
	// finish is how long requests may go on after the stop was asked for: the
	// longest hold, and a moment.
	finish = 10 * time.Second
	// remember is how long writing down the time may take at the end.
	remember = 2 * time.Second
)

// run answers until ctx ends, then lets the requests and steps that are under
// way come to their end and returns nil. When the store cannot be trusted any
// more it returns at once, with storage.ErrUnknown (SS-4).
func (s *service) run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var background sync.WaitGroup
	engineEnded := make(chan error, 1)
	go func() { engineEnded <- s.engine.Run(work) }()
	background.Go(func() { s.cert.watch(work) })
	background.Go(func() { s.watchIB1(work) })
	background.Go(func() { s.watchNotices(work) })
	if s.ocsp != nil {
		background.Go(func() { s.ocsp.Run(work) })
	}

	serverEnded := make(chan error, len(s.servers))
	for _, l := range s.servers {
		go func() { serverEnded <- l.serve() }()
	}
	var err error
	engineDone, serversDone := false, 0
	select {
	case <-ctx.Done():
		s.log.Info("stopping", "event", "server.stopping")
	case err = <-engineEnded:
		engineDone = true
	case err = <-s.unknown:
	case err = <-serverEnded:
		serversDone++
	}
	s.draining.Store(true)
	s.engine.ReleaseHolds()
	s.closeServers(err)
	for ; serversDone < len(s.servers); serversDone++ {
		err = errors.Join(err, <-serverEnded)
	}
	stopWork()
	if !engineDone {
		err = errors.Join(err, s.endEngine(engineEnded, err))
	}
	background.Wait()
	if errors.Is(err, storage.ErrUnknown) {
		return err
	}
	return errors.Join(err, s.rememberNow(ctx))
}

// endEngine waits for the work half, but not where nothing can be stored.
func (s *service) endEngine(ended <-chan error, reason error) error {
	if !errors.Is(reason, storage.ErrUnknown) {
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(3 * time.Second): // SS-4: 5 s in all
		return nil
	}
}

func (s *service) rememberNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), remember)
	defer cancel()
	return rememberClock(ctx, s.store, s.now())
}

// closeServers stops accepting and lets requests finish; not so when err says
// that no answer could be true any more.
func (s *service) closeServers(err error) {
	ctx, cancel := context.WithTimeout(context.Background(), finish)
	defer cancel()
	var all sync.WaitGroup
	for _, l := range s.servers {
		all.Go(func() {
			if errors.Is(err, storage.ErrUnknown) || l.server.Shutdown(ctx) != nil {
				_ = l.server.Close() // there is nothing left to lose
			}
		})
	}
	all.Wait()
}

func (l listening) serve() error {
	var err error
	if l.tls {
		err = l.server.ServeTLS(l.listener, "", "")
	} else {
		err = l.server.Serve(l.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("the %s listener failed: %w", l.name, err)
}

// tlsRoot is the file by which clients trust the server, empty when its
// certificate is somebody else's.
func (s *service) tlsRoot() string {
	if s.cert.private == nil {
		return ""
	}
	return absolute(filepath.Join(s.cfg.DataDir, tlsRootFile))
}

// logWarnings repeats at every start what ought to be changed (SV-4).
func (s *service) logWarnings(log *slog.Logger) {
	for _, w := range s.warnings() {
		log.Warn(w, "event", "config.warning")
	}
	if s.clock != "" {
		log.Error(s.clock, "event", "clock.backwards")
	}
}
