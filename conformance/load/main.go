package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// config is what the flags say.
type config struct {
	directory      string
	clients        int
	orders         int
	accounts       int
	duration       time.Duration
	orderTimeout   time.Duration
	caFile         string
	insecure       bool
	pid            int
	http01         string
	suffix         string
	newConnections bool
	eabKID         string
	eabHMAC        string
	keyPool        int
	json           bool
}

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	if c.json {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r)
	} else {
		err = r.print(os.Stdout)
	}
	if err != nil || r.Failed > 0 {
		os.Exit(1)
	}
}

func parseFlags(args []string, help io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(help)
	f.StringVar(&c.directory, "directory", "https://localhost:14000/directory", "ACME directory `URL`")
	f.IntVar(&c.clients, "clients", 8, "clients that order at the same time")
	f.IntVar(&c.orders, "orders", 1000, "orders in all")
	f.IntVar(&c.accounts, "accounts", 0, "accounts in all: fewer than clients are shared, more take turns (default one per client)")
	f.DurationVar(&c.duration, "duration", 10*time.Minute, "stop after this time at the latest")
	f.DurationVar(&c.orderTimeout, "order-timeout", 2*time.Minute, "give one order up after this time")
	f.StringVar(&c.caFile, "ca", "", "PEM `file` with the root of the server's TLS certificate (default the system's roots)")
	f.BoolVar(&c.insecure, "insecure", false, "do not check the server's TLS certificate")
	f.IntVar(&c.pid, "pid", 0, "process id of the server, to report what an order costs it")
	f.StringVar(&c.http01, "http01", "127.0.0.1:5002", "`address` on which http-01 requests are answered")
	f.StringVar(&c.suffix, "suffix", "localhost", "domain under which the random names are made")
	f.BoolVar(&c.newConnections, "new-connections", false, "a new TLS connection for every request instead of keep-alive")
	f.StringVar(&c.eabKID, "eab-kid", "", "external account key id")
	f.StringVar(&c.eabHMAC, "eab-hmac", "", "external account key, base64url without padding")
	f.IntVar(&c.keyPool, "key-pool", 0, "reuse this many certificate keys (default a new key per order)")
	f.BoolVar(&c.json, "json", false, "print the report as JSON")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.accounts == 0 {
		c.accounts = c.clients
	}
	var problem string
	switch {
	case f.NArg() > 0:
		problem = fmt.Sprintf("unexpected argument %q", f.Arg(0))
	case c.clients < 1 || c.orders < 1 || c.accounts < 1:
		problem = "-clients, -orders and -accounts must be at least 1"
	case c.duration <= 0 || c.orderTimeout <= 0:
		problem = "-duration and -order-timeout must be more than 0"
	case (c.eabKID == "") != (c.eabHMAC == ""):
		problem = "-eab-kid and -eab-hmac belong together"
	case c.caFile != "" && c.insecure:
		problem = "-ca and -insecure exclude each other"
	}
	if problem != "" {
		fmt.Fprintln(help, "load:", problem)
		return c, errors.New(problem)
	}
	return c, nil
}

// run does the whole measurement. It returns when everything that it started has ended;
// a cancelled context ends it early with what was measured so far.
func run(ctx context.Context, c config) (report, error) {
	roots, err := readRoots(c.caFile)
	if err != nil {
		return report{}, err
	}
	web, err := newResponder(c.http01)
	if err != nil {
		return report{}, err
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer stopBackground()
	var webErr error
	helpers.Go(func() { webErr = web.run(background) })

	ctx, cancel := context.WithTimeout(ctx, c.duration)
	defer cancel()
	clients, err := connect(ctx, c, roots)
	if err != nil {
		return report{}, err
	}
	keys, err := newKeyPool(c.keyPool)
	if err != nil {
		return report{}, err
	}
	var cost *processCost
	var watchErr error
	if c.pid != 0 {
		procDir := filepath.Join("/proc", strconv.Itoa(c.pid))
		if _, err := readUsage(procDir); err != nil {
			return report{}, err
		}
		cost = &processCost{}
		helpers.Go(func() { *cost, watchErr = watch(background, procDir, 200*time.Millisecond) })
	}

	m := &measurement{config: c, web: web, keys: keys}
	recorders := m.orderAll(ctx, clients)
	stopBackground()
	helpers.Wait()
	if webErr != nil {
		return report{}, webErr
	}
	r := m.report(recorders, clients, cost)
	if watchErr != nil {
		r.Errors["server process: "+watchErr.Error()]++
	}
	return r, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // the system's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read -ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read -ca: no certificate in %s", file)
	}
	return roots, nil
}

// connect makes the clients and registers their accounts, before the clock starts.
// Every client has a transport of its own, as separate machines would.
func connect(ctx context.Context, c config, roots *x509.CertPool) ([]*client, error) {
	clients := make([]*client, c.clients)
	for i := range clients {
		clients[i] = &client{http: &http.Client{
			Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: roots, InsecureSkipVerify: c.insecure},
				DisableKeepAlives: c.newConnections,
			},
			Timeout: time.Minute,
		}}
	}
	d, err := fetchDirectory(ctx, clients[0].http, c.directory)
	if err != nil {
		return nil, err
	}
	failed := make([]error, c.clients)
	var registering sync.WaitGroup
	for i, one := range clients {
		one.directory = d
		registering.Go(func() {
			for n := i; n < c.accounts && failed[i] == nil; n += c.clients {
				failed[i] = one.register(ctx, c.eabKID, c.eabHMAC)
			}
		})
	}
	registering.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	for i, one := range clients {
		if i >= c.accounts {
			one.accounts = clients[i%c.accounts].accounts
		}
		one.nextAccount()
		one.requests, one.badNonces = 0, 0
	}
	return clients, nil
}

// measurement is one run of all clients.
type measurement struct {
	config  config
	web     *responder
	keys    *keyPool
	started time.Time
	elapsed time.Duration
	next    atomic.Int64  // number of orders handed out
	onOrder func(n int64) // called when order n begins; nil: nothing
}

// orderAll lets the clients take order after order until none is left.
func (m *measurement) orderAll(ctx context.Context, clients []*client) []*recorder {
	recorders := make([]*recorder, len(clients))
	m.started = time.Now()
	var running sync.WaitGroup
	for i, c := range clients {
		recorders[i] = newRecorder()
		running.Go(func() {
			m.orderMany(ctx, c, recorders[i])
			c.http.CloseIdleConnections()
		})
	}
	running.Wait()
	m.elapsed = time.Since(m.started)
	return recorders
}

func (m *measurement) orderMany(ctx context.Context, c *client, times *recorder) {
	for ctx.Err() == nil {
		n := m.next.Add(1)
		if n > int64(m.config.orders) {
			return
		}
		if m.onOrder != nil {
			m.onOrder(n)
		}
		at, err := m.orderOne(ctx, c, int(n), times)
		switch {
		case err == nil:
			times.done = append(times.done, time.Since(m.started))
		case ctx.Err() != nil:
			return // cut off by the end of the run, which is no fault of the server
		default:
			times.fail(at, err)
			// A server that is down answers at once; do not spend the whole run on it.
			pause(ctx, 20*time.Millisecond)
		}
	}
}

func (m *measurement) orderOne(ctx context.Context, c *client, n int, times *recorder) (step, error) {
	key, err := m.keys.key(n)
	if err != nil {
		return stepOrder, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.config.orderTimeout)
	defer cancel()
	c.nextAccount()
	return c.order(ctx, randomName(m.config.suffix), key, m.web, times)
}

// pause waits, or returns early when the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
