package pebbletest

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// Config says how rude Pebble shall be. Zero is as polite as it gets.
type Config struct {
	// RejectNonces is the share of good nonces refused, in percent.
	RejectNonces int
	// ExternalAccounts are the keys, by kid, that may be bound (base64url). When there
	// are any, every newAccount needs one.
	ExternalAccounts map[string]string
	// ReuseProofs is in how many of a hundred cases Pebble gives an order an
	// authorization that it has already.
	ReuseProofs int
	// Strict turns on Pebble's own strict mode.
	Strict bool
	// AlternateRoots is how many further chains each certificate has.
	AlternateRoots int
	// HTTP01Port is where http-01 validations go instead of a port of Start's choice.
	HTTP01Port int
	// Resolver is the name server, host:port, that validations ask in place of
	// one that has 127.0.0.1 for every name.
	Resolver string
}

// Server is a running Pebble.
type Server struct {
	DirectoryURL string
	// RootsPEM verify the server's own TLS certificate.
	RootsPEM []byte
	// Issuing are the roots of what it issues, in DER.
	Issuing [][]byte
	// HTTP01Listener is held open at the port Pebble validates at, for whoever
	// answers challenges; nil when Config named the port.
	HTTP01Listener net.Listener
	HTTP01Addr     string
}

// Start runs Pebble until the test ends, as a process of its own.
func Start(t *testing.T, cfg Config) *Server {
	t.Helper()
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

	cmd := exec.Command("go", "run", "-race=false", "acmebridge/conformance/pebbletest/pebble")
	cmd.Env = append(os.Environ(),
		"PEBBLE_WFE_NONCEREJECT="+strconv.Itoa(cfg.RejectNonces), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_VA_ALWAYS_VALID=0")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("pebbletest: start Pebble: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by this; a handler that has locked itself out ends with it
		if err := cmd.Wait(); err != nil {
			t.Errorf("pebbletest: Pebble ended with %v: %s", err, complaints.Bytes())
		}
	})
	settings := struct {
		ExternalAccounts map[string]string
		Strict           bool
		AlternateRoots   int
		HTTP01Port       int
		Resolver         string
		ReuseProofs      int
	}{cfg.ExternalAccounts, cfg.Strict, cfg.AlternateRoots, port, cfg.Resolver, cfg.ReuseProofs}
	if err := json.NewEncoder(in).Encode(settings); err != nil {
		t.Fatalf("pebbletest: %v", err)
	}
	if err := json.NewDecoder(out).Decode(s); err != nil {
		t.Fatalf("pebbletest: Pebble does not say where it is: %v", err)
	}
	return s
}
