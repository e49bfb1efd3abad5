package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"acmebridge/internal/admin"
	"acmebridge/internal/failpoint"
)

// remote is what a server is like whose CA is another process: an imitation of
// one that is paid for each certificate and has no idea of idempotency.
const remote = `
listen: %[1]s:14000
base_url: https://%[1]s:14000
pki_listen: ""
data_dir: %[2]s
validation:
  http_port: %[3]d
  allow: [127.0.0.0/8]
  interval: 100ms
directories:
  default: {path: /directory, external_account: off, profiles: [tls]}
  approved: {path: /approved/directory, external_account: off, profiles: [approved]}
profiles:
  tls: {backend: ca, hold: 1s, resubmit_on_doubt: true, reattach_within: 1d}
  approved: {backend: ca, hold: 0s, resubmit_on_doubt: true, approval: required}
backends:
  ca: {type: sectigo, url: "http://%[1]s:14090", username: bridge, password_file: %[4]s, profile: CipherTrace EE, roots_file: %[5]s}
limits: {connections_per_address: 0, rates: {polls: off}}
log: {format: json}
`

// standin is the process of the CA. It outlives those of the server.
type standin struct {
	control string
}

// startRemote starts a CA, and a server in front of it with processes as
// planned. program is that of the server, which has the imitation in it.
func startRemote(t testing.TB, program string, web *responder, plan ...launch) (*server, *standin) {
	t.Helper()
	return startRemoteAs(t, program, remote, web, plan...)
}

// startRemoteAs is startRemote with another configuration.
func startRemoteAs(t testing.TB, program, configuration string, web *responder, plan ...launch) (*server, *standin) {
	t.Helper()
	host, dir := freeHost(t), t.TempDir()
	ca := &standin{control: "http://" + host + ":14091"}
	log, err := os.Create(filepath.Join(dir, "standin.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "standin", "sectigo", "--listen", host+":14090", "--control", host+":14091",
		"--created", "0s", "--processing", "0s", "--outcome", "refused.*=rejected:not yours")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		// It is to die with this process, even if that is killed. The kernel
		// ties that to the thread that has started it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the CA:\n%s", text)
		}
	})
	password, roots := filepath.Join(dir, "password"), filepath.Join(dir, "roots.pem")
	pem, err := ca.roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(password, []byte("bridge-password"), 0o600), os.WriteFile(roots, pem, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := startOn(t, program, host, func(data string) string {
		return fmt.Sprintf(configuration, host, data, web.port, password, roots)
	}, plan...)
	return s, ca
}

// ask asks the control port, also while the CA is still starting.
func (ca *standin) ask(ctx context.Context, path string) ([]byte, error) {
	return ca.do(ctx, http.MethodGet, path, "")
}

// tell gives the CA an instruction.
func (ca *standin) tell(ctx context.Context, path, instruction string) error {
	answer, err := ca.do(ctx, http.MethodPost, path, instruction)
	if err == nil && len(answer) > 0 {
		err = fmt.Errorf("tell the CA %s %s: %s", path, instruction, answer)
	}
	return err
}

func (ca *standin) do(ctx context.Context, method, path, instruction string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, method, ca.control+path, strings.NewReader(instruction))
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			return body, errors.Join(err, resp.Body.Close())
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return nil, fmt.Errorf("ask the CA: %w", err)
		}
	}
}

func (ca *standin) roots(ctx context.Context) ([]byte, error) { return ca.ask(ctx, "/roots.pem") }

// event is a line of the journal of the CA.
type event struct {
	Kind         string
	KeySHA256    string
	MoreKeys     []string `json:"moreKeysSha256"`
	Size         int
	SerialNumber string
	Endpoint     string
	Method       string
}

func (ca *standin) journal(ctx context.Context, kind string) (events []event, err error) {
	raw, err := ca.ask(ctx, "/journal?kind="+kind)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	for d.More() {
		var e event
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("read the journal of the CA: %w", err)
		}
		events = append(events, e)
	}
	return events, nil
}

// remoteLife is what is done with a server whose CA is another process: a
// certificate is ordered and revoked, one is refused by the CA, one is ordered by a client that does not
// wait and comes back with its key, an operator approves and rejects.
type remoteLife struct {
	server *server
	ca     *standin
	// plain has what it orders at once; its orders and those of supervised,
	// which somebody has to approve, are needs of two accounts.
	plain, supervised *client
	needs             int // what has to be paid for
	refusals          int // of these come to nothing
}

