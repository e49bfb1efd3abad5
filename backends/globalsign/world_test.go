package globalsign_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/globalsign"
	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
)

// begin is when the stand-in's clock starts; it moves only by Advance.
var begin = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

const apiKey, apiSecret = "hvca-key", "hvca-secret"

// world is a stand-in that runs, and a backend in front of it.
type world struct {
	ca  *globalsigntest.CA
	url string
}

func newWorld(t *testing.T, cfg globalsigntest.Config) world {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = standin.Stopped(begin)
	}
	cfg.Curves = true // requests of the suite have EC keys
	ca, err := globalsigntest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return world{ca: ca, url: url}
}

func login(key, value string) func() (globalsign.Login, error) {
	return func() (globalsign.Login, error) {
		return globalsign.Login{Key: secret.New([]byte(key)), Secret: secret.New([]byte(value))}, nil
	}
}

func (w world) client(t *testing.T, change ...func(*globalsign.Config)) *globalsign.Client {
	t.Helper()
	cert, err := w.ca.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	cfg := globalsign.Config{
		URL: w.url, Login: login(apiKey, apiSecret), Certificate: func() (*tls.Certificate, error) { return &cert, nil },
		RootCAs: w.ca.Machines(), Dial: new(net.Dialer).DialContext, Now: w.ca.Now, PerSecond: 1 << 20,
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := globalsign.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w world) backend(t *testing.T, client *globalsign.Client, change ...func(*globalsign.BackendConfig)) *globalsign.Backend {
	t.Helper()
	issuing, root := w.ca.Roots()
	cfg := globalsign.BackendConfig{Client: client, Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, Now: w.ca.Now}
	for _, c := range change {
		c(&cfg)
	}
	b, err := globalsign.NewBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w world) breaks(t *testing.T, faults ...standin.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := w.ca.Break(f); err != nil {
			t.Fatal(err)
		}
	}
}

// request is one for new names and a new key.
func (w world) request() backends.Request {
	return backendtest.NewRequest(w.ca.Now(), backends.Traits{})
}

// TestContract joins the suite of all backends, under each kind of policy that an
// account may have.
func TestContract(t *testing.T) {
	t.Parallel()
	serverOnly := func(r backends.Request) backends.Request {
		r.Contract.Usages = []acme.Usage{acme.ServerAuth}
		return r
	}
	for name, test := range map[string]struct {
		cfg    globalsigntest.Config
		change func(backends.Request) backends.Request
	}{
		"in its time":       {cfg: globalsigntest.Config{Processing: time.Minute, Visibility: 30 * time.Second}},
		"at once":           {},
		"for servers alone": {cfg: globalsigntest.Config{ServerOnly: true, StaticUsages: true, BareKeys: true}, change: serverOnly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Subject {
				cfg := test.cfg
				cfg.TokenAge = 24 * time.Hour // many settle at once, and time flies
				w := newWorld(t, cfg)
				request := w.request
				if test.change != nil {
					request = func() backends.Request { return test.change(w.request()) }
				}
				kinds := []globalsigntest.Kind{
					globalsigntest.DropName, globalsigntest.AddName, globalsigntest.WrongKey, globalsigntest.NoServer, globalsigntest.Outlived, globalsigntest.Shorter,
				}
				if test.change == nil {
					kinds = append(kinds, globalsigntest.NoClient)
				}
				return backendtest.Subject{
					Backend: w.backend(t, w.client(t)),
					Request: request,
					Now:     w.ca.Now,
					Settle:  func() { w.ca.Advance(2 * time.Minute) },
					Reopen:  func() backends.Backend { return w.backend(t, w.client(t)) },
					Refuse: func() backends.Request {
						w.ca.Next(globalsigntest.Outcome{Kind: globalsigntest.Refused, Reason: "not ours"})
						return request()
					},
					Bought:   func() int { return len(w.ca.Purchases()) },
					Misissue: ways(func(kind globalsigntest.Kind) { w.ca.Next(globalsigntest.Outcome{Kind: kind}) }, kinds...),
					Damage: ways(func(kind string) { w.breaks(t, standin.Fault{Endpoint: "fetch", Kind: kind}) },
						"pem-truncated", "not-ready", "html", "html-502", "empty", "half-body", "reset-before", "redirect", "huge", "invalid-json"),
					Mend:      w.ca.Mend,
					LoseReply: func() { w.breaks(t, standin.Fault{Endpoint: "order", Kind: "reset-after", Count: 1}) },
					Unreachable: func() backends.Backend {
						return w.backend(t, w.client(t, func(c *globalsign.Config) {
							c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
						}))
					},
				}
			})
		})
	}
}

// ways makes of each kind of trouble something that brings it about.
func ways[T ~string](do func(T), kinds ...T) map[string]func() {
	m := map[string]func(){}
	for _, kind := range kinds {
		m[string(kind)] = func() { do(kind) }
	}
	return m
}
