//go:build unix

package secret

import (
	"os"
	"syscall"
)

// ownerOf returns the numeric user that a file belongs to.
func ownerOf(info os.FileInfo) (user int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
