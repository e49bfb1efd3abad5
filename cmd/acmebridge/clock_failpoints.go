//go:build failpoints

package main

import (
	"fmt"
	"strings"
	"time"

	"acmebridge/internal/failpoint"
)

// seams sets up the failpoints and returns the clock, both as the environment
// says. It exists in test builds only.
func seams(env []string) (now func() time.Time, err error) {
	if err := failpoint.Setup(lookup(env, "ACMEBRIDGE_FAILPOINTS")); err != nil {
		return nil, err
	}
	text := lookup(env, "ACMEBRIDGE_CLOCK_OFFSET")
	if text == "" {
		return time.Now, nil
	}
	offset, err := time.ParseDuration(strings.TrimPrefix(text, "+"))
	if err != nil {
		return nil, fmt.Errorf("ACMEBRIDGE_CLOCK_OFFSET is a duration such as +36h: %w", err)
	}
	return func() time.Time { return time.Now().Add(offset) }, nil
}
