package challenges_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/challenges/http01test"
	"acmebridge/challenges/tlsalpn01test"
	"acmebridge/conformance/testport"
	"acmebridge/internal/egress"
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
	outside := tlsalpn01test.New(t, testport.Address(t))
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

// SV-6: a listener of our own is no target, by whatever way somebody comes, also
// where its prefix is open and its port is one that validation uses; what listens
// beside it on the same address is.
func TestOwnListenersAreNoTargets(t *testing.T) {
	t.Parallel()
	own, beside := http01test.New(t, "127.0.0.1:0"), http01test.New(t, "127.0.0.1:0")
	own.Answer(token, proof)
	beside.Answer(token, proof)
	for _, listener := range []netip.AddrPort{own.Addr(), netip.AddrPortFrom(netip.IPv4Unspecified(), own.Addr().Port()), netip.AddrPortFrom(netip.IPv6Unspecified(), own.Addr().Port())} {
		s := setup{allow: "127.0.0.0/8", own: []netip.AddrPort{listener}, port: own.Addr().Port()}
		for _, host := range []string{"example.org", "127.0.0.1"} {
			check(t, newValidator(t, s).Validate(t.Context(), target(host)), expect{acme.Connection, false, "does not connect to"})
			check(t, newALPN(t, s).Validate(t.Context(), target(host)), expect{acme.Connection, false, "does not connect to"})
		}
		s.port = beside.Addr().Port()
		check(t, newValidator(t, s).Validate(t.Context(), target("example.org")), expect{})
		// By a redirect from next door.
		s.tlsPort = own.Addr().Port()
		beside.On("/away", http01test.Redirect(302, "https://127.0.0.1/"+token))
		beside.On(token, http01test.Redirect(302, "/away"))
		check(t, newValidator(t, s).Validate(t.Context(), target("example.org")), expect{acme.Connection, false, "does not connect to"})
		beside.Answer(token, proof)
	}
	if n := own.Connections(); n != 0 {
		t.Errorf("%d connections reached our own listener", n)
	}
}

// stuck is a resolver that never answers.
type stuck struct{}

func (stuck) LookupAddrs(ctx context.Context, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("%w: %w", egress.ErrNoAnswer, ctx.Err())
}

// SV-12: a DNS that does not answer costs a validation no more than its time,
// which is then the fault of the DNS and may pass.
func TestSlowDNS(t *testing.T) {
	t.Parallel()
	s := setup{resolver: stuck{}, port: 80, timeout: 100 * time.Millisecond}
	for name, v := range map[string]challenges.Validator{"http-01": newValidator(t, s), "tls-alpn-01": newALPN(t, s)} {
		got := v.Validate(t.Context(), target("example.org"))
		if got.Valid || !got.Retry || got.Problem == nil || len(got.Tried) != 0 {
			t.Errorf("%s: %+v, %v", name, got, got.Problem)
		}
	}
}
