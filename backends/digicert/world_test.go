package digicert_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/secret"
)

// begin is when the stand-in's clock starts; it moves only by Advance.
var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const apiKey = "digicert-key"

// world is a stand-in that runs, and a backend in front of it.
type world struct {
	ca  *digicerttest.CA
	url string
}

func newWorld(t *testing.T, cfg digicerttest.Config) world {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = digicerttest.Stopped(begin)
	}
	// Its clock stands still while a test makes its calls.
	if cfg.ShortRate == 0 {
		cfg.ShortRate, cfg.LongRate = -1, -1
	}
	ca, err := digicerttest.New(cfg)
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

func (w world) client(t *testing.T, change ...func(*digicert.Config)) *digicert.Client {
	t.Helper()
	cfg := digicert.Config{
		URL: w.url, Key: func() (secret.Secret, error) { return secret.New([]byte(apiKey)), nil }, Now: w.ca.Now,
		Dial: new(net.Dialer).DialContext, Short: 1 << 20, Long: 1 << 20,
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := digicert.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w world) backend(t *testing.T, client *digicert.Client, change ...func(*digicert.BackendConfig)) *digicert.Backend {
	t.Helper()
	issuing, root := w.ca.Roots()
	cfg := digicert.BackendConfig{Client: client, Organization: 117, Roots: [][]byte{root}, Intermediates: [][]byte{issuing}, Renewal: 90 * 24 * time.Hour, Now: w.ca.Now}
	for _, c := range change {
		c(&cfg)
	}
	b, err := digicert.NewBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w world) breaks(t *testing.T, faults ...digicerttest.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := w.ca.Break(f); err != nil {
			t.Fatal(err)
		}
	}
}

// request is one for new names and a new key. The CA's subjects name the
// organization.
func (w world) request() backends.Request {
	r := backendtest.NewRequest(w.ca.Now(), backends.Traits{})
	r.Contract.Subject = acme.SubjectByCA
	return r
}

// wrong are the ways in which a certificate is not what was ordered.
var wrong = []digicerttest.Kind{
	digicerttest.DropName, digicerttest.AddName, digicerttest.WrongKey, digicerttest.NoClient, digicerttest.NoServer, digicerttest.Outlived,
}

// TestContract joins the suite of all backends, with each shape in which the CA
// may answer an order, and with each way in which it may keep references.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]digicerttest.Config{
		"in its time":    {Processing: time.Minute, Visibility: 90 * time.Second},
		"at once":        {Answer: "id"},
		"approved by us": {Processing: time.Minute, NoApproval: true, RevokeByRequest: true, ForgetAlternative: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Subject {
				w := newWorld(t, cfg)
				return backendtest.Subject{
					Backend: w.backend(t, w.client(t)),
					Request: w.request,
					Now:     w.ca.Now,
					Settle:  func() { w.ca.Advance(time.Minute) },
					Reopen:  func() backends.Backend { return w.backend(t, w.client(t)) },
					Refuse: func() backends.Request {
						w.ca.Next(digicerttest.Outcome{Kind: digicerttest.Rejected, Reason: "not ours"})
						return w.request()
					},
					Bought:        func() int { return len(w.ca.Purchases()) },
					Misissue:      ways(func(kind digicerttest.Kind) { w.ca.Next(digicerttest.Outcome{Kind: kind}) }, wrong...),
					MisissueTwice: ways(func(kind digicerttest.Kind) { w.ca.Next(digicerttest.Outcome{Kind: kind, Reissue: kind}) }, wrong...),
					LoseReissue:   func() { w.breaks(t, digicerttest.Fault{Endpoint: "reissue", Kind: "reset-after", Count: 1}) },
					Reissued:      func() int { return len(w.ca.Journal("reissue")) },
					Damage: ways(func(kind digicerttest.Kind) {
						w.breaks(t, digicerttest.Fault{Endpoint: "download", Kind: string(kind)})
					},
						"pem-truncated", "html", "html-502", "empty", "half-body", "reset-before", "redirect", "huge"),
					Mend:      w.ca.Mend,
					LoseReply: func() { w.breaks(t, digicerttest.Fault{Endpoint: "order", Kind: "reset-after", Count: 1}) },
					Unreachable: func() backends.Backend {
						return w.backend(t, w.client(t, func(c *digicert.Config) {
							c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
						}))
					},
				}
			})
		})
	}
}

// ways makes of each kind of trouble something that brings it about.
func ways(do func(digicerttest.Kind), kinds ...digicerttest.Kind) map[string]func() {
	m := map[string]func(){}
	for _, kind := range kinds {
		m[string(kind)] = func() { do(kind) }
	}
	return m
}
