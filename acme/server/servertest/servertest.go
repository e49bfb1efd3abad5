// Package servertest starts a whole ACME server inside of a test: engine,
// memory store, local CA, real validation over loopback, TLS. Only the disk is
// missing.
package servertest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
	"acmebridge/acme/server"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/backends/localca/localcatest"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

// Options change what the server is made of; the zero value is the usual.
type Options struct {
	// Store is the memory store when nil.
	Store storage.Store
	// Queued makes the local CA go the whole way of a remote one.
	Queued bool
	// CrossSigned has another root certify the local CA's, so that each
	// certificate has an alternate chain.
	CrossSigned bool
	// Backend replaces the local CA.
	Backend backends.Backend
	// Directories replace the usual two: "default", and "eab" with a path of
	// its own, which requires external account binding.
	Directories []acme.Directory
	// Profile may change the usual profile.
	Profile func(*acme.Profile)
	// Server and Engine may change what those are made of.
	Server func(*server.Config)
	Engine func(*engine.Config)
	// Log is where the server logs; nowhere when nil.
	Log *slog.Logger
}

// Server is a running server.
type Server struct {
	URL    string // the base URL
	Engine *engine.Engine
	Front  *server.Server
	CA     *localca.CA
	// TLSRoot is the root of the server's own certificate, in PEM.
	TLSRoot []byte
	// HTTP01 is the listener at which validations arrive. Whoever answers
	// them takes it.
	HTTP01 net.Listener
}

// DirectoryURL returns the URL of a directory.
func (s *Server) DirectoryURL(name acme.DirectoryName) string { return s.Front.DirectoryURL(name) }

// Client returns an HTTP client that trusts the server.
func (s *Server) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.TLSRoot)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
	}}
}

// Start runs a server until the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := &Server{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	if s.HTTP01, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.HTTP01.Close() }) // the taker may have closed it
	s.URL = "https://" + listener.Addr().String()

	cfg := engine.Config{
		Store: o.Store, Sealer: plain{}, Holder: rand.Text(), Log: o.Log,
		Validators: []challenges.Validator{validator(tb, s.HTTP01)},
		AccountURL: func(a acme.Account) string { return s.Front.AccountURL(a) },
		Drain:      2 * time.Second,
	}
	if cfg.Store == nil {
		cfg.Store = memory.New()
	}
	if o.Backend == nil {
		s.CA = openCA(tb, o)
		o.Backend = s.CA.Backend()
	}
	cfg.Backends = map[string]backends.Backend{"local": o.Backend}
	profile := Profile()
	if o.Profile != nil {
		o.Profile(&profile)
	}
	cfg.Profiles = map[acme.ProfileName]acme.Profile{profile.Name: profile}
	if cfg.Directories = o.Directories; cfg.Directories == nil {
		cfg.Directories = []acme.Directory{
			{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{profile.Name}, PreAuthorization: true},
			{Name: "eab", Path: "/eab/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{profile.Name}, PreAuthorization: true},
		}
	}
	if o.Engine != nil {
		o.Engine(&cfg)
	}
	if s.Engine, err = engine.New(cfg); err != nil {
		tb.Fatal(err)
	}
	nonces, err := nonce.New(nonce.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	front := server.Config{Engine: s.Engine, Nonces: nonces, BaseURL: s.URL, Log: o.Log}
	if o.Server != nil {
		o.Server(&front)
	}
	if s.Front, err = server.New(front); err != nil {
		tb.Fatal(err)
	}
	s.run(tb, listener)
	return s
}

func openCA(tb testing.TB, o Options) *localca.CA {
	tb.Helper()
	cfg := localca.Config{Dir: tb.TempDir(), Name: "local", PublicURL: "http://pki.test", Queued: o.Queued}
	ca, err := localca.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if !o.CrossSigned {
		return ca
	}
	now := time.Now()
	other := localcatest.NewAuthority(tb, "another root", now)
	cfg.Alternates = []string{filepath.Join(tb.TempDir(), "another.pem")}
	crossed := other.CrossSign(tb, ca.Roots()[0], now.AddDate(1, 0, 0), now)
	if err := os.WriteFile(cfg.Alternates[0], localcatest.PEM(crossed, other.Root), 0o600); err != nil {
		tb.Fatal(err)
	}
	if ca, err = localca.Open(cfg); err != nil {
		tb.Fatal(err)
	}
	return ca
}

// run starts the work half and the front, and stops both when the test ends:
// first whoever makes work, then whoever does it.
func (s *Server) run(tb testing.TB, listener net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Engine.Run(ctx) }()
	front := httptest.NewUnstartedServer(s.Front.Handler())
	_ = front.Listener.Close()
	front.Listener = listener
	front.EnableHTTP2 = true
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	front.StartTLS()
	s.TLSRoot = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	tb.Cleanup(func() {
		front.Close()
		stop()
		if err := <-ended; err != nil && !errors.Is(err, storage.ErrUnknown) {
			tb.Errorf("the engine ended with: %v", err)
		}
	})
	<-s.Engine.Started()
}

// Profile is the profile that a server has unless told otherwise.
func Profile() acme.Profile {
	return acme.Profile{
		Name: "tls", Description: "certificates for servers and clients", Backend: "local",
		Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
		Identifiers: acme.IdentifierPolicy{SingleLabel: true, Max: 100},
		Usages:      []acme.Usage{acme.ServerAuth, acme.ClientAuth}, Subject: acme.SubjectCommonName, Validity: 90 * 24 * time.Hour,
		OrderLifetime: 7 * 24 * time.Hour, AuthorizationLifetime: 30 * 24 * time.Hour, Hold: 3 * time.Second,
		IssuanceDeadline: 7 * 24 * time.Hour,
	}
}

func validator(tb testing.TB, at net.Listener) challenges.Validator {
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	resolver, err := egress.NewResolver(egress.ResolverConfig{Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		tb.Fatal(err)
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: resolver})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: dialer, Port: uint16(at.Addr().(*net.TCPAddr).Port)})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// plain keeps secrets in the clear: what a test seals dies with it.
type plain struct{}

func (plain) Seal(b, _ []byte) ([]byte, error) { return b, nil }
func (plain) Open(b, _ []byte) ([]byte, error) { return b, nil }
