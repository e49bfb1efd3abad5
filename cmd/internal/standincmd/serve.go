package standincmd

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
	"strings"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/standin"
)

// Imitation is a service that runs.
type Imitation interface {
	Serve(ctx context.Context, l net.Listener) error
	Control() http.Handler
	Break(f standin.Fault) error
}

// OpenJournal opens the file that journal lines are added to.
func (f Flags) OpenJournal() (w io.Writer, closing func() error, err error) {
	if f.Journal == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.OpenFile(f.Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the journal: %w", err)
	}
	return file, file.Close, nil
}

// Arrange does what the command line says about faults and outcomes; example is
// one of the kinds of outcomes.
func (f Flags) Arrange(ca Imitation, example string, plan func(pattern, kind, reason string) error) error {
	for _, text := range f.Faults {
		fault, err := parseFault(text)
		if err == nil {
			err = ca.Break(fault)
		}
		if err != nil {
			return usage.Errorf("--fault %q: %w", text, err)
		}
	}
	for _, text := range f.Outcomes {
		pattern, what, ok := strings.Cut(text, "=")
		kind, reason, _ := strings.Cut(what, ":")
		if !ok || pattern == "" {
			return usage.Errorf("--outcome %q: it should look like '*.bad.example=%s:reason'", text, example)
		}
		if err := plan(pattern, kind, reason); err != nil {
			return usage.Errorf("--outcome %q: %w", text, err)
		}
	}
	return nil
}

// Open listens for clients, and says by which scheme and where. config is how TLS
// is spoken for a host, and roots are what to trust then; they are written to
// TLSRoot.
func (f Flags) Open(config func(host string) (*tls.Config, error), roots []byte) (l net.Listener, origin string, err error) {
	if l, err = net.Listen("tcp", f.Listen); err != nil {
		return nil, "", fmt.Errorf("listen for clients: %w; end what uses the port, or choose another with --listen", err)
	}
	address := l.Addr().String()
	if f.TLSRoot == "" {
		return l, "http://" + address, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", errors.Join(err, l.Close())
	}
	secure, err := config(host)
	if err != nil {
		return nil, "", errors.Join(err, l.Close())
	}
	if err := os.WriteFile(filepath.Clean(f.TLSRoot), roots, 0o600); err != nil {
		return nil, "", errors.Join(fmt.Errorf("write the root: %w", err), l.Close())
	}
	return tls.NewListener(l, secure), "https://" + address, nil
}

// With is a configuration for Open with a certificate that certify makes.
func With(certify func(hosts ...string) (tls.Certificate, error)) func(host string) (*tls.Config, error) {
	return func(host string) (*tls.Config, error) {
		cert, err := certify(host, "localhost", "127.0.0.1", "::1")
		if err != nil {
			return nil, err
		}
		return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
	}
}

// Serve answers on l, and on the control port, until ctx ends. say is called when
// both are open, with where the control port is.
func (f Flags) Serve(ctx context.Context, ca Imitation, l net.Listener, say func(control string)) (err error) {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	parts, ended := 1, make(chan error, 2)
	go func() { ended <- ca.Serve(serving, l) }()
	control := ""
	if f.Control != "" {
		open, err := net.Listen("tcp", f.Control)
		if err != nil {
			stop()
			return errors.Join(fmt.Errorf("listen for control: %w", err), <-ended)
		}
		parts++
		go func() { ended <- standin.ServeControl(serving, open, ca.Control()) }()
		control = "http://" + open.Addr().String()
	}
	say(control)
	for range parts {
		err = errors.Join(err, <-ended)
		stop()
	}
	return err
}

// ControlLine is what most imitations say of their control port.
func ControlLine(control string) string {
	if control == "" {
		return ""
	}
	return "  control       " + control + "\n"
}
