package upstream

import (
	"time"

	"acmebridge/backends"
)

// Holder returns what claims orders in a folder, as one process after another
// does, and gives them up when a certificate is safe.
func Holder(dir string, now func() time.Time) (hold func(url string, authorizations []string, expires time.Time, r backends.Request) error) {
	c := &claims{now: now, dir: dir}
	return func(url string, authorizations []string, expires time.Time, r backends.Request) error {
		_, err := c.hold(url, authorizations, expires, r)
		return err
	}
}
