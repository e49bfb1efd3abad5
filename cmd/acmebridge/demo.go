package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
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

func (p *program) demo(ctx context.Context, keep bool) error {
	responder, err := listenNear("127.0.0.1:5002")
	if err != nil {
		return err
	}
	defer func() { _ = responder.Close() }() // closed already unless a step failed
	tour := demoTour{demoSteps: p.demoSteps(), name: demoName, responder: responder}
	configure := func(dir string) (*config.Config, error) { return demoConfig(dir, responder) }
	return p.demonstrate(ctx, configure, func(s *demoServer) error {
		fmt.Fprintf(p.stdout, "A server is running at %s, its data in %s.\n\n", s.front.DirectoryURL("default"), s.dir)
		tour.directory, tour.roots, tour.web = s.front.DirectoryURL("default"), s.cfg.PKIBaseURL()+"/roots/0.pem", trusting(s.cert.clientConfig())
		if err := tour.run(ctx); err != nil {
			return err
		}
		tour.took()
		if !keep {
			return nil
		}
		_ = responder.Close() // the clients below want its port
		s.suggest(p.stdout, s.cfg.Validation.HTTPPort)
		return s.stay(ctx)
	})
}

// demoConfig is the configuration without a file, in that folder, and on other
// ports where those are taken.
func demoConfig(dir string, responder net.Listener) (*config.Config, error) {
	port, err := portOf(responder)
	if err != nil {
		return nil, err
	}
	front, pki, err := demoAddresses()
	if err != nil {
		return nil, err
	}
	return config.Load("", []string{
		"ACMEBRIDGE_DATA_DIR=" + filepath.Join(dir, "data"),
		"ACMEBRIDGE_VALIDATION_HTTP_PORT=" + port,
		"ACMEBRIDGE_LOG_FORMAT=text",
		"ACMEBRIDGE_LISTEN=" + front,
		"ACMEBRIDGE_PKI_LISTEN=" + pki,
	})
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
