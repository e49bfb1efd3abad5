//go:build !failpoints

package failpoint

// Enabled says whether this build contains failpoints.
const Enabled = false

// Hit does nothing.
func Hit(Point) error { return nil }

// Around runs do.
func Around(_ Write, do func() error) error { return do() }

// Setup does nothing.
func Setup(string) error { return nil }
