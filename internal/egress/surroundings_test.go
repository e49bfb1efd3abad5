package egress

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/egress/dnstest"
)

// SD-1: the configured servers are asked and nobody else. The machine knows its
// own name and that of localhost.localdomain from its hosts file, if it has
// them there, and may have a search list; here all of that counts for nothing.
func TestSystemIsNotAsked(t *testing.T) {
	t.Parallel()
	own, err := os.Hostname()
	if err != nil || own == "" {
		own = "this-machine"
	}
	hosts := []string{own, "ip6-loopback", "broadcasthost", "single"}
	if list, err := os.ReadFile("/etc/hosts"); err == nil {
		for line := range strings.Lines(string(list)) {
			line, _, _ = strings.Cut(line, "#")
			if fields := strings.Fields(line); len(fields) > 1 {
				hosts = append(hosts, fields[1:]...)
			}
		}
	}
	slices.Sort(hosts)
	s := dnstest.New(t, "")
	asked := map[string]bool{}
	for _, host := range slices.Compact(hosts) {
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		if name == "localhost" || strings.HasSuffix(name, ".localhost") || asked[name] {
			continue // RFC 6761: nobody is asked, not even a server
		}
		asked[name] = true
		s.Add(t, name+". 60 IN A 192.0.2.77")
	}
	r := mustResolver(t, 5*time.Second, s.Addr())
	for name := range asked {
		got, err := r.LookupAddrs(t.Context(), name)
		if err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.77")}) {
			t.Errorf("%s is at %v, %v; the server says 192.0.2.77", name, got, err)
		}
	}
	// Names that do not exist are looked for under no other name.
	before := len(s.Queries())
	if _, err := r.LookupAddrs(t.Context(), "missing"); !errors.Is(err, ErrNoSuchName) {
		t.Errorf("missing: %v", err)
	}
	for _, q := range s.Queries()[before:] {
		if q != "A missing." && q != "AAAA missing." {
			t.Errorf("asked for %s", q)
		}
	}
}
