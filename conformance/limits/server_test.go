package limits

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"acmebridge/conformance/testport"

	"golang.org/x/crypto/acme"
)

// patience is how long anything may take that ought to happen at once.
const patience = 20 * time.Second

var program string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "limits")
	if err != nil {
		return 1, err
	}
	defer func() {
		if rmErr := os.RemoveAll(dir); err == nil {
			err = rmErr
		}
	}()
	program = filepath.Join(dir, "acmebridge")
	build := exec.Command("go", "build", "-o", program, "acmebridge/cmd/acmebridge")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 1, fmt.Errorf("build the program: %w", err)
	}
	return m.Run(), nil
}

const configuration = `
listen: %[1]s
base_url: https://localhost:%[2]s
pki_listen: %[3]s
admin_listen: %[4]s
data_dir: %[5]s
profiles: {tls: {backend: local, hold: 0s}}
backends: {local: {type: localca}}
log: {format: json, level: debug}
limits: {%[6]s}
`

// server is a running program.
type server struct {
	address, pki, admin string
	base                string
	roots               *x509.CertPool
	log                 string
	exited              chan struct{}
	good                *acme.Client
}

// start runs the program with these limits until the test ends. A test fails
// when the program ends by itself, or panics anywhere.
func start(t *testing.T, limits string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{address: testport.Address(t), pki: testport.Address(t), admin: testport.Address(t), log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	_, port, _ := net.SplitHostPort(s.address)
	s.base = "https://localhost:" + port
	file := filepath.Join(dir, "acmebridge.yaml")
	text := fmt.Sprintf(configuration, s.address, port, s.pki, s.admin, filepath.Join(dir, "data"), limits)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--config", file)
	cmd.Dir, cmd.Stderr = dir, log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{}) // closed when it says so
	go func() {
		defer close(s.exited)
		out := bufio.NewScanner(stdout)
		for said := false; out.Scan(); {
			if !said && strings.Contains(out.Text(), "is running") {
				said = true
				close(running)
			}
		}
		_ = cmd.Wait() // how it ended is in its log
	}()
	t.Cleanup(func() {
		select {
		case <-s.exited:
			t.Error("the server has ended by itself")
		default:
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(patience):
			t.Error("the server does not stop")
			_ = cmd.Process.Kill()
			<-s.exited
		}
		_ = log.Close()
		lines := s.lines(t)
		if strings.Contains(lines, "panic") || strings.Contains(lines, "goroutine ") {
			t.Error("something panicked")
		}
		if t.Failed() {
			t.Logf("the server's log ends with\n%s", lines[max(0, len(lines)-8000):])
		}
	})
	select {
	case <-running:
	case <-s.exited:
		t.Fatal("the server does not start")
	case <-time.After(patience):
		t.Fatal("the server does not get ready")
	}
	pem, err := os.ReadFile(filepath.Join(dir, "data", "tls-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(pem)
	s.register(t)
	return s
}

func (s *server) lines(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// register makes the client that behaves. It opens a connection for each
// request, so that every success is one with a fresh connection.
func (s *server) register(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.good = &acme.Client{Key: key, DirectoryURL: s.base + "/directory", HTTPClient: &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
			},
		},
	}}
	if _, err := s.good.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
}

// serves checks that the client that behaves is served, with a commit.
func (s *server) serves(t *testing.T) {
	t.Helper()
	if _, err := s.good.AuthorizeOrder(t.Context(), acme.DomainIDs("good.example.org")); err != nil {
		t.Errorf("the good client: %v", err)
	}
}

// metric reads one number from the server's metrics.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no metric %s in\n%s", name, b)
	return 0
}

// until asks again and again, which takes its time, until ok or for patience.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}
