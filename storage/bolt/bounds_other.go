//go:build !linux

package bolt

// boundMemory is for systems that say how much memory a process has.
func boundMemory(uint64) error { return nil }
