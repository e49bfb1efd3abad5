//go:build !unix

package localca

import (
	"fmt"
	"io/fs"
)

// private can tell little where file modes do not say who may read: there the
// folder's own access rules have to do.
func private(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}
