// Package testport finds ports for tests that start programs which want to be
// told where to listen. Between the finding and the listening passes time, in
// which nobody else may be given the port: not by the system, which hands out
// ports above these to whoever asks for any and to outgoing connections, and not
// by a test of another process.
package testport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"testing"
)

const (
	first = 15000
	// Systems give ports from 32768 on to outgoing connections.
	count    = 17000
	attempts = 200
)

// Address is one of this machine on which nobody listens, and that no other test
// is given until this one has ended.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Port(t)))
}

// Port is the port of such an address.
func Port(t testing.TB) int {
	t.Helper()
	port, release, err := Pick()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// Pick is Port for those who have no test at hand. The port is kept from others
// until release.
func Pick() (port int, release func(), err error) {
	for range attempts {
		port = first + rand.IntN(count)
		release, err = reserve(port)
		if err != nil {
			continue // another test has it
		}
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			if err = l.Close(); err == nil {
				return port, release, nil
			}
		}
		release()
	}
	return 0, nil, fmt.Errorf("testport: %d ports were all in use: %w", attempts, err)
}

// reserve claims a name that only one process of the machine can have, and that
// is free again when that process has ended, however it ends. Only Linux has
// such names that are no files; elsewhere chance has to do.
func reserve(port int) (release func(), err error) {
	if runtime.GOOS != "linux" {
		return func() {}, nil
	}
	l, err := net.Listen("unix", "@acmebridge-test-port-"+strconv.Itoa(port))
	if err != nil {
		return nil, errors.New("reserved by another test")
	}
	return func() { _ = l.Close() }, nil // nobody ever connects
}
