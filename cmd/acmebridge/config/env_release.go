//go:build !failpoints

package config

// seams: this build has none (SU-8).
var seams []string
