package pebbletest

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Config says how rude Pebble shall be. Zero is as polite as it gets.
type Config struct {
	// RejectNonces is the share of good nonces refused, in percent.
	RejectNonces int
	// ExternalAccounts are the keys, by kid, that may be bound (base64url). When there
	// are any, every newAccount needs one.
	ExternalAccounts map[string]string
	// Strict turns on Pebble's own strict mode.
	Strict bool
	// AlternateRoots is how many further chains each certificate has.
	AlternateRoots int
	// HTTP01Port is where http-01 validations go instead of a port of Start's choice.
	HTTP01Port int
}

// Server is a running Pebble.
type Server struct {
	DirectoryURL string
	// RootsPEM verify the server's own TLS certificate.
	RootsPEM []byte
	// HTTP01Listener is held open at the port Pebble validates at, for whoever
	// answers challenges; nil when Config named the port.
	HTTP01Listener net.Listener
	HTTP01Addr     string
}

// Start runs Pebble until the test ends.
func Start(t *testing.T, cfg Config) *Server {
	t.Helper()
	t.Setenv("PEBBLE_WFE_NONCEREJECT", strconv.Itoa(cfg.RejectNonces))
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_VA_ALWAYS_VALID", "0")
	// A reused authorization would make an order ready before anybody answered.
	t.Setenv("PEBBLE_AUTHZREUSE", "0")

	s := &Server{}
	port := cfg.HTTP01Port
	if port == 0 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("pebbletest: reserve a port for http-01: %v", err)
		}
		t.Cleanup(func() { _ = ln.Close() }) // closed by its user in the usual case
		s.HTTP01Listener = ln
		port = ln.Addr().(*net.TCPAddr).Port
	}
	s.HTTP01Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	for kid, key := range cfg.ExternalAccounts {
		if err := store.AddExternalAccountKeyByID(kid, key); err != nil {
			t.Fatalf("pebbletest: add external account key %q: %v", kid, err)
		}
	}
	profiles := map[string]ca.Profile{"default": {Description: "the only profile"}}
	// EC keys, because making RSA keys takes longer than many a test.
	authority := ca.New(logger, store, "", "ecdsa", cfg.AlternateRoots, 1, profiles)
	validator := va.New(logger, port, closedPort(t), cfg.Strict, startDNS(t), store)
	front := wfe.New(logger, store, validator, authority, []string{"pebble.letsencrypt.org"},
		cfg.Strict, len(cfg.ExternalAccounts) > 0, 0, 0)

	server := httptest.NewUnstartedServer(front.Handler())
	server.Config.ErrorLog = logger
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		// A few of Pebble's handlers can lock themselves out; waiting for them in
		// Close would hang the test that found one.
		server.CloseClientConnections()
		_ = server.Listener.Close()
	})
	s.DirectoryURL = server.URL + wfe.DirectoryPath
	s.RootsPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return s
}

// closedPort is a port nothing listens at: tls-alpn-01 is not part of these tests.
func closedPort(t *testing.T) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("pebbletest: find a closed port: %v", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// startDNS answers every A query with 127.0.0.1 and everything else with nothing.
func startDNS(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("pebbletest: listen for DNS: %v", err)
	}
	ready := make(chan struct{})
	server := &dns.Server{
		Listener:          ln,
		NotifyStartedFunc: func() { close(ready) },
		Handler:           dns.HandlerFunc(answerDNS),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe() // ends with the listener
	}()
	select {
	case <-ready:
	case <-done:
		t.Fatalf("pebbletest: the DNS server did not start")
	}
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return ln.Addr().String()
}

func answerDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(query)
	for _, q := range query.Question {
		if q.Qtype == dns.TypeA && !strings.HasPrefix(q.Name, "*.") {
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
				A:   net.IPv4(127, 0, 0, 1),
			})
		}
	}
	_ = w.WriteMsg(reply) // the asker is gone
}
