//go:build failpoints

package config

// seams are the variables that test builds read by themselves.
var seams = []string{Prefix + "FAILPOINTS", Prefix + "CLOCK_OFFSET"}
