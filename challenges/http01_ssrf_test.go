package challenges_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/challenges/http01test"
	"acmebridge/conformance/testport"
)

// The SSRF matrix of R8555-10.4-1. On this machine 127.0.0.2 and ::1 play the
// inside: they listen, so a connection that is made is a connection that is
// counted. Addresses that nobody can listen on here are held against the list
// of what was tried, and have a port that the policy test covers.
func matrix() []string {
	return []string{
		"127.0.0.2", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
		"100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
		"::1", "::", "::127.0.0.2", "::ffff:127.0.0.2", "::ffff:169.254.169.254", "64:ff9b::7f00:2", "64:ff9b::a9fe:a9fe", "2002:7f00:2::1",
		"2001:0:808:808:0:ffff:80ff:fffd", "fc00::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2001:db8::1",
	}
}

// TestSSRF: by whatever way a client leads us to an address of the matrix (a
// name, an identifier, a redirect to either), nothing is sent to it (SV-1,
// SV-7, R8555-10.4-1).
func TestSSRF(t *testing.T) {
	t.Parallel()
	// One port on three addresses: one is allowed, two are not.
	outside := http01test.New(t, testport.Address(t))
	port := outside.Addr().Port()
	inside := []*http01test.Server{
		http01test.New(t, fmt.Sprintf("127.0.0.2:%d", port)),
		http01test.New(t, fmt.Sprintf("[::1]:%d", port)),
	}
	for _, s := range inside {
		s.Answer(token, proof)
		s.Answer("/"+token, proof)
	}
	refused := func(t *testing.T, got acme.Outcome, hops int) {
		t.Helper()
		check(t, got, expect{acme.Connection, false, "this server does not connect to"})
		connected := 0
		for _, tried := range got.Tried {
			if !strings.Contains(tried, "refused") {
				connected++
			}
		}
		if connected != hops || len(got.Tried) != hops+1 {
			t.Errorf("tried %q, want %d connections and one refusal", got.Tried, hops)
		}
	}
	for _, addr := range matrix() {
		n := at(map[string]string{"example.org": "127.0.0.1", "inside.example": addr})
		v := newValidator(t, setup{names: n, port: port})

		t.Run("name "+addr, func(t *testing.T) {
			got := v.Validate(t.Context(), target("inside.example"))
			refused(t, got, 0)
			// What the DNS said is for the operator only.
			if strings.Contains(got.Problem.Detail, addr) {
				t.Errorf("the detail shows the address: %s", got.Problem.Detail)
			}
		})
		t.Run("identifier "+addr, func(t *testing.T) {
			refused(t, v.Validate(t.Context(), target(netip.MustParseAddr(addr).String())), 0)
		})
		t.Run("redirect to name "+addr, func(t *testing.T) {
			outside.On(token, http01test.Redirect(302, "http://inside.example/"+token))
			refused(t, v.Validate(t.Context(), target("example.org")), 1)
		})
		t.Run("redirect to address "+addr, func(t *testing.T) {
			literal := netip.MustParseAddr(addr).String()
			if strings.Contains(literal, ":") {
				literal = "[" + literal + "]"
			}
			for _, scheme := range []string{"http", "https"} {
				outside.On(token, http01test.Redirect(302, fmt.Sprintf("%s://%s:%d/%s", scheme, literal, port, token)))
				refused(t, v.Validate(t.Context(), target("example.org")), 1)
			}
		})
	}
	for _, s := range inside {
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections reached %s", n, s.Addr())
		}
	}
}

// DH-8, abuse story 6: the name changes its address between two hops. The new
// one is judged like the first, and nothing is sent to it.
func TestRebindingBetweenHops(t *testing.T) {
	t.Parallel()
	outside := http01test.New(t, testport.Address(t))
	port := outside.Addr().Port()
	inside := http01test.New(t, fmt.Sprintf("127.0.0.2:%d", port))
	inside.Answer("/x", proof)
	n := at(map[string]string{"other.example": "127.0.0.1"})
	n.answers["rebind.example"] = [][]netip.Addr{addrs("127.0.0.1"), addrs("127.0.0.2")}
	v := newValidator(t, setup{names: n, port: port})
	// By way of another host, so that the name is looked up again.
	outside.On(token, http01test.Redirect(302, "http://other.example/away"))
	outside.On("/away", http01test.Redirect(302, "http://rebind.example/x"))
	got := v.Validate(t.Context(), target("rebind.example"))
	check(t, got, expect{acme.Connection, false, "does not connect to loopback addresses, and the host has no other; its operator can open prefixes with validation.allow"})
	// Within one host there is one look-up, so nothing can change.
	n.mu.Lock()
	n.answers["rebind.example"] = [][]netip.Addr{addrs("127.0.0.1"), addrs("127.0.0.2")}
	n.mu.Unlock()
	outside.On(token, http01test.Redirect(302, "/x"))
	outside.Answer("/x", proof)
	check(t, v.Validate(t.Context(), target("rebind.example")), expect{})
	if inside.Connections() != 0 {
		t.Error("the second address was connected to")
	}
}

// SV-4: names of control planes are refused before anybody is asked about them.
func TestSSRFNames(t *testing.T) {
	t.Parallel()
	n := at(map[string]string{"metadata.google.internal": "127.0.0.1"})
	got := newValidator(t, setup{names: n, port: 1}).Validate(t.Context(), target("metadata.google.internal"))
	check(t, got, expect{acme.Connection, false, "does not connect to the address"})
}
