//go:build !unix

package secret

import "os"

// ownerOf knows no owners where files have none in the sense of Unix.
func ownerOf(os.FileInfo) (user int, known bool) { return 0, false }
