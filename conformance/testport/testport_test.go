package testport_test

import (
	"net"
	"testing"

	"acmebridge/conformance/testport"
)

func TestNoPortIsGivenTwice(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 500 {
		address := testport.Address(t)
		if seen[address] {
			t.Fatalf("%s was given twice", address)
		}
		seen[address] = true
	}
	for address := range seen {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReleasedPortsComeBack(t *testing.T) {
	t.Parallel()
	// More than there are, so that it ends only if they are given back.
	for range 20000 {
		_, release, err := testport.Pick()
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
}
