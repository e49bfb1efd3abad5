package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
	"acmebridge/challenges/http01test"
	"acmebridge/conformance/testport"
	"acmebridge/internal/egress"
)

// crowd is a DNS in which the hosts called deadN are on addresses of their own,
// two in each network, and all others are on this machine.
type crowd struct{ asked atomic.Int64 }

func (n *crowd) LookupAddrs(_ context.Context, host string) ([]netip.Addr, error) {
	var i int
	if _, err := fmt.Sscanf(host, "dead%d.example", &i); err != nil {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	n.asked.Add(1)
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 1, byte(i / 2), byte(1 + i%2)})}, nil
}

// mixed asks dead hosts at one port and all others at another.
type mixed struct{ live, dead challenges.Validator }

func (m mixed) Type() acme.ChallengeType { return acme.HTTP01 }
func (m mixed) Validate(ctx context.Context, t challenges.Target) acme.Outcome {
	if strings.HasPrefix(t.Identifier.Value, "dead") {
		return m.dead.Validate(ctx, t)
	}
	return m.live.Validate(ctx, t)
}

// among is a server with so many validations in flight that nobody will ever
// answer, with all limits as they are by default, and a client with a live host.
type among struct {
	*front
	web  *http01test.Server
	c    *client
	dead []string // their authorizations
	hog  *client  // whose they are
	n    int
}

func startAmong(tb testing.TB, dead int) *among {
	tb.Helper()
	names := new(crowd)
	policy, err := egress.NewPolicy(egress.PolicyConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		tb.Fatal(err)
	}
	// The time-out is long so that none of them ends while somebody measures.
	dialer, err := egress.NewDialer(egress.DialerConfig{Policy: policy, Resolver: names, Timeout: 10 * time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	s := &among{web: http01test.New(tb, "127.0.0.1:0")}
	validators := mixed{}
	for port, v := range map[uint16]*challenges.Validator{s.web.Addr().Port(): &validators.live, testport.Dead(tb): &validators.dead} {
		if *v, err = challenges.NewHTTP01(challenges.HTTP01Config{Dialer: dialer, Port: port, Timeout: 10 * time.Minute}); err != nil {
			tb.Fatal(err)
		}
	}
	s.front = start(tb, servertest.Options{Engine: func(c *engine.Config) {
		c.Validators, c.ValidationTimeout, c.Drain = []challenges.Validator{validators}, 10*time.Minute, time.Millisecond
	}})
	s.c, s.hog = s.registered(tb, "default"), s.registered(tb, "default")
	var clients sync.WaitGroup
	tb.Cleanup(clients.Wait)
	for len(s.dead) < dead {
		var list []string
		for i := range min(100, dead-len(s.dead)) {
			list = append(list, fmt.Sprintf(`{"type":"dns","value":"dead%d.example"}`, len(s.dead)+i))
		}
		o := wantOrder(tb, s.hog.post(tb, s.hog.url["newOrder"], `{"identifiers":[`+strings.Join(list, ",")+`]}`), http.StatusCreated)
		s.dead = append(s.dead, o.Authorizations...)
	}
	for _, authz := range s.dead {
		url := challengeOf(tb, s.hog.post(tb, authz, ""))
		body := s.hog.withAccount(tb, url, "{}")
		clients.Go(func() { s.do(tb, post(url, body)) }) // it is held for a while, and then still processing
	}
	for tick := time.NewTicker(time.Millisecond); names.asked.Load() < int64(dead); <-tick.C {
		if tb.Context().Err() != nil {
			tb.Fatal("the test ended first")
		}
	}
	return s
}

// validate has a name validated that a live host answers for, and returns how
// long its client waited for the answer to its response.
func (s *among) validate(tb testing.TB) time.Duration {
	tb.Helper()
	s.n++
	o := s.c.newOrder(tb, fmt.Sprintf("live%d.example", s.n))
	ch := decode[authorization](tb, s.c.post(tb, o.Authorizations[0], "")).Challenges[0]
	k := jwk(tb, &s.c.key.PublicKey)
	s.web.Answer(ch.Token, ch.Token+"."+thumbprint(k))
	body := s.c.withAccount(tb, ch.URL, "{}")
	begun := time.Now()
	r := s.do(tb, post(ch.URL, body))
	took := time.Since(begun)
	if got := decode[challenge](tb, r); got.Status != "valid" {
		tb.Fatalf("the live host is not validated: %s", r.body)
	}
	return took
}

// TestDeadHostsDelayNobody: five hundred validations of hosts that never answer
// are all in flight, and one that does is validated at once (SV-11). How much
// later than without them is what the benchmark measures; here it has to be
// before any of them is over.
func TestDeadHostsDelayNobody(t *testing.T) {
	t.Parallel()
	s := startAmong(t, 500)
	if took := s.validate(t); took > 20*time.Second {
		t.Errorf("a live host was validated after %v", took)
	}
	for _, authz := range []string{s.dead[0], s.dead[len(s.dead)-1]} {
		if a := decode[authorization](t, s.hog.post(t, authz, "")); a.Status != "pending" {
			t.Errorf("a dead host is %s", a.Status)
		}
	}
}

// BenchmarkValidation reports how long a client waits for a validation of a
// live host alone, and with five hundred in flight that nobody answers.
func BenchmarkValidation(b *testing.B) {
	for _, dead := range []int{0, 500} {
		b.Run(fmt.Sprintf("dead=%d", dead), func(b *testing.B) {
			s := startAmong(b, dead)
			s.validate(b)
			var took []time.Duration
			for b.Loop() {
				took = append(took, s.validate(b))
			}
			slices.Sort(took)
			ms := func(at float64) float64 {
				return float64(took[int(at*float64(len(took)-1))].Microseconds()) / 1000
			}
			b.ReportMetric(ms(0.5), "p50-ms")
			b.ReportMetric(ms(0.95), "p95-ms")
			b.ReportMetric(ms(1), "max-ms")
		})
	}
}
