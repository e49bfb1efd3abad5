// Command pebble runs Pebble the way pebbletest wants it: with settings on
// standard input, addresses on standard output, until standard input ends.
//
// It is a process of its own because Pebble reads its manners from the
// environment, and because its store has data races that would fail every test
// that is run with the race detector.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"acmebridge/conformance/testport"
)

// Settings is what is read, one JSON object.
type Settings struct {
	ExternalAccounts map[string]string
	Strict           bool
	AlternateRoots   int
	HTTP01Port       int
	Resolver         string
	ReuseProofs      int
}

// Addresses is what is written, one JSON object, once Pebble answers.
type Addresses struct {
	DirectoryURL string
	RootsPEM     []byte
	Issuing      [][]byte
}

// serials is a source of random numbers in which no eight octets begin with a zero.
// Pebble draws its serial numbers that way, and finds no certificate for a renewal
// whose number takes an octet more than its digits: one in 512 would fail a test.
type serials struct{ io.Reader }

func (s serials) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if len(p) == 8 && n > 0 {
		p[0] |= 0x40
	}
	return n, err
}

func main() {
	rand.Reader = serials{rand.Reader}
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
	// Nothing listens there: tls-alpn-01 is not part of these tests.
	closed, release, err := testport.Pick()
	if err != nil {
		return err
	}
	defer release()
	resolver := s.Resolver
	if resolver == "" {
		if resolver, err = startDNS(); err != nil {
			return err
		}
	}
	profiles := map[string]ca.Profile{"default": {Description: "the only profile"}}
	// EC keys, because making RSA keys takes longer than many a test.
	authority := ca.New(logger, store, "", "ecdsa", s.AlternateRoots, 1, profiles)
	validator := va.New(logger, s.HTTP01Port, closed, s.Strict, resolver, store)
	front := wfe.New(logger, store, validator, authority, []string{"pebble.letsencrypt.org"},
		s.Strict, len(s.ExternalAccounts) > 0, 0, 0)
	if err := reuseProofs(&front, s.ReuseProofs); err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(settled(store, front.Handler()))
	server.Config.ErrorLog = logger
	server.EnableHTTP2 = true
	server.StartTLS()
	var issuing [][]byte
	for i := range authority.GetNumberOfRootCerts() {
		issuing = append(issuing, authority.GetRootCert(i).DER)
	}
	if err := json.NewEncoder(os.Stdout).Encode(Addresses{
		Issuing:      issuing,
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

// reuseProofs says in how many of a hundred cases Pebble uses an authorization that
// it has for another order, too. PEBBLE_AUTHZREUSE=0 means one in a hundred, which is
// a test that fails now and then, and there is no other way to say never.
func reuseProofs(front *wfe.WebFrontEndImpl, percent int) error {
	field := reflect.ValueOf(front).Elem().FieldByName("authzReusePercent")
	if !field.IsValid() || field.Kind() != reflect.Int {
		return errors.New("this version of Pebble has no authzReusePercent")
	}
	*(*int)(field.Addr().UnsafePointer()) = percent - 1
	return nil
}

// settled holds back the download of a certificate until Pebble has made its notes
// of it: it does that after the order has turned valid, and a client that orders a
// replacement at once would get an error.
func settled(store *db.MemoryStore, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.Path, "/certZ/"); ok {
			serial, _, _ := strings.Cut(path, "/")
			deadline := time.Now().Add(time.Second) // of those there is no certificate for, too
			for !noted(store, serial) && time.Now().Before(deadline) {
				runtime.Gosched()
			}
		}
		next.ServeHTTP(w, r)
	})
}

func noted(store *db.MemoryStore, serial string) bool {
	order, err := store.GetOrderByIssuedSerial(serial)
	if err != nil {
		return false
	}
	if order.Replaces == "" {
		return true
	}
	_, replaced, _ := strings.Cut(order.Replaces, ".")
	b, err := base64.RawURLEncoding.DecodeString(replaced)
	if err != nil {
		return true // it will have said so
	}
	old, err := store.GetOrderByIssuedSerial(hex.EncodeToString(b))
	return err == nil && old.IsReplaced
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
