package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/cmd/acmebridge/config"
)

// What all demos have in common: a server in this process, with a temporary folder,
// for as long as the demo takes. A log is kept back unless something goes wrong.

// demoServer is that server.
type demoServer struct {
	*service
	dir    string
	logged *heldBack
	ended  chan error // one result, of the service
}

// demonstrate starts a server with what configure makes of the folder, and hands it
// to show. Nothing of it stays.
func (p *program) demonstrate(ctx context.Context, configure func(dir string) (*config.Config, error), show func(*demoServer) error) (err error) {
	dir, err := os.MkdirTemp("", "acmebridge-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for such things
	cfg, err := configure(dir)
	if err != nil {
		return err
	}
	d := &demoServer{dir: dir, logged: &heldBack{w: p.stderr}, ended: make(chan error, 1)}
	defer func() {
		if err != nil && !portTaken(err) {
			d.logged.release(true)
		}
	}()
	parts, err := assemble(ctx, cfg, newLogger(d.logged, cfg.Log), time.Now, use{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close()) }()
	if d.service, err = newService(ctx, parts); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	go func() { d.ended <- d.run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-d.ended)
	}()
	return show(d)
}

// stay returns when the server has ended, or somebody has had enough.
func (s *demoServer) stay(ctx context.Context) error {
	s.logged.release(false)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.ended:
		s.ended <- nil
		return err
	}
}

// demoSteps tells what is done in a demo, and what comes of it.
type demoSteps struct {
	out   io.Writer
	begun time.Time
	n     int
}

func (p *program) demoSteps() demoSteps { return demoSteps{out: p.stdout, begun: time.Now()} }

// step prints what was done, and what came of it.
func (d *demoSteps) step(what, result string) {
	d.n++
	fmt.Fprintf(d.out, "%-31s %s\n", fmt.Sprintf("%d. %s", d.n, what), result)
}

// took prints how long all the steps took.
func (d *demoSteps) took() {
	fmt.Fprintf(d.out, "\nAll of that took %s.\n", time.Since(d.begun).Round(time.Millisecond))
}

// ecosystem goes through what happens in an ecosystem whose members have that
// directory.
func (d *demoTour) ecosystem(ctx context.Context, s *demoServer, directory acme.DirectoryName, steps func(context.Context, engine.Operator) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.directory, d.web = s.front.DirectoryURL(directory), trusting(s.cert.clientConfig())
	defer d.web.CloseIdleConnections()
	d.step("start a server", d.directory)
	if err := steps(ctx, s.engine.Operator()); err != nil {
		return err
	}
	d.took()
	return nil
}

// demoAddresses are where a demo's server listens, for ACME and for downloads: where
// a server usually does, or on free ports when those are taken.
func demoAddresses() (front, pki string, err error) {
	if front, err = freeNear("127.0.0.1:14000"); err != nil {
		return "", "", err
	}
	pki, err = freeNear("127.0.0.1:14080")
	return front, pki, err
}

func freeNear(address string) (string, error) {
	l, err := listenNear(address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// listenNear listens on address, or on a free port when that one is taken.
func listenNear(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, splitErr
	}
	l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	return l, nil
}

// portOf is the port that a listener has.
func portOf(l net.Listener) (string, error) {
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// heldBack keeps a log that is of interest only when something goes wrong.
type heldBack struct {
	mu       sync.Mutex
	held     []byte // guarded by mu, like released
	released bool
	w        io.Writer
}

// Write keeps b, or passes it on once the rest was released.
func (h *heldBack) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return h.w.Write(b)
	}
	h.held = append(h.held, b...)
	return len(b), nil
}

// release passes on what comes from now on, and what was held if past is true.
func (h *heldBack) release(past bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if past {
		_, _ = h.w.Write(h.held) // there is nowhere to complain about it
	}
	h.held, h.released = nil, true
}
