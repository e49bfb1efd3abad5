package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"acmebridge/backends"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

func (p *program) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until it is told to stop (SIGTERM or Ctrl-C), which lets requests and
steps that are under way come to their end.

Without a configuration file the defaults are those for a first try on one machine:
it validates on port 5002, and loopback addresses may be asked.

Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage, 75 a commit has an unknown outcome
(start it again: it recovers), 78 the data were written by a newer version.`,
		Example: "  acmebridge serve\n  acmebridge serve --config /etc/acmebridge.yaml\n  acmebridge serve --data ./data",
		Args:    usage.NoArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return p.serve(c.Context()) },
	}
}

func (p *program) serve(ctx context.Context) (err error) {
	cfg, given, err := p.config()
	if err != nil {
		return err
	}
	now, err := seams(p.env)
	if err != nil {
		return err
	}
	// A reader of our output that goes away must not take the server along.
	signal.Ignore(syscall.SIGPIPE)
	withoutCoreDumps()
	log := newLogger(p.stderr, cfg.Log)
	if err := mayListen(cfg); err != nil {
		return err
	}
	parts, err := assemble(ctx, cfg, log, now, use{})
	if err != nil {
		return explainStart(err, cfg.DataDir)
	}
	defer func() {
		if errors.Is(err, storage.ErrUnknown) {
			return // the end of the process closes the file, and waits for nobody
		}
		err = errors.Join(err, parts.close())
	}()
	s, err := newService(ctx, parts)
	if err != nil {
		return explainStart(err, cfg.DataDir)
	}
	if s.clock == "" {
		if err := s.rememberNow(ctx); err != nil {
			return err
		}
	}
	s.logWarnings(log)
	log.Info("listening", "event", "server.listening", "version", version(), "listen", s.servers[0].listener.Addr().String(), "data", absolute(cfg.DataDir))
	s.announce(p.stdout, given)
	if err := s.run(ctx); err != nil {
		return err
	}
	log.Info("stopped", "event", "server.stopped")
	return nil
}

// mayListen keeps a first start that is going to fail from making the database
// and the keys of CAs: what decides about those, such as a passphrase, may not be
// configured yet. Later starts may meet a server on the same data, and say that.
func mayListen(cfg *config.Config) error {
	if _, err := os.Stat(cfg.BoltPath()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, l := range listeners(cfg) {
		free, err := listen(l.key, l.address)
		if err != nil {
			return err
		}
		_ = free.Close() // it was only asked for
	}
	return nil
}

// explainStart adds what a person can do about a start that failed.
func explainStart(err error, dataDir string) error {
	switch {
	case errors.Is(err, storage.ErrLocked), errors.Is(err, admin.ErrLive):
		return told{fmt.Sprintf("another acmebridge has %s open. End it first, or give this one another folder with --data", absolute(dataDir)), err}
	case errors.Is(err, storage.ErrNewer):
		return told{fmt.Sprintf("a newer acmebridge wrote the data in %s, which are left as they are. Run that version, or restore a backup from before the upgrade", absolute(dataDir)), err}
	}
	return err
}

// localRoot is where the own root of an embedded CA is served.
type localRoot struct {
	name   string
	number int
}

// localRoots counts as the listener does: the roots of all backends, by name.
func (s *service) localRoots() (all []localRoot) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(s.issuers)) {
		b, ok := s.issuers[name].(backends.Rooted)
		if !ok {
			continue
		}
		if s.cfg.Backends[name].Type == config.TypeLocalCA {
			all = append(all, localRoot{name, n})
		}
		n += len(b.Roots())
	}
	return all
}

// announce tells a person where everything is.
func (s *service) announce(w io.Writer, given bool) {
	fmt.Fprintln(w, "acmebridge is running.")
	for _, d := range s.cfg.AcmeDirectories() {
		fmt.Fprintf(w, "  directory %-11s %s\n", d.Name, s.front.DirectoryURL(d.Name))
	}
	if base := s.cfg.PKIBaseURL(); base != "" {
		for _, r := range s.localRoots() {
			fmt.Fprintf(w, "  root of CA %-10s %s/roots/%d.pem\n", r.name, base, r.number)
		}
	}
	if root := s.tlsRoot(); root != "" {
		fmt.Fprintf(w, "  %-21s %s\n", "trust for HTTPS", root)
	}
	if s.cfg.AdminListen != "" {
		fmt.Fprintf(w, "  %-21s http://%s/readyz, /metrics\n", "health", s.cfg.AdminListen)
	}
	fmt.Fprintf(w, "  %-21s %s\n", "data", absolute(s.cfg.DataDir))
	if !given {
		fmt.Fprintf(w, `
There is no configuration file, so these are the defaults for a first try on this machine:
  - it validates on port %d in place of 80;
  - loopback addresses may be asked, so whoever may order can reach services of this machine.
Write a configuration file before others can reach this server ('acmebridge config init' writes one).
`, s.cfg.Validation.HTTPPort)
	}
}
