//go:build !unix

package sectigo

import "os"

// tryLock has nothing to lock with here. Two processes at once may then log in
// twice, which is all that the lock prevents.
func tryLock(*os.File) (bool, error) { return true, nil }
