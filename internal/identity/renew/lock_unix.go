//go:build unix

package renew

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock on f unless another run has it. It ends with the
// process, so one that died keeps nobody out.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
