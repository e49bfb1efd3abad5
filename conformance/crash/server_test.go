package crash_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const configuration = `
listen: %[1]s:14000
base_url: https://%[1]s:14000
pki_listen: %[1]s:14080
data_dir: %[2]s
validation:
  http_port: %[3]d
  resolvers: ["127.0.0.1:1"]
  allow: [127.0.0.0/8]
  interval: 100ms
directories:
  default: {path: /directory, external_account: off, profiles: [tls]}
  members: {path: /members/directory, external_account: required, profiles: [tls], pre_authorization: true}
profiles:
  tls: {backend: local, hold: 2s, identifiers: {types: [ip]}}
backends:
  local: {type: localca, issue: %[4]s}
limits: {connections_per_address: 0, rates: {polls: off}}
log: {format: json}
`

// launch is how one process is started.
type launch struct {
	failpoints string
	clock      time.Duration // how far its clock is ahead of ours
	// under is a program, with its arguments, that runs the server. DATABASE
	// in an argument stands for the path of the database.
	under []string
}

// server is a server under a supervisor: whenever its process ends, the next
// one is started on the same data, as a service manager would do.
type server struct {
	program, dir, host string
	stopped            chan struct{} // closed when the supervisor has ended

	mu      sync.Mutex
	plan    []launch // of the next processes; the last clock stays
	clock   time.Duration
	current *process
	changed chan struct{} // closed and replaced when current or its readiness changes
	ended   []*process    // all that have ended, in order
	stop    bool
}

// process is one process of a server.
type process struct {
	launch
	number int
	cmd    *exec.Cmd
	http   *http.Client
	log    string        // file
	ready  bool          // guarded by the server's mu
	done   chan struct{} // closed when it has ended
	ending time.Time     // when it ended
}

// startServer runs a server until the test ends. Its first processes are
// started as planned, all others without failpoints.
func startServer(t testing.TB, program, issue string, httpPort int, plan ...launch) *server {
	t.Helper()
	host := freeHost(t)
	return startOn(t, program, host, func(data string) string { return fmt.Sprintf(configuration, host, data, httpPort, issue) }, plan...)
}

// startOn is startServer with another configuration.
func startOn(t testing.TB, program, host string, configure func(data string) string, plan ...launch) *server {
	t.Helper()
	s := &server{
		program: program, dir: t.TempDir(), host: host, plan: plan,
		stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	if err := os.WriteFile(s.file(), []byte(configure(s.data())), 0o600); err != nil {
		t.Fatal(err)
	}
	go s.supervise()
	t.Cleanup(func() {
		if err := s.shutDown(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
		if t.Failed() {
			s.explain(t)
		}
	})
	return s
}

func (s *server) data() string     { return filepath.Join(s.dir, "data") }
func (s *server) database() string { return filepath.Join(s.data(), "acmebridge.db") }
func (s *server) file() string     { return filepath.Join(s.dir, "acmebridge.yaml") }
func (s *server) base() string     { return "https://" + s.host + ":14000" }

// hosts counts the loopback addresses handed out.
var hosts atomic.Uint32

// freeHost returns an address of the loopback network that nobody listens on.
// Its own address lets every server have the same ports, which nothing else
// can take between two of its processes.
func freeHost(t testing.TB) string {
	t.Helper()
	for range 1000 {
		n := hosts.Add(1)
		host := fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%64, 1+n/200, 1+n%200)
		acme, err := net.Listen("tcp", host+":14000")
		if err != nil {
			continue
		}
		pki, err := net.Listen("tcp", host+":14080")
		_ = acme.Close()
		if err != nil {
			continue
		}
		_ = pki.Close()
		return host
	}
	t.Fatal("no loopback address is free; the whole of 127.0.0.0/8 is needed, as Linux has it")
	return ""
}

// supervise starts a process whenever there is none.
func (s *server) supervise() {
	defer close(s.stopped)
	// The processes are to die with this one, even if it is killed. The kernel
	// ties that to the thread that has started them.
	runtime.LockOSThread()
	never := 0 // processes in a row that were never ready
	for number := 1; never < 10; number++ {
		s.mu.Lock()
		if s.stop {
			s.mu.Unlock()
			return
		}
		l := launch{clock: s.clock}
		if len(s.plan) > 0 {
			l, s.plan = s.plan[0], s.plan[1:]
			s.clock = l.clock
		}
		s.mu.Unlock()
		p, err := s.start(number, l)
		if err != nil {
			panic(fmt.Sprintf("cannot start %s: %v", s.program, err)) // nothing works without
		}
		<-p.done
		s.mu.Lock()
		s.ended = append(s.ended, p)
		if never++; p.http != nil {
			never = 0
		}
		s.mu.Unlock()
	}
}

func (s *server) start(number int, l launch) (*process, error) {
	p := &process{launch: l, number: number, done: make(chan struct{}), log: filepath.Join(s.dir, fmt.Sprintf("log.%d", number))}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	args := []string{s.program, "serve", "--config", s.file()}
	for i := len(l.under) - 1; i >= 0; i-- {
		args = append([]string{strings.ReplaceAll(l.under[i], "DATABASE", s.database())}, args...)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Stderr = s.dir, log
	p.cmd.Env = append(os.Environ(), "ACMEBRIDGE_FAILPOINTS="+l.failpoints)
	if l.clock != 0 {
		p.cmd.Env = append(p.cmd.Env, "ACMEBRIDGE_CLOCK_OFFSET=+"+l.clock.String())
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s.change(func() { s.current = p })
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "acmebridge is running") {
				client := s.httpClient(l.clock)
				s.change(func() { p.http, p.ready = client, true })
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait() // how it ended is in ProcessState
		_ = log.Close()
		p.ending = time.Now()
		s.change(func() { p.ready = false })
		close(p.done)
	}()
	return p, nil
}

func (s *server) change(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

// httpClient trusts what the server has written, at its time.
func (s *server) httpClient(clock time.Duration) *http.Client {
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(s.data(), "tls-root.pem")); err == nil {
		roots.AppendCertsFromPEM(pem) // without it no request succeeds, which says enough
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Now().Add(clock) }},
		MaxIdleConnsPerHost: 16,
	}}
}

