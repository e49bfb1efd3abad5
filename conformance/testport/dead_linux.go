package testport

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// Dead is a port at which every address of 127.0.0.0/8 lets connections wait for
// ever: somebody listens there, but never accepts, and the queue of those who wait
// is full.
func Dead(tb testing.TB) uint16 {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{}); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	port := uint16(name.(*syscall.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 200*time.Millisecond)
		if err != nil {
			return port
		}
		tb.Cleanup(func() { _ = c.Close() })
	}
}
