package challenges_test

import (
	"fmt"
	"net/netip"
	"testing"

	"acmebridge/acme"
	"acmebridge/challenges/http01test"
	"acmebridge/challenges/tlsalpn01test"
)

// SV-9: whatever proxies the environment names, validators go to the target
// itself, and the proxies hear nothing of it.
func TestProxiesOfTheEnvironment(t *testing.T) {
	proxy := http01test.New(t, "127.0.0.1:0")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	for _, name := range []string{"http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")

	plain, secure := http01test.New(t, "127.0.0.1:0"), http01test.NewTLS(t, "127.0.0.1:0")
	plain.On(token, http01test.Redirect(302, "https://example.org/"+token))
	secure.Answer("/"+token, proof)
	v := newValidator(t, setup{port: plain.Addr().Port(), tlsPort: secure.Addr().Port()})
	check(t, v.Validate(t.Context(), target("example.org")), expect{})

	s := tlsalpn01test.New(t, "127.0.0.1:0")
	s.Show(tlsalpn01test.Proof("example.org", proof).Make(t))
	check(t, newALPN(t, setup{port: s.Addr().Port()}).Validate(t.Context(), target("example.org")), expect{})

	if n := proxy.Connections(); n != 0 {
		t.Errorf("%d connections went to the proxy", n)
	}
	if plain.Connections() != 1 || secure.Connections() != 1 || s.Connections() != 1 {
		t.Errorf("connections: %d, %d and %d, want one each", plain.Connections(), secure.Connections(), s.Connections())
	}
}

// TestTLSALPN01SSRF is the matrix of TestSSRF for the other validator that goes
// to a host of the client's choice (SV-1, SV-2, R8555-10.4-1).
func TestTLSALPN01SSRF(t *testing.T) {
	t.Parallel()
	outside := tlsalpn01test.New(t, "127.0.0.1:0")
	port := outside.Addr().Port()
	inside := []*tlsalpn01test.Server{
		tlsalpn01test.New(t, fmt.Sprintf("127.0.0.2:%d", port)),
		tlsalpn01test.New(t, fmt.Sprintf("[::1]:%d", port)),
	}
	for _, addr := range matrix() {
		v := newALPN(t, setup{names: at(map[string]string{"inside.example": addr}), port: port})
		for _, host := range []string{"inside.example", netip.MustParseAddr(addr).String()} {
			got := v.Validate(t.Context(), target(host))
			if got.Valid || got.Problem == nil || got.Problem.Type != acme.Connection || got.Retry {
				t.Errorf("%s as %s: %+v, %v", addr, host, got, got.Problem)
			}
		}
	}
	for _, s := range inside {
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections reached %s", n, s.Addr())
		}
	}
	if n := outside.Connections(); n != 0 {
		t.Errorf("%d connections went elsewhere", n)
	}
}

// TestLateRebinding: a name that is harmless when it is looked up for one
// attempt and leads inside at the next is judged anew each time; what was found
// once is good for that attempt alone (SV-1, SD-6).
func TestLateRebinding(t *testing.T) {
	t.Parallel()
	outside := http01test.New(t, "127.0.0.1:0")
	outside.Answer(token, proof)
	inside := http01test.New(t, fmt.Sprintf("127.0.0.2:%d", outside.Addr().Port()))
	inside.Answer(token, proof)
	n := at(nil)
	n.answers["rebind.example"] = [][]netip.Addr{addrs("127.0.0.1"), addrs("127.0.0.2"), addrs("127.0.0.2 127.0.0.1")}
	v := newValidator(t, setup{names: n, port: outside.Addr().Port()})
	check(t, v.Validate(t.Context(), target("rebind.example")), expect{})
	check(t, v.Validate(t.Context(), target("rebind.example")), expect{acme.Connection, false, "does not connect to loopback addresses"})
	// Beside an address that is allowed, one that is not is passed over.
	check(t, v.Validate(t.Context(), target("rebind.example")), expect{})
	if inside.Connections() != 0 || outside.Connections() != 2 {
		t.Errorf("%d connections inside, %d outside; want none and two", inside.Connections(), outside.Connections())
	}
}
