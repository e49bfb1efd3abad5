package challenges_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/challenges/http01test"
	"acmebridge/conformance/testport"
	"acmebridge/internal/egress"
)

// crowd is a resolver for hosts that are called by their address.
type crowd struct{ asked atomic.Int64 }

func (n *crowd) LookupAddrs(_ context.Context, host string) ([]netip.Addr, error) {
	defer n.asked.Add(1)
	var i int
	if _, err := fmt.Sscanf(host, "dead%d.example", &i); err != nil {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	// Two in each network, as many networks as it takes.
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 1, byte(i / 2), byte(1 + i%2)})}, nil
}

// startDead begins n validations of hosts that do not answer, and returns when
// all are under way. stop ends them, and says how many had ended before.
func startDead(t testing.TB, d *egress.Dialer, n *crowd, count int) (stop func() int) {
	t.Helper()
	v, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: d, Port: testport.Dead(t), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var ended atomic.Int64
	for i := range count {
		running.Go(func() {
			v.Validate(ctx, challenges.Target{
				Identifier: acme.Identifier{Type: acme.DNSIdentifier, Value: fmt.Sprintf("dead%d.example", i)}, Token: token, KeyAuthorization: proof,
			})
			ended.Add(1)
		})
	}
	for tick := time.NewTicker(time.Millisecond); n.asked.Load() < int64(count); <-tick.C {
	}
	return func() int {
		before := ended.Load()
		cancel()
		running.Wait()
		return int(before)
	}
}

// Five hundred validations of hosts that do not answer do not delay one that
// does, with the limits as they are by default (SV-11). By how little is
// measured by the benchmark of the whole server; here the dead ones last for a
// minute, and whoever had to wait for them would take as long.
func TestDeadHostsDelayNobody(t *testing.T) {
	n := new(crowd)
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: n, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s := http01test.New(t, "127.0.0.1:0")
	s.Answer(token, proof)
	live, err := challenges.NewHTTP01(challenges.HTTP01Config{Dialer: d, Port: s.Addr().Port()})
	if err != nil {
		t.Fatal(err)
	}
	// The median of some, because this machine has other things to do.
	measure := func() time.Duration {
		var took []time.Duration
		for range 21 {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			start := time.Now()
			check(t, live.Validate(ctx, target("example.org")), expect{})
			took = append(took, time.Since(start))
			cancel()
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	alone := measure()
	n.asked.Store(0)
	stop := startDead(t, d, n, 500)
	among := measure()
	if ended := stop(); ended != 0 {
		t.Fatalf("%d of the hosts that should not answer did", ended)
	}
	t.Logf("alone %v, among 500 dead ones %v", alone, among)
	if among-alone > 10*time.Second {
		t.Errorf("a validation takes %v alone and %v among 500 dead ones", alone, among)
	}
}
