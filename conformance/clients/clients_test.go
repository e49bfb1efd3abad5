//go:build clients

package clients

import (
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"testing"
)

// serverKind chooses what the clients run against. Pebble, the test server that the
// clients' own authors use, shows whether a failure is the server's or the harness's.
var serverKind = flag.String("server", "acmebridge", "server to start: acmebridge or pebble")

// programs are the server binaries of this test run.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "acmebridge-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the server binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	source, known := map[string]string{
		"acmebridge": "acmebridge/cmd/acmebridge",
		"pebble":     "github.com/letsencrypt/pebble/v2/cmd/pebble",
	}[*serverKind]
	if !known {
		fmt.Fprintf(os.Stderr, "-server %s: use acmebridge or pebble\n", *serverKind)
		return 2
	}
	if err := goBuild(dir, source); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// server is a running ACME server with two directories, one of which takes no account
// without an external account binding.
type server struct {
	DirectoryURL    string
	EABDirectoryURL string
	WideURL         string // a directory with every kind of name and challenge, and profiles
	ShortURL        string // one with the short profile only; empty: there is none
	TLSRootPEM      string // file: what clients must trust to talk to the server
	IssuingRootPEM  string // file: what relying parties trust
	HTTPPort        int    // where the server sends http-01 requests
	TLSPort         int    // and tls-alpn-01
	Names           *nameServer
	NewEAB          func(t *testing.T) binding
	Revoked         func(t *testing.T, cert issued)            // fails the test unless the server says so to the world
	Replaced        func(t *testing.T, cert *x509.Certificate) // fails it unless an order named that one; nil: the server does not show
}

// binding is an external account key as a CA hands it out.
type binding struct{ kid, hmac string }

func startServer(t *testing.T) server {
	t.Helper()
	if *serverKind == "pebble" {
		return startPebble(t)
	}
	return startAcmebridge(t)
}

// Each client runs twice: with a binding, and without on a directory that needs none.
// Then it goes all other ways that it knows.
// Every client has a server and an http-01 port of its own, so that they can run at once.
func TestClients(t *testing.T) {
	t.Parallel()
	type one struct {
		new  func(*testing.T, setup) client
		ways []way
	}
	all := map[string]one{
		"certbot":    {newCertbot, []way{wildcard, profileOfDirectory}},
		"lego4":      {newLego4, []way{wildcard, byTLS, profileOfDirectory}},
		"lego5":      {newLego5, []way{wildcard, byTLS, addressByHTTP, addressByTLS, addressBesideName, profileChosen}},
		"dehydrated": {newDehydrated, []way{wildcard, byTLS, profileOfDirectory}},
		"uacme":      {newUacme, []way{wildcard, byTLS, addressByHTTP, addressByTLS, profileOfDirectory}},
	}
	if *acmesh != "" {
		all["acmesh"] = one{newAcmeSh, []way{wildcard, byTLS, addressBesideName, profileChosen}}
	}
	for name, one := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			t.Run("open", func(t *testing.T) {
				st := newSetup(t, s, s.DirectoryURL, binding{})
				live(t, st, one.new(t, st), name+".localhost", "www."+name+".localhost")
			})
			t.Run("bound", func(t *testing.T) {
				st := newSetup(t, s, s.EABDirectoryURL, s.NewEAB(t))
				live(t, st, one.new(t, st), name+"-eab.localhost")
			})
			for _, w := range one.ways {
				if w.directory(s) == "" {
					continue // Pebble has one directory
				}
				t.Run(w.name, func(t *testing.T) { w.goThrough(t, s, one.new) })
			}
		})
	}
}

// acme-tiny knows no external account binding, so the directory that requires one has
// to turn it away with the error that says why (R8555-7.3.4).
func TestAcmeTiny(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	t.Run("open", func(t *testing.T) {
		st := newSetup(t, s, s.DirectoryURL, binding{})
		live(t, st, newAcmeTiny(t, st).client(), "acmetiny.localhost", "www.acmetiny.localhost")
	})
	t.Run("refused without a binding", func(t *testing.T) {
		st := newSetup(t, s, s.EABDirectoryURL, binding{})
		newAcmeTiny(t, st).wantRefusal(t, "externalAccountRequired", "acmetiny-eab.localhost")
	})
}
