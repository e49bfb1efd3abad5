package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrExposed reports a file that others than its owner can read or change.
var ErrExposed = errors.New("others can get at it")

// ErrForeign reports a file that belongs to another user, and so comes with
// ErrExposed. Whoever looks on behalf of that user can let it pass.
var ErrForeign = errors.New("it belongs to another user")

// maxFile bounds what is read as a secret.
const maxFile = 64 << 10

// FromFile reads a secret from a regular file, without the line break at its
// end. The file must belong to the user of this process or to root, and nobody
// else may have any right to it (SK-2).
func FromFile(path string) (Secret, error) {
	b, err := readPrivate(path)
	if err != nil {
		return Secret{}, err
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if len(b) == 0 {
		return Secret{}, fmt.Errorf("read the secret in %s: the file is empty", path)
	}
	return New(b), nil
}

// readPrivate checks the file that it has open, not the name: between two looks
// at a name it can come to mean another file.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret in %s: %w", path, cause(err))
	}
	if !info.Mode().IsRegular() {
		// Before opening: to open a pipe could wait for ever.
		return nil, fmt.Errorf("read the secret in %s: it is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret in %s: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }()
	info, err = f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the secret in %s: %w", path, cause(err))
	}
	if err := checkPrivate(info, os.Geteuid()); err != nil {
		return nil, fmt.Errorf("read the secret in %s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the secret in %s: %w", path, cause(err))
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read the secret in %s: it has more than %d bytes", path, maxFile)
	}
	return b, nil
}

// checkPrivate wants a file that only user, or root, can read or change.
func checkPrivate(info os.FileInfo, user int) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: its mode is %04o; run chmod 600 on it", ErrExposed, info.Mode().Perm())
	}
	if owner, known := ownerOf(info); known && owner != user && owner != 0 {
		return foreign{owner, user}
	}
	return nil
}

// foreign is the error for a file of somebody else.
type foreign struct{ owner, user int }

func (f foreign) Error() string {
	return fmt.Sprintf("%v: it belongs to user %d; give it to user %d with chown", ErrExposed, f.owner, f.user)
}

func (foreign) Unwrap() []error { return []error{ErrExposed, ErrForeign} }

// cause drops the path from an error of package os, which our text has already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
