//go:build unix

package main

import "syscall"

// withoutCoreDumps keeps the keys in memory out of files (SK-8). A limit that
// cannot be set is that of a system that makes no dumps, or forbids this too.
func withoutCoreDumps() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
