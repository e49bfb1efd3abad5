//go:build !unix

package main

// withoutCoreDumps does nothing where there are none.
func withoutCoreDumps() {}