func newRemoteLife(s *server, ca *standin, web *responder) *remoteLife {
	const name = "remote.localhost"
	return &remoteLife{
		server: s, ca: ca,
		plain:      &client{server: s, web: web, directory: "/directory", key: newKey(), name: name},
		supervised: &client{server: s, web: web, directory: "/approved/directory", key: newKey(), name: name},
	}
}

func (l *remoteLife) live(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"ordering", l.order},
		{"a refusal", l.refused},
		{"approvals", l.approvals},
		{"the end", l.end},
	} {
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (l *remoteLife) order(ctx context.Context) error {
	c := l.plain
	if err := c.register(ctx, binding{}); err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := c.prove(ctx, o, prompt); err != nil {
		return err
	}
	if err := l.settle(ctx, func(ctx context.Context) error { return c.conclude(ctx, o) }); err != nil {
		return err
	}
	l.needs++
	// The same key again: what was bought is had at once.
	again, err := c.open(ctx)
	if err != nil {
		return err
	}
	again.key = o.key
	if err := c.prove(ctx, again, prompt); err != nil {
		return err
	}
	if err := c.conclude(ctx, again); err != nil {
		return err
	}
	if !bytes.Equal(o.chain, again.chain) {
		return fmt.Errorf("order %s has another certificate than %s, of the same key", again.url, o.url)
	}
	if err := c.revoke(ctx, o); err != nil {
		return err
	}
	leaf, err := leafOf(o.chain)
	if err != nil {
		return err
	}
	return c.until(ctx, func() (bool, error) {
		revoked, err := l.ca.journal(ctx, "revocation")
		for _, r := range revoked {
			if strings.EqualFold(strings.TrimLeft(r.SerialNumber, "0"), leaf.SerialNumber.Text(16)) {
				return true, err
			}
		}
		return false, err
	})
}

func (l *remoteLife) refused(ctx context.Context) error {
	c := l.plain
	proper := c.name
	c.name = "refused.localhost"
	defer func() { c.name = proper }()
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	o.mayFail = true
	if err := c.prove(ctx, o, prompt); err != nil {
		return err
	}
	if err := c.close(ctx, o); err != nil {
		return err
	}
	l.needs, l.refusals = l.needs+1, l.refusals+1
	return l.settle(ctx, func(ctx context.Context) error {
		switch err := c.fetch(ctx, o); {
		case errors.Is(err, errFailed):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("the CA refused order %s, and it has a certificate", o.url)
	})
}

func (l *remoteLife) approvals(ctx context.Context) error {
	c := l.supervised
	if err := c.register(ctx, binding{}); err != nil {
		return err
	}
	first, err := l.waiting(ctx, nil)
	if err != nil {
		return err
	}
	attached, err := l.waiting(ctx, first)
	if err != nil {
		return err
	}
	if err := l.decide(ctx, first, "approve"); err != nil {
		return err
	}
	l.needs++
	for _, o := range []*orderNote{first, attached} {
		if err := l.settle(ctx, func(ctx context.Context) error { return c.fetch(ctx, o) }); err != nil {
			return err
		}
	}
	if !bytes.Equal(first.chain, attached.chain) {
		return fmt.Errorf("order %s has another certificate than %s, to which it is attached", attached.url, first.url)
	}
	rejected, err := l.waiting(ctx, nil)
	if err != nil {
		return err
	}
	rejected.ending = true
	if err := l.decide(ctx, rejected, "reject"); err != nil {
		return err
	}
	return c.until(ctx, func() (bool, error) {
		x, err := read[order](ctx, c, rejected.url)
		return x.Status == "invalid", err
	})
}

// waiting places an order that waits for an operator, with the key of another,
// if any.
func (l *remoteLife) waiting(ctx context.Context, like *orderNote) (*orderNote, error) {
	c := l.supervised
	o, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	if like != nil {
		o.key = like.key
	}
	if err := c.prove(ctx, o, prompt); err != nil {
		return nil, err
	}
	return o, c.close(ctx, o)
}

func (l *remoteLife) decide(ctx context.Context, o *orderNote, verb string) error {
	id := o.url[strings.LastIndexByte(o.url, '/')+1:]
	err := l.server.operate(ctx, func(c *admin.Client, lost bool) error {
		_, err := admin.Post[json.RawMessage](ctx, c, "/v1/orders/"+id+"/"+verb, map[string]string{"reason": "a life"})
		if lost && err != nil && strings.Contains(err.Error(), "nobody") {
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s order %s: %w", verb, id, err)
	}
	return err
}

// unheard is how long an order may take before time is helped: when nobody can
// tell whether the CA has a request, the server looks twice, minutes apart.
const unheard = 8 * time.Second

// settle does what waits for the CA, and lets the server's clock jump whenever
// that takes long.
func (l *remoteLife) settle(ctx context.Context, do func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- do(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(unheard):
			if err := l.server.jump(ctx, 3*time.Minute); err != nil {
				return errors.Join(err, <-ended)
			}
		}
	}
}

func (l *remoteLife) end(ctx context.Context) error {
	for _, c := range []*client{l.plain, l.supervised} {
		if err := c.verify(ctx); err != nil {
			return err
		}
	}
	v, err := l.server.settled(ctx)
	if err != nil {
		return err
	}
	bought, err := l.ca.journal(ctx, "purchase")
	if err != nil {
		return err
	}
	keys := map[string]int{}
	for _, e := range bought {
		keys[e.KeySHA256]++
	}
	if len(bought) != l.needs || len(keys) != l.needs {
		err = fmt.Errorf("the CA was paid for %d certificates with %d keys; there were %d needs", len(bought), len(keys), l.needs)
	}
	certificates := 0
	for id, cs := range v.certificates {
		certificates += len(cs)
		if len(cs) > 1 {
			err = errors.Join(err, fmt.Errorf("order %s has %d certificates", id, len(cs)))
		}
	}
	if certificates != l.needs-l.refusals {
		err = errors.Join(err, fmt.Errorf("%d certificates are stored; there were %d needs, %d of them refused", certificates, l.needs, l.refusals))
	}
	return errors.Join(err, l.server.sound(ctx))
}

// remotePoints are the points that a life with a remote CA is worth a death at:
// those on the way of an order, on that of a revocation, and the operator's.
// The others have nothing to do with whom the certificates come from.
func remotePoints() (all []failpoint.Point) {
	for _, w := range []failpoint.Write{
		failpoint.Claim, failpoint.Finalize, failpoint.Intent, failpoint.Ticket, failpoint.Quarantine, failpoint.Deliver,
		failpoint.RevokeIntent, failpoint.RevokeResult, failpoint.OperatorDecision, failpoint.Fail,
	} {
		all = append(all, w.Before, w.After)
	}
	return append(all, failpoint.FinalizeParsed, failpoint.Sent, failpoint.PollRead, failpoint.RevokeSent)
}

// TestRemoteLife: nothing else means anything unless this goes well.
func TestRemoteLife(t *testing.T) {
	t.Parallel()
	web := startResponder(t)
	s, ca := startRemote(t, program("server"), web)
	l := newRemoteLife(s, ca, web)
	if err := l.live(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ends := s.ends(); len(ends) > 0 {
		t.Errorf("%d processes ended", len(ends))
	}
}

// TestRemoteKill kills the server at each point on the way of an order to a CA
// that is another process. Each need is paid for once, as the journal of the CA
// has it, and everybody gets what he ordered.
func TestRemoteKill(t *testing.T) {
	t.Parallel()
	for _, at := range remotePoints() {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			spec := string(at) + "=kill:1"
			web := startResponder(t)
			s, ca := startRemote(t, program("server"), web, launch{failpoints: spec})
			if err := newRemoteLife(s, ca, web).live(t.Context()); err != nil {
				t.Fatal(err)
			}
			if p := s.aimed(spec); p.failpoints != spec || !p.ended() || !p.killed() {
				t.Errorf("%s never fired", spec)
			}
		})
	}
}

// TestRemoteReconcile kills the server when the CA may or may not have heard,
// and the next one before and after it has found out.
func TestRemoteReconcile(t *testing.T) {
	t.Parallel()
	for _, at := range []failpoint.Point{failpoint.Reconcile.Before, failpoint.Reconcile.After} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			spec := string(at) + "=kill:1"
			web := startResponder(t)
			s, ca := startRemote(t, program("server"), web, launch{failpoints: string(failpoint.Sent) + "=kill:1"}, launch{failpoints: spec})
			if err := newRemoteLife(s, ca, web).live(t.Context()); err != nil {
				t.Fatal(err)
			}
			if p := s.aimed(spec); p.failpoints != spec || !p.ended() || !p.killed() {
				t.Errorf("%s never fired", spec)
			}
		})
	}
}

// ended says whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
