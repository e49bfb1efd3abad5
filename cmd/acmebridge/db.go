package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage/bolt"
)

func (p *program) dbCommand() *cobra.Command {
	return group("db", "The database", "  acmebridge db backup backup.db\n  acmebridge db check",
		p.dbBackupCommand(), p.dbRestoreCommand(), p.dbCheckCommand())
}

func (p *program) dbBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the database, while the server goes on",
		Long: `Copy the database to FILE ('-': standard output), while the server goes on.

Keys are not in it: the folder of the CA, eab.key and tls-root.key need a backup of their own,
in another place (a copy of the database alone opens nothing).`,
		Example: "  acmebridge db backup /backup/acmebridge-$(date +%F).db", Args: exactly(1, "the file to write"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				err := p.write(args[0], 0o600, func(w io.Writer) error { return a.Stream(c.Context(), "/v1/database/backup", w) })
				if err == nil && args[0] != "-" {
					fmt.Fprintf(p.stdout, "wrote %s\n", args[0])
				}
				return err
			})
		},
	}
}

func (p *program) dbRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of a missing database",
		Long: `Put a backup in the place of a missing database. The server must not run, and a database that
is there is left alone: move it away first, it may be the better copy.

What was issued, revoked or bought after the backup was made is not in it.`,
		Example: "  acmebridge db restore /backup/acmebridge-2026-03-01.db", Args: exactly(1, "the backup"),
		RunE: func(c *cobra.Command, args []string) error { return p.restore(c.Context(), args[0]) },
	}
}

func (p *program) restore(ctx context.Context, file string) error {
	cfg, given, err := p.config()
	if err != nil {
		return err
	}
	p.sayDefaults(cfg, given)
	if _, err := admin.Dial(cfg.DataDir); !errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("a server is running on %s: end it first", absolute(cfg.DataDir))
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := os.MkdirAll(filepath.Dir(cfg.BoltPath()), 0o700); err != nil {
		return err
	}
	if err := bolt.Restore(ctx, cfg.BoltPath(), f); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "restored %s\n", absolute(cfg.BoltPath()))
	return nil
}

func (p *program) dbCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read the whole database and say what is wrong with it",
		Example: "  acmebridge db check", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				if _, err := admin.Get[admin.Done](c.Context(), a, "/v1/database/check"); err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, "the database is in order")
				return nil
			})
		},
	}
}
