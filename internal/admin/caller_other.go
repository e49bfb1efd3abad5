//go:build !linux

package admin

import "net"

// peer is not known here.
func peer(*net.UnixConn) (string, bool) { return "", false }

// loginUser is not known here.
func loginUser(int) (int, bool) { return 0, false }
