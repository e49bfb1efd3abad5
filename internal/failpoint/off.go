//go:build !failpoints

package failpoint

import "errors"

// Enabled says whether this build contains failpoints.
const Enabled = false

// ErrInjected is what a point with an error action reports; here none does.
var ErrInjected = errors.New("never in this build")

// Hit does nothing.
func Hit(Point) error { return nil }

// Around runs do.
func Around(_ Write, do func() error) error { return do() }

// Setup does nothing.
func Setup(string) error { return nil }
