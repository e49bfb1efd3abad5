package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
)

func (p *program) demoCommand() *cobra.Command {
	var keep bool
	var ecosystem string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start a server in a temporary folder and have a certificate issued, step by step",
		Long: `Start a server with the defaults in a temporary folder, and have a certificate issued to a standard
ACME client (golang.org/x/crypto/acme): account, order, http-01 challenge, finalize, download.
Each step is printed, and the certificate. Nothing of it stays.

With --keep the server stays up until Ctrl-C, and commands for certbot and lego are printed.

With --ecosystem ib1 it is an IB1 trust framework instead: the ceremony of a root, an application of
a member, its first certificate and its renewal, and a role that is taken away.

With --ecosystem x-road a Security Server, which is played here, orders its authentication and its
signing certificate, activates them by OCSP, renews one, and is refused another member's.`,
		Example: "  acmebridge demo\n  acmebridge demo --keep\n  acmebridge demo --ecosystem ib1\n  acmebridge demo --ecosystem x-road",
		Args:    usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if p.file != "" || p.data != "" {
				return usage.Errorf("it has a configuration and a folder of its own; leave out --config and --data")
			}
			if err := oneOf("--ecosystem", ecosystem, "ib1", "x-road"); err != nil {
				return err
			}
			if ecosystem != "" && keep {
				return usage.Errorf("--keep is for the demo without an ecosystem")
			}
			return onFreePorts(func() error {
				switch ecosystem {
				case "ib1":
					return p.demoIB1(c.Context())
				case "x-road":
					return p.demoXRoad(c.Context())
				}
				return p.demo(c.Context(), keep)
			})
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave the server running, and print commands for other clients")
	c.Flags().StringVar(&ecosystem, "ecosystem", "", "ib1 or x-road: a demo of that ecosystem")
	return c
}

// demoName is what the demo orders: names below localhost are this machine,
// whatever the DNS says (RFC 6761, 6.3).
const demoName = "demo.localhost"

func (p *program) demo(ctx context.Context, keep bool) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "acmebridge-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for such things

	responder, err := listenNear("127.0.0.1:5002")
	if err != nil {
		return err
	}
	defer func() { _ = responder.Close() }() // closed already unless a step failed
	cfg, err := demoConfig(dir, responder.Addr())
	if err != nil {
		return err
	}
	logged := &heldBack{w: p.stderr}
	defer func() {
		if err != nil && !portTaken(err) {
			logged.release(true)
		}
	}()
	log := newLogger(logged, cfg.Log)
	parts, err := assemble(ctx, cfg, log, time.Now, use{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close()) }()
	s, err := newService(ctx, parts)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	fmt.Fprintf(p.stdout, "A server is running at %s, its data in %s.\n\n", s.front.DirectoryURL("default"), dir)
	tour := demoTour{
		out: p.stdout, directory: s.front.DirectoryURL("default"), roots: cfg.PKIBaseURL() + "/roots/0.pem",
		web: trusting(s.cert.clientConfig()), name: demoName, responder: responder,
	}
	if err := tour.run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\nAll of that took %s.\n", time.Since(begun).Round(time.Millisecond))
	if !keep {
		return nil
	}
	_ = responder.Close() // the clients below want its port
	s.suggest(p.stdout, cfg.Validation.HTTPPort)
	logged.release(false)
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		ended <- nil
		return err
	}
}

// demoConfig is the configuration without a file, in that folder, and on other
// ports where those are taken.
func demoConfig(dir string, responder net.Addr) (*config.Config, error) {
	_, port, err := net.SplitHostPort(responder.String())
	if err != nil {
		return nil, err
	}
	env := []string{
		"ACMEBRIDGE_DATA_DIR=" + filepath.Join(dir, "data"),
		"ACMEBRIDGE_VALIDATION_HTTP_PORT=" + port,
		"ACMEBRIDGE_LOG_FORMAT=text",
	}
	for name, address := range map[string]string{"ACMEBRIDGE_LISTEN": "127.0.0.1:14000", "ACMEBRIDGE_PKI_LISTEN": "127.0.0.1:14080"} {
		l, err := listenNear(address)
		if err != nil {
			return nil, err
		}
		env = append(env, name+"="+l.Addr().String())
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return config.Load("", env)
}

// onFreePorts runs a demo, and once more when somebody else has taken a port that
// was free when it was looked for.
func onFreePorts(demo func() error) error {
	for n := 0; ; n++ {
		if err := demo(); n == 2 || !portTaken(err) {
			return err
		}
	}
}

func portTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// listenNear listens on address, or on a free port when that one is taken.
func listenNear(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, splitErr
	}
	l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	return l, nil
}

// suggest prints what to paste to try other clients.
func (s *service) suggest(w io.Writer, httpPort int) {
	directory, root, port := s.front.DirectoryURL("default"), s.tlsRoot(), strconv.Itoa(httpPort)
	fmt.Fprintf(w, `
The server stays up until you press Ctrl-C. To try other clients, paste in another terminal:

certbot:
  REQUESTS_CA_BUNDLE=%[2]s certbot certonly --standalone --non-interactive --agree-tos \
    --register-unsafely-without-email --server %[1]s \
    --http-01-address 127.0.0.1 --http-01-port %[3]s --preferred-challenges http -d certbot.localhost \
    --config-dir ./certbot --work-dir ./certbot --logs-dir ./certbot

lego 5:
  LEGO_CA_CERTIFICATES=%[2]s lego run --server %[1]s \
    --accept-tos --email you@demo.localhost --path ./lego \
    --http --http.address 127.0.0.1:%[3]s --domains lego.localhost

lego 4:
  LEGO_CA_CERTIFICATES=%[2]s lego --server %[1]s \
    --accept-tos --email you@demo.localhost --path ./lego \
    --http --http.port 127.0.0.1:%[3]s --domains lego.localhost run

what became of them:
  acmebridge order list --data %[4]s
`, directory, root, port, absolute(s.cfg.DataDir))
}

// trusting returns an HTTP client that speaks TLS as cfg says.
func trusting(cfg *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}, Timeout: 30 * time.Second}
}

// heldBack keeps a log that is of interest only when something goes wrong.
type heldBack struct {
	mu       sync.Mutex
	held     []byte // guarded by mu, like released
	released bool
	w        io.Writer
}

// Write keeps b, or passes it on once the rest was released.
func (h *heldBack) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return h.w.Write(b)
	}
	h.held = append(h.held, b...)
	return len(b), nil
}

// release passes on what comes from now on, and what was held if past is true.
func (h *heldBack) release(past bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if past {
		_, _ = h.w.Write(h.held) // there is nowhere to complain about it
	}
	h.held, h.released = nil, true
}
