package bolt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"acmebridge/storage"
)

const restoringSuffix = ".restoring-"

// Backup writes everything that is committed now to w, while the store goes on
// working. What is written is a file that Restore takes. The file of the store
// grows while a backup runs, because old pages are kept for it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	btx, _, err := s.read()
	if err != nil {
		return err
	}
	defer func() { _ = btx.Rollback() }() // ends what was only read
	if _, err := btx.WriteTo(contextWriter{ctx, w}); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // bbolt keeps only the text of an error
		}
		return fmt.Errorf("storage/bolt: back up %s: %w", s.path, err)
	}
	return nil
}

// Restore makes the file at path from a backup. There must be none there yet.
// The backup is checked before it gets the name: with a damaged one, nothing
// happens.
func Restore(ctx context.Context, path string, r io.Reader) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("storage/bolt: %w", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storage/bolt: restore: %s is there; move it away first, it may be the better copy (%w)", path, errors.Join(err, fs.ErrExist))
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	name := fmt.Sprintf("%s%s%x", path, restoringSuffix, random)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("storage/bolt: restore: %w", err)
	}
	defer func() { _ = os.Remove(name) }() // gone already when all went well
	_, err = io.Copy(contextWriter{ctx, f}, r)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("storage/bolt: restore %s: %w", path, err)
	}
	report, err := Check(ctx, name)
	if err != nil {
		return fmt.Errorf("storage/bolt: restore: the backup: %w", err)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%w: the backup has %d problems, the first: %s", storage.ErrDamaged, len(report.Problems), report.Problems[0])
	}
	if err := publish(name, path); err != nil {
		return fmt.Errorf("storage/bolt: restore %s: %w", path, err)
	}
	return nil
}

// replaceFile gives a finished file the name of another and makes that durable.
func replaceFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// contextWriter is a writer that a context can stop.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w contextWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
