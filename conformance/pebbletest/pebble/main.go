// Command pebble runs Pebble the way pebbletest wants it: with settings on
// standard input, addresses on standard output, until standard input ends.
//
// It is a process of its own because Pebble reads its manners from the
// environment, and because its store has data races that would fail every test
// that is run with the race detector.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Settings is what is read, one JSON object.
type Settings struct {
	ExternalAccounts map[string]string
	Strict           bool
	AlternateRoots   int
	HTTP01Port       int
}

// Addresses is what is written, one JSON object, once Pebble answers.
type Addresses struct {
	DirectoryURL string
	RootsPEM     []byte
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pebble:", err)
		os.Exit(1)
	}
}

func run() error {
	in := json.NewDecoder(os.Stdin)
	var s Settings
	if err := in.Decode(&s); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	for kid, key := range s.ExternalAccounts {
		if err := store.AddExternalAccountKeyByID(kid, key); err != nil {
			return fmt.Errorf("add external account key %q: %w", kid, err)
		}
	}
	closed, err := closedPort()
	if err != nil {
		return err
	}
	resolver, err := startDNS()
	if err != nil {
		return err
	}
	profiles := map[string]ca.Profile{"default": {Description: "the only profile"}}
	// EC keys, because making RSA keys takes longer than many a test.
	authority := ca.New(logger, store, "", "ecdsa", s.AlternateRoots, 1, profiles)
	validator := va.New(logger, s.HTTP01Port, closed, s.Strict, resolver, store)
	front := wfe.New(logger, store, validator, authority, []string{"pebble.letsencrypt.org"},
		s.Strict, len(s.ExternalAccounts) > 0, 0, 0)
	server := httptest.NewUnstartedServer(front.Handler())
	server.Config.ErrorLog = logger
	server.EnableHTTP2 = true
	server.StartTLS()
	if err := json.NewEncoder(os.Stdout).Encode(Addresses{
		DirectoryURL: server.URL + wfe.DirectoryPath,
		RootsPEM:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in.Buffered())
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin) // ends with whoever started us
	}
	return err
}

// closedPort is a port nothing listens at: tls-alpn-01 is not part of these tests.
func closedPort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a closed port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// startDNS answers every A query with 127.0.0.1 and everything else with nothing.
func startDNS() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for DNS: %w", err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(answerDNS)}
	go func() {
		if err := server.ActivateAndServe(); err != nil {
			fmt.Fprintln(os.Stderr, "pebble: DNS:", err)
			os.Exit(1)
		}
	}()
	return ln.Addr().String(), nil
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
