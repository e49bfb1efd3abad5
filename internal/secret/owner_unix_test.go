//go:build unix

package secret

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"time"
)

// file is a private one that belongs to a user of our choice; to make one for
// real takes root.
type file struct{ owner uint32 }

func (file) Name() string       { return "f" }
func (file) Size() int64        { return 1 }
func (file) Mode() fs.FileMode  { return 0o600 }
func (file) ModTime() time.Time { return time.Time{} }
func (file) IsDir() bool        { return false }
func (f file) Sys() any         { return &syscall.Stat_t{Uid: f.owner} }

func TestOwner(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		owner uint32
		user  int
		want  error
	}{
		{1000, 1000, nil},
		{0, 1000, nil}, // a service manager puts credentials there as root
		{0, 0, nil},
		{1001, 1000, ErrForeign},
		{1001, 1000, ErrExposed},
		{1000, 0, ErrExposed}, // root reads everything, and its owner can change it
	} {
		if err := checkPrivate(file{test.owner}, test.user); !errors.Is(err, test.want) {
			t.Errorf("a file of user %d for user %d: %v, want %v", test.owner, test.user, err, test.want)
		}
	}
}
