package xroad_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"acmebridge/conformance/testport"
	"acmebridge/conformance/xroad"
)

// patience is how long anything may take that ought to happen at once.
const patience = time.Minute

const configuration = `
listen: %[1]s
base_url: https://localhost:%[2]s
pki_listen: %[3]s
data_dir: %[4]s
validation: {http_port: %[5]d, allow: [127.0.0.0/8, "::1/128"]}
directories:
  xroad: {external_account: required, plain_contacts: true, fixed_keys: true, profiles: [xroad-auth, xroad-sign]}
profiles:
  xroad-auth: {backend: local, validity: 365d, dates: upper_bound, lenient_replaces: true, xroad: {usage: auth, subject: basic_acme}}
  xroad-sign: {backend: local, validity: 365d, dates: upper_bound, lenient_replaces: true, xroad: {usage: sign, subject: basic_acme}}
backends:
  local: {type: localca}
log: {format: json}
`

// bridge is a server as it is delivered: a process with a file.
type bridge struct {
	program, config, directory string
	client                     *http.Client
	challenges                 *xroad.Challenges
}

func (b *bridge) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.program, append(args, "--config", b.config)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("acmebridge %s: %v: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

func startBridge(t *testing.T) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{program: filepath.Join(dir, "acmebridge"), config: filepath.Join(dir, "acmebridge.yaml")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.program, "acmebridge/cmd/acmebridge").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.challenges = xroad.Listen(listener)
	t.Cleanup(func() { _ = b.challenges.Close() })
	listen := testport.Address(t)
	_, port, _ := net.SplitHostPort(listen)
	b.directory = "https://localhost:" + port + "/xroad/directory"
	text := fmt.Sprintf(configuration, listen, port, testport.Address(t), filepath.Join(dir, "data"), listener.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.serve(t, dir)
	pem, err := os.ReadFile(filepath.Join(dir, "data", "tls-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	return b
}

func (b *bridge) serve(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(b.program, "serve", "--config", b.config)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		said := false
		for out := bufio.NewScanner(stdout); out.Scan(); {
			if !said && strings.Contains(out.Text(), "is running") {
				said = true
				close(running)
			}
		}
		_ = cmd.Wait() // its log says how it ended
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("the server does not stop")
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.Bytes())
		}
	})
	select {
	case <-running:
	case <-ended:
		t.Fatal("the server does not start")
	case <-time.After(patience):
		t.Fatal("the server does not get ready")
	}
}

// securityServer is one with the credential that an operator would have pasted.
func (b *bridge) securityServer(t *testing.T, usage string) *xroad.SecurityServer {
	t.Helper()
	out := b.command(t, "eab", "create", "--directory", "xroad", "--member", "EX:COM:5550001", "--profile", "xroad-"+usage, "--uses", "0")
	var kid, mac string
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch strings.TrimSpace(name) {
		case "kid":
			kid = strings.TrimSpace(value)
		case "hmac_key":
			mac = strings.TrimSpace(value)
		}
	}
	key, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || kid == "" {
		t.Fatalf("no key in %q: %v", out, err)
	}
	s, err := xroad.New(xroad.Config{DirectoryURL: b.directory, HTTP: b.client, Challenges: b.challenges, Contact: "member1@example.org",
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(min(d, time.Second)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(xroad.Credential{KID: kid, MAC: key})
	return s
}

// TestServe has a Security Server order both of its certificates from a server as
// it is delivered, and activate them: case 31. The answer to the first question,
// right after the download, has to be good and fresh.
func TestServe(t *testing.T) {
	t.Parallel()
	b := startBridge(t)
	const host = "ss1.localhost"
	auth := []xroad.Attribute{{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.SerialNumber, Value: "5550001"}, {Type: xroad.CommonName, Value: host}}
	sign := []xroad.Attribute{
		{Type: xroad.Country, Value: "FI"}, {Type: xroad.Organization, Value: "Member One"}, {Type: xroad.BusinessCategory, Value: "COM"},
		{Type: xroad.SerialNumber, Value: "5550001"}, {Type: xroad.CommonName, Value: "Member One"},
	}
	for usage, key := range map[string]xroad.Key{
		"auth": xroad.AuthKey(signer(t), auth, host, host), "sign": xroad.SignKey(signer(t), sign, host, host),
	} {
		s := b.securityServer(t, usage)
		issued, err := s.Order(t.Context(), key)
		if err != nil {
			t.Fatalf("%s: %v", usage, err)
		}
		if err := xroad.Import(issued.Leaf, key, time.Now()); err != nil {
			t.Fatalf("%s: %v", usage, err)
		}
		state, err := s.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{})
		if err != nil {
			t.Fatalf("31 %s: %v", usage, err)
		}
		if state.Certificate == nil || time.Since(state.ThisUpdate) > 31*time.Minute {
			t.Errorf("31 %s: of %s, signed by %v", usage, state.ThisUpdate, state.Certificate)
		}
		// A responder of the Central Server is asked first, and one that does not
		// answer is passed over.
		if _, err := s.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{Responders: []string{"http://" + testport.Address(t) + "/"}}); err != nil {
			t.Errorf("31 %s, by way of another responder: %v", usage, err)
		}
		b.command(t, "cert", "revoke", fmt.Sprintf("%x", issued.Leaf.SerialNumber), "--reason", "keyCompromise")
		state, err = s.Activate(t.Context(), issued.Leaf, issued.Chain[1], xroad.Global{})
		if err == nil || state == nil || state.Status != ocsp.Revoked || state.RevocationReason != ocsp.KeyCompromise {
			t.Errorf("31 %s, revoked: %v, %v", usage, state, err)
		}
	}
}

func signer(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
