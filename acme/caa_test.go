package acme

import (
	"testing"
	"time"
)

// R8659-BR-1, R8555-7.4F-12: how long a look at CAA records is good for, and
// for whom.
func TestCAAFresh(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ours := []string{"ca.example", "ca.example.net"}
	looked := func(ago time.Duration, issuers ...string) *CAACheck {
		return &CAACheck{At: now.Add(-ago), Issuers: issuers}
	}
	name, address := Identifier{Type: DNSIdentifier, Value: "example.org"}, Identifier{Type: IPIdentifier, Value: "192.0.2.1"}
	for _, tt := range []struct {
		name  string
		check *CAACheck
		ident Identifier
		off   bool
		want  bool
	}{
		{"just now", looked(0, ours...), name, false, true},
		{"nearly eight hours ago", looked(8*time.Hour-time.Second, ours...), name, false, true},
		{"eight hours ago", looked(8*time.Hour, ours...), name, false, false},
		{"never", nil, name, false, false},
		{"for another CA", looked(0, "other.example"), name, false, false},
		{"for one of its names", looked(0, "ca.example"), name, false, false},
		{"never, and the profile does not want it", nil, name, true, true},
		{"never, of an address", nil, address, false, true},
	} {
		p := Profile{CAA: !tt.off, IssuerDomainNames: ours}
		if got := (Authorization{Identifier: tt.ident, CAA: tt.check}).CAAFresh(p, now); got != tt.want {
			t.Errorf("%s: fresh is %t, want %t", tt.name, got, tt.want)
		}
	}
}
