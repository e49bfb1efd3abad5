package xroad_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"acmebridge/conformance/testport"
	"acmebridge/conformance/xroad"
)

// patience is how long anything may take that ought to happen at once.
const patience = time.Minute

// example is the configuration that people start from.
const example = "../../docs/ecosystems/x-road.yaml"

// programs are built once, for whoever needs one.
type programs struct {
	once sync.Once
	dir  string
	err  error
}

var program programs

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(program.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// path is where the program is.
func (p *programs) path(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "acmebridge-xroad-"); p.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", p.dir+"/", "acmebridge/cmd/acmebridge").CombinedOutput()
		if err != nil {
			p.err = fmt.Errorf("build the program: %w: %s", err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return filepath.Join(p.dir, "acmebridge")
}

// bridge is a server as it is delivered: a process with a file.
type bridge struct {
	program, config, dir string
	host                 string // where it listens
	env                  []string
	client               *http.Client
	challenges           *xroad.Challenges
	log                  *lines
	end                  func(os.Signal)
	pid                  int
}

// lines is what a process writes while others read it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// try runs a command for the operator.
func (b *bridge) try(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.program, append(args, "--config", b.config)...)
	cmd.Env = b.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("acmebridge %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

func (b *bridge) command(t testing.TB, args ...string) string {
	t.Helper()
	out, err := b.try(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// startBridge starts a server with the example, on free ports; change may alter its
// text, and more is for its environment.
func startBridge(t testing.TB, change func(string) string, more ...string) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{program: program.path(t), config: filepath.Join(dir, "x-road.yaml"), dir: dir, log: &lines{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.challenges = xroad.Listen(listener)
	t.Cleanup(func() { _ = b.challenges.Close() })
	pki := testport.Address(t)
	b.host = testport.Address(t)
	_, port, _ := net.SplitHostPort(b.host)
	b.env = append(append(os.Environ(), "ACMEBRIDGE_LISTEN="+b.host, "ACMEBRIDGE_BASE_URL=https://localhost:"+port,
		"ACMEBRIDGE_PKI_LISTEN="+pki, "ACMEBRIDGE_PKI_URL=http://"+pki, "ACMEBRIDGE_DATA_DIR="+filepath.Join(dir, "data"),
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", listener.Addr().(*net.TCPAddr).Port), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128"), more...)
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.config, []byte(change(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.serve(t)
	b.client = &http.Client{Transport: b.transport(t)}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// transport trusts the server, and finds it by the names of all its directories.
func (b *bridge) transport(t testing.TB) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(b.dir, "data", "tls-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(address); host == "localhost" || host == productsHost {
				address = b.host // no DNS knows the second
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
}

func (b *bridge) serve(t testing.TB) {
	t.Helper()
	cmd := exec.Command(b.program, "serve", "--config", b.config)
	cmd.Dir, cmd.Env, cmd.Stderr = b.dir, b.env, b.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
			t.Logf("the server's log:\n%s", b.log)
		}
	})
	select {
	case <-running:
	case <-ended:
		t.Fatalf("the server does not start:\n%s", b.log)
	case <-time.After(patience):
		t.Fatal("the server does not get ready")
	}
}

// site is the server as cases see it.
func (b *bridge) site(directories map[string]string) *site {
	_, port, _ := net.SplitHostPort(b.host)
	return &site{
		directory: func(name string) string {
			if url, ok := directories[name]; ok {
				return strings.ReplaceAll(url, "PORT", port)
			}
			return "https://localhost:" + port + "/" + name + "/directory"
		},
		client: b.client, challenges: b.challenges, sleep: brief, credential: b.credential, bridge: b,
	}
}

// credential makes an external account key, as an operator does.
func (b *bridge) credential(t testing.TB, directory, member string, profiles ...string) xroad.Credential {
	t.Helper()
	args := []string{"eab", "create", "--directory", directory, "--member", member, "--uses", "0", "--json"}
	for _, p := range profiles {
		args = append(args, "--profile", p)
	}
	var made struct {
		ID      string `json:"id"`
		HMACKey string `json:"hmac_key"`
	}
	if err := json.Unmarshal([]byte(b.command(t, args...)), &made); err != nil {
		t.Fatal(err)
	}
	mac, err := xroad.DecodeMAC(made.HMACKey)
	if err != nil || made.ID == "" {
		t.Fatalf("no key: %+v, %v", made, err)
	}
	return xroad.Credential{KID: made.ID, MAC: mac}
}

// listed is an order as the operator sees it.
type listed struct {
	ID, Status  string
	Identifiers []struct{ Value string }
}

// orders are those for a name.
func (b *bridge) orders(t testing.TB, name string) []listed {
	t.Helper()
	var all []listed
	if err := json.Unmarshal([]byte(b.command(t, "order", "list", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(o listed) bool { return len(o.Identifiers) != 1 || o.Identifiers[0].Value != name })
}

// busy says whether an order for a name is on its way.
func (b *bridge) busy(t testing.TB, name string) bool {
	t.Helper()
	return slices.ContainsFunc(b.orders(t, name), func(o listed) bool { return o.Status == "processing" })
}

// settle waits until no order for a name is.
func (b *bridge) settle(t testing.TB, name string) {
	t.Helper()
	for deadline := time.Now().Add(patience); b.busy(t, name); {
		if time.Now().After(deadline) {
			t.Fatalf("the order for %s is not done", name)
		}
		if err := brief(t.Context(), 200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// acmeYML adds a member and reads the block that its operator would paste.
func (b *bridge) acmeYML(t testing.TB, member string, servers ...string) map[string]xroad.Credential {
	t.Helper()
	args := []string{"xroad", "member", "add", member, "--ca-name", "Example Issuing CA"}
	for _, s := range servers {
		args = append(args, "--server", s)
	}
	out := b.command(t, args...)
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
