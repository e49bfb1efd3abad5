package xroad_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
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

// example is the configuration that people start from.
const example = "../../docs/ecosystems/x-road.yaml"

// bridge is a server as it is delivered: a process with a file.
type bridge struct {
	program, config, directory, dir string
	env                             []string
	client                          *http.Client
	challenges                      *xroad.Challenges
	end                             func(os.Signal)
	pid                             int
}

func (b *bridge) command(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.program, append(args, "--config", b.config)...)
	cmd.Env = b.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("acmebridge %s: %v: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// startBridge starts a server with the example, on free ports; change may alter its
// text.
func startBridge(t testing.TB, change func(string) string) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{program: filepath.Join(dir, "acmebridge"), config: filepath.Join(dir, "x-road.yaml"), dir: dir}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.program, "acmebridge/cmd/acmebridge").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.challenges = xroad.Listen(listener)
	t.Cleanup(func() { _ = b.challenges.Close() })
	listen, pki := testport.Address(t), testport.Address(t)
	_, port, _ := net.SplitHostPort(listen)
	b.directory = "https://localhost:" + port + "/xroad/directory"
	b.env = append(os.Environ(), "ACMEBRIDGE_LISTEN="+listen, "ACMEBRIDGE_BASE_URL=https://localhost:"+port,
		"ACMEBRIDGE_PKI_LISTEN="+pki, "ACMEBRIDGE_PKI_URL=http://"+pki, "ACMEBRIDGE_DATA_DIR="+filepath.Join(dir, "data"),
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", listener.Addr().(*net.TCPAddr).Port), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128")
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.config, []byte(change(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.serve(t)
	pem, err := os.ReadFile(filepath.Join(dir, "data", "tls-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	return b
}

func (b *bridge) serve(t testing.TB) {
	t.Helper()
	cmd := exec.Command(b.program, "serve", "--config", b.config)
	cmd.Dir, cmd.Env = b.dir, b.env
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
	b.pid = cmd.Process.Pid
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
	b.end = func(by os.Signal) {
		_ = cmd.Process.Signal(by) // it may have ended already
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("the server does not stop")
		}
	}
	end := b.end
	t.Cleanup(func() {
		end(syscall.SIGTERM)
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

// acmeYML adds a member and reads the block that its operator would paste.
func (b *bridge) acmeYML(t testing.TB, member, server string) map[string]xroad.Credential {
	t.Helper()
	out := b.command(t, "xroad", "member", "add", member, "--server", server, "--ca-name", "Example Issuing CA")
	values := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		values[name] = strings.Trim(value, "'")
	}
	credentials := map[string]xroad.Credential{}
	for _, usage := range []string{"auth", "sign"} {
		mac, err := xroad.DecodeMAC(values[usage+"-mac-key"])
		if err != nil || values[usage+"-kid"] == "" {
			t.Fatalf("no key for %s in %q: %v", usage, out, err)
		}
		credentials[usage] = xroad.Credential{KID: values[usage+"-kid"], MAC: mac}
	}
	return credentials
}

// brief pauses a second at most, as often as the Security Server does.
func brief(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(min(d, time.Second)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// securityServer is one with the credential that an operator has pasted.
func (b *bridge) securityServer(t testing.TB, c xroad.Credential, sleep func(context.Context, time.Duration) error) *xroad.SecurityServer {
	t.Helper()
	s, err := xroad.New(xroad.Config{DirectoryURL: b.directory, HTTP: b.client, Challenges: b.challenges, Contact: "member1@example.org", Sleep: sleep})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(c)
	return s
}

// TestServe has a Security Server order both of its certificates from a server as
// it is delivered, and activate them: case 31. The answer to the first question,
// right after the download, has to be good and fresh.
func TestServe(t *testing.T) {
	t.Parallel()
	b := startBridge(t, func(example string) string { return example })
	const host = "ss1.localhost"
	credentials := b.acmeYML(t, "EX:COM:5550001", host)
	for usage, key := range map[string]xroad.Key{
		"auth": xroad.AuthKey(signer(t), authSubject(host), host, host), "sign": xroad.SignKey(signer(t), signSubject(), host, host),
	} {
		s := b.securityServer(t, credentials[usage], brief)
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

// TestAnotherMember: the registry has the servers of each member, so nobody gets a
// certificate for the server of somebody else, even if its name leads to him; and
// what was refused, for whom and where, is told to whoever asks here.
func TestAnotherMember(t *testing.T) {
	t.Parallel()
	b := startBridge(t, func(example string) string { return example })
	own, other := b.acmeYML(t, "EX:COM:5550001", "ss1.localhost"), b.acmeYML(t, "EX:COM:5550002", "ss2.localhost")
	for name, tt := range map[string]struct {
		by         xroad.Credential
		key        xroad.Key
		code, kind string
	}{
		"another member's server":  {own["sign"], xroad.SignKey(signer(t), signSubject(), "ss2.localhost", "ss2.localhost"), "order_creation_failure", "rejectedIdentifier"},
		"a server that nobody has": {own["sign"], xroad.SignKey(signer(t), signSubject(), "ss3.localhost", "ss3.localhost"), "order_creation_failure", "rejectedIdentifier"},
		"another member's code":    {other["sign"], xroad.SignKey(signer(t), signSubject(), "ss2.localhost", "ss2.localhost"), "order_finalization_failure", "unauthorized"},
		"AUTH by the sign-kid":     {own["sign"], xroad.AuthKey(signer(t), authSubject("ss1.localhost"), "ss1.localhost", "ss1.localhost"), "order_finalization_failure", "badCSR"},
	} {
		_, err := b.securityServer(t, tt.by, brief).Order(t.Context(), tt.key)
		var seen *xroad.Error
		var refusal *xroad.Refusal
		if !errors.As(err, &seen) || seen.Code != tt.code || !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if kind, _ := refusal.Problem(); kind != tt.kind {
			t.Errorf("%s: %s, want %s", name, kind, tt.kind)
		}
	}
	var refused []struct{ ID string }
	if err := json.Unmarshal([]byte(b.command(t, "order", "list", "--member", "EX:COM:5550002", "--json")), &refused); err != nil || len(refused) != 1 {
		t.Fatal(refused, err)
	}
	says := b.command(t, "order", "explain", refused[0].ID)
	for _, want := range []string{"ss2.localhost", "EX:COM:5550002", "SIGN key", `"5550001"`, "acme.yml", "order again"} {
		if !strings.Contains(says, want) {
			t.Errorf("order explain does not say %q:\n%s", want, says)
		}
	}
}

// TestRestart is case 40: the server is killed between finalize and the next look,
// and nothing of the order, its URLs or the account is lost. An order that waits
// for its approval is on its way for as long as the test wants.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := startBridge(t, func(example string) string {
		return strings.ReplaceAll(example, "retry_after: 5s", "approval: required")
	})
	const host = "ss1.localhost"
	restarted := false
	s := b.securityServer(t, b.acmeYML(t, "EX:COM:5550001", host)["auth"], func(ctx context.Context, d time.Duration) error {
		var waiting []struct{ ID string }
		if err := json.Unmarshal([]byte(b.command(t, "order", "list", "--status", "processing", "--json")), &waiting); err != nil {
			t.Fatal(err)
		}
		if len(waiting) == 1 && !restarted {
			restarted = true
			b.end(syscall.SIGKILL)
			b.client.CloseIdleConnections()
			b.serve(t)
			b.command(t, "order", "approve", waiting[0].ID, "--reason", "it has survived")
		}
		return brief(ctx, d)
	})
	key := xroad.AuthKey(signer(t), authSubject(host), host, host)
	issued, err := s.Order(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := xroad.Import(issued.Leaf, key, time.Now()); err != nil || !restarted {
		t.Error(restarted, err)
	}
	// Nonces from before are replaced, and the account is known.
	if again, err := s.Login(t.Context(), true); err != nil || again.Status != http.StatusOK {
		t.Error(again, err)
	}
}
