package admin

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// peer asks the kernel who connected.
func peer(c *net.UnixConn) (who string, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", false
	}
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if ok = err == nil; ok {
			who = person(int(cred.Pid), int(cred.Uid))
		}
	})
	return who, ok && err == nil
}

// loginUser returns who logged in to start a process. The kernel keeps that
// through su and sudo, where a login sets it.
func loginUser(pid int) (uid int, ok bool) {
	const unset = 1<<32 - 1
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	return int(n), err == nil && n != unset
}
