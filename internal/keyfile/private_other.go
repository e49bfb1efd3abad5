//go:build !unix

package keyfile

import (
	"fmt"
	"io/fs"
)

// Private can tell little where file modes do not say who may read: there the
// folder's own access rules have to do.
func Private(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}
