//go:build !failpoints

package main

import "time"

// seams returns the clock. A build with failpoints lets tests shift it and
// break things on purpose; this one has neither.
func seams([]string) (now func() time.Time, err error) { return time.Now, nil }