// running waits for a process that answers.
func (s *server) running(ctx context.Context) (*process, error) {
	for {
		s.mu.Lock()
		p, changed := s.current, s.changed
		ready := p != nil && p.ready
		s.mu.Unlock()
		if ready {
			return p, nil
		}
		select {
		case <-changed:
		case <-s.stopped:
			return nil, errors.New("the server is stopped")
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the server to run: %w", ctx.Err())
		}
	}
}

// signal sends a signal to the process that runs now.
func (s *server) signal(ctx context.Context, sig os.Signal) (*process, error) {
	p, err := s.running(ctx)
	if err != nil {
		return nil, err
	}
	return p, p.cmd.Process.Signal(sig)
}

// restart has the server end in order, and be started again.
func (s *server) restart(ctx context.Context) error {
	p, err := s.signal(ctx, syscall.SIGTERM)
	if err != nil {
		return err
	}
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("process %d: asked to stop, it ended with %v", p.number, p.cmd.ProcessState)
	}
	return nil
}

// jump has the server started anew with its clock ahead by d. A process that
// was just dying anyway will do.
func (s *server) jump(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	s.clock += d
	for i := range s.plan {
		s.plan[i].clock = s.clock
	}
	s.mu.Unlock()
	p, err := s.signal(ctx, syscall.SIGTERM)
	if err != nil {
		if p != nil {
			err = nil // it had ended before the signal
		}
		return err
	}
	<-p.done
	return nil
}

// shutDown ends the server for good; the last process must end in order.
func (s *server) shutDown() error {
	s.mu.Lock()
	s.stop = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		// One that is just starting is told to stop when it is ready.
		p, err := s.signal(ctx, syscall.SIGTERM)
		select {
		case <-s.stopped:
			return s.lastEnd()
		default:
		}
		if err == nil {
			select {
			case <-p.done:
				continue
			case <-ctx.Done():
				err = errors.New("it did not end within 30 s of SIGTERM")
			}
		}
		if ctx.Err() == nil {
			continue // it ended between the look and the signal
		}
		s.mu.Lock()
		p = s.current
		s.mu.Unlock()
		if p != nil {
			_ = p.cmd.Process.Signal(syscall.SIGQUIT) // Go prints what all goroutines do
			<-p.done
		}
		<-s.stopped
		return err
	}
}

// lastEnd is an error unless the last process has ended in order.
func (s *server) lastEnd() error {
	ends := s.ends()
	if len(ends) == 0 {
		return nil
	}
	if p := ends[len(ends)-1]; p.cmd.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("process %d ended with %v", p.number, p.cmd.ProcessState)
	}
	return nil
}

// ends returns the processes that have ended.
func (s *server) ends() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*process(nil), s.ended...)
}

// killed says whether a SIGKILL ended the process.
func (p *process) killed() bool {
	w, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && w.Signaled() && w.Signal() == syscall.SIGKILL
}

// text is what the process wrote to standard error.
func (p *process) text() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// lines are the lines of its log among that.
func (p *process) lines() (lines []map[string]any) {
	for line := range strings.Lines(p.text()) {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// event returns when the log had the first event of that name.
func (p *process) event(name string) (at time.Time, ok bool) {
	for _, l := range p.lines() {
		if l["event"] == name {
			text, _ := l["time"].(string)
			at, err := time.Parse(time.RFC3339Nano, text)
			return at, err == nil
		}
	}
	return at, false
}

// explain shows what became of all processes.
func (s *server) explain(t testing.TB) {
	t.Helper()
	for _, p := range s.ends() {
		text := p.text()
		if len(text) > 8000 {
			text = "...\n" + text[len(text)-8000:]
		}
		t.Logf("process %d, failpoints %q, clock +%v: %v\n%s", p.number, p.failpoints, p.clock, p.cmd.ProcessState, text)
	}
}
