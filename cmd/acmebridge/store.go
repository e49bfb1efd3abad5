package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
)

// database is what this program wants of a store.
type database interface {
	storage.Store
	Backup(ctx context.Context, w io.Writer) error
	Check(ctx context.Context) error
}

// openStore opens the database, after a look at it in a process that may die
// of what it sees (SS-6, SS-10). unknown is told when a commit failed and
// nobody knows whether it happened (SS-4).
func openStore(ctx context.Context, cfg *config.Config, unknown func(error)) (database, error) {
	path := cfg.BoltPath()
	if _, err := os.Stat(path); err == nil {
		if err := bolt.Probe(ctx, path); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s, err := bolt.Open(ctx, bolt.Config{Path: path, AllowNetworkFS: cfg.Storage.Bolt.AllowNetworkFS, OnUnknown: unknown})
	if err != nil {
		return nil, err
	}
	return boltDatabase{s, path}, nil
}

// boltDatabase is the embedded store with what operators want of it.
type boltDatabase struct {
	*bolt.Store
	path string
}

// Check looks at a copy, so that clients are served meanwhile.
func (d boltDatabase) Check(ctx context.Context) error {
	f, err := os.CreateTemp(filepath.Dir(d.path), "."+filepath.Base(d.path)+".check-")
	if err != nil {
		return fmt.Errorf("make a copy to check: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = d.Backup(ctx, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("make a copy to check: %w", err)
	}
	report, err := bolt.Check(ctx, f.Name())
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%w: restore a backup; found:\n  %s", storage.ErrDamaged, strings.Join(report.Problems, "\n  "))
	}
	return nil
}
