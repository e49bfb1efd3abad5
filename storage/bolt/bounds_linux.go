package bolt

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
)

// boundMemory lets this process have so much memory on top of what it has: in
// a damaged file a page can lead back to itself, and what follows it would take
// all memory of the machine before it ends (SS-6).
func boundMemory(more uint64) error {
	debug.SetMaxStack(maxCheckStack)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	var data uint64 // in KiB: what is mapped for writing, which the file is not
	_, line, _ := bytes.Cut(status, []byte("\nVmData:"))
	if _, err := fmt.Sscanf(string(line), "%d kB", &data); err != nil {
		return fmt.Errorf("read VmData of /proc/self/status: %w", err)
	}
	limit := syscall.Rlimit{Cur: data<<10 + more, Max: data<<10 + more}
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &limit)
}

// maxCheckStack bounds the recursion through pages that lead to each other; a
// tree on disk is a dozen levels deep at most.
const maxCheckStack = 64 << 20
