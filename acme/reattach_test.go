package acme_test

import (
	"testing"
	"time"

	"acmebridge/acme"
)

// TestReattach: each row is one difference from an order whose earlier request,
// with the same key, is open; D9 says what becomes of it.
func TestReattach(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type situation struct {
		p       acme.Profile
		o       acme.Order
		backend string
		c       acme.Contract
		earlier []acme.Earlier
	}
	open := func(key byte) acme.Earlier {
		return acme.Earlier{
			Order: acme.Order{Status: acme.OrderProcessing, MemberVersion: 2}, Backend: "ca", Sent: true,
			Contract: acme.Contract{Profile: "tls", KeyHash: acme.KeyHash{key}, Usages: []acme.Usage{acme.ServerAuth}, CommonName: "a"},
		}
	}
	issued := func(key byte) acme.Earlier {
		e := open(key)
		e.Order.Status = acme.OrderValid
		e.Certificate = &acme.Certificate{
			IssuedAt: now.Add(-time.Hour), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(100 * time.Hour),
			AuthorityKeyID: []byte{1, 2, 3}, Serial: []byte{7},
		}
		return e
	}
	over := func(key byte) acme.Earlier {
		e := open(key)
		e.Order.Status = acme.OrderInvalid
		return e
	}
	was := func(e acme.Earlier, change func(*acme.Earlier)) acme.Earlier {
		change(&e)
		return e
	}
	for name, test := range map[string]struct {
		change func(*situation)
		want   acme.Reattachment
		about  int
	}{
		"the same":             {func(*situation) {}, acme.AttachOpen, 0},
		"nothing before":       {func(s *situation) { s.earlier = nil }, acme.AskAnew, -1},
		"all over":             {func(s *situation) { s.earlier = []acme.Earlier{over(1), over(2)} }, acme.AskAnew, -1},
		"behind others":        {func(s *situation) { s.earlier = []acme.Earlier{open(2), over(1), open(1)} }, acme.AttachOpen, 2},
		"issued":               {func(s *situation) { s.earlier = []acme.Earlier{issued(1)} }, acme.AttachIssued, 0},
		"issued to another":    {func(s *situation) { s.earlier = []acme.Earlier{issued(2)} }, acme.AskAnew, -1},
		"issued behind open":   {func(s *situation) { s.earlier = []acme.Earlier{open(2), issued(1)} }, acme.AttachIssued, 1},
		"another backend":      {func(s *situation) { s.backend = "other" }, acme.Wait, 0},
		"the words of another": {func(s *situation) { s.c.RequestedSubject = []byte{0x30, 0} }, acme.Wait, 0},
		"another key usage":    {func(s *situation) { s.c.KeyUsage = acme.KeyUsageSigning }, acme.Wait, 0},
		"another end":          {func(s *situation) { s.o.NotAfter = now }, acme.Wait, 0},
		"another start":        {func(s *situation) { s.o.NotBefore = now }, acme.Wait, 0},
		"other usages":         {func(s *situation) { s.c.Usages = []acme.Usage{acme.ClientAuth} }, acme.Wait, 0},
		"another subject":      {func(s *situation) { s.c.Subject = acme.SubjectEmpty }, acme.Wait, 0},
		"another common name":  {func(s *situation) { s.c.CommonName = "b" }, acme.Wait, 0},
		"a changed member":     {func(s *situation) { s.o.MemberVersion = 3 }, acme.Wait, 0},
		"too old for the profile": {func(s *situation) {
			s.p.ReattachWithin = time.Hour
			s.earlier = []acme.Earlier{issued(1)}
		}, acme.AskAnew, -1},
		"past its half": {func(s *situation) {
			s.earlier = []acme.Earlier{was(issued(1), func(e *acme.Earlier) { e.Certificate.NotAfter = now.Add(time.Hour) })}
		}, acme.AskAnew, -1},
		"revoked": {func(s *situation) {
			s.earlier = []acme.Earlier{was(issued(1), func(e *acme.Earlier) { e.Certificate.Revocation = &acme.Revocation{} })}
		}, acme.AskAnew, -1},
		"renewed": {func(s *situation) {
			s.earlier = []acme.Earlier{was(issued(1), func(e *acme.Earlier) { e.Certificate.RenewedAt = now })}
		}, acme.AskAnew, -1},
		"given up, the same": {func(s *situation) {
			s.earlier = []acme.Earlier{was(over(1), func(e *acme.Earlier) { e.GivenUp = now.Add(-time.Hour) })}
		}, acme.Resume, 0},
		"given up long ago": {func(s *situation) {
			s.earlier = []acme.Earlier{was(over(1), func(e *acme.Earlier) { e.GivenUp = now.Add(-24 * time.Hour) })}
		}, acme.AskAnew, -1},
		"given up, new key": {func(s *situation) {
			s.earlier = []acme.Earlier{was(over(2), func(e *acme.Earlier) { e.GivenUp = now.Add(-time.Hour) })}
		}, acme.AskAnew, -1},
		"to be replaced": {func(s *situation) {
			s.o.Replaces = acme.CertID([]byte{1, 2, 3}, []byte{7})
			s.earlier = []acme.Earlier{issued(1)}
		}, acme.AskAnew, -1},
		"replaces what that one replaced": {func(s *situation) {
			s.o.Replaces = acme.CertID([]byte{1, 2, 3}, []byte{6})
			s.earlier = []acme.Earlier{issued(1)}
		}, acme.AttachIssued, 0},
		"new key": {func(s *situation) { s.c.KeyHash[0] = 2 }, acme.Wait, 0},
		"new key, swap, sent": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach = 2, acme.ReattachSwap
		}, acme.Wait, 0},
		"new key, swap, movable": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Movable = 2, acme.ReattachSwap, true
		}, acme.TakeOver, 0},
		"new key, refuse, movable": {func(s *situation) {
			s.c.KeyHash[0], s.earlier[0].Movable = 2, true
		}, acme.Wait, 0},
		"new key, other usages, swap, movable": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Movable, s.c.Usages = 2, acme.ReattachSwap, true, []acme.Usage{acme.ClientAuth}
		}, acme.Wait, 0},
		"new key, swap, movable at another backend": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Movable, s.backend = 2, acme.ReattachSwap, true, "other"
		}, acme.Wait, 0},
		"new key, swap, movable and approved": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Movable, s.earlier[0].Approved = 2, acme.ReattachSwap, true, true
		}, acme.Wait, 0},
		"new key, swap, movable and given up": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(over(2), func(e *acme.Earlier) { e.GivenUp, e.Movable = now.Add(-time.Hour), true })}
		}, acme.TakeOver, 0},
		"the same key, left before it took over": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(over(1), func(e *acme.Earlier) { e.GivenUp, e.Movable, e.Unaccepted = now.Add(-time.Hour), true, true })}
		}, acme.TakeOver, 0},
		"new key, swap, movable and given up long ago": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(over(2), func(e *acme.Earlier) { e.GivenUp, e.Movable = now.Add(-24*time.Hour), true })}
		}, acme.AskAnew, -1},
		"new key, swap, movable and issued": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(issued(2), func(e *acme.Earlier) { e.Movable = true })}
		}, acme.TakeOver, 0},
		"new key, refuse, movable and issued": {func(s *situation) {
			s.earlier = []acme.Earlier{was(issued(2), func(e *acme.Earlier) { e.Movable = true })}
		}, acme.AskAnew, -1},
		"new key, swap, movable and issued long ago": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(issued(2), func(e *acme.Earlier) { e.Movable, e.Certificate.IssuedAt = true, now.Add(-25*time.Hour) })}
		}, acme.AskAnew, -1},
		"new key, swap, movable, issued and revoked": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(issued(2), func(e *acme.Earlier) { e.Movable, e.Certificate.Revocation = true, &acme.Revocation{} })}
		}, acme.AskAnew, -1},
		"new key, swap, movable and issued behind open": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(open(3), func(e *acme.Earlier) { e.Movable = true }), was(issued(2), func(e *acme.Earlier) { e.Movable = true })}
		}, acme.TakeOver, 0},
		"new key, swap, issued, and refused since": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{
				was(over(3), func(e *acme.Earlier) { e.Refused = true }), was(issued(2), func(e *acme.Earlier) { e.Movable = true }),
			}
		}, acme.AskAnew, -1},
		"new key, swap, refused before it was issued": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{
				was(issued(2), func(e *acme.Earlier) { e.Movable = true }), was(over(3), func(e *acme.Earlier) { e.Refused = true }),
			}
		}, acme.TakeOver, 0},
		"new key, swap, refused while it may be open": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{
				was(over(3), func(e *acme.Earlier) {
					e.Refused, e.Movable, e.Unaccepted, e.GivenUp = true, true, true, now.Add(-time.Hour)
				}), over(2),
			}
		}, acme.TakeOver, 0},
		"new key, swap, refused, and another one open": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{
				was(open(4), func(e *acme.Earlier) { e.Movable = true }), was(over(3), func(e *acme.Earlier) { e.Refused = true }),
				was(issued(2), func(e *acme.Earlier) { e.Movable = true }),
			}
		}, acme.TakeOver, 0},
		"the key of what is issued, refused for another since": {func(s *situation) {
			s.p.Reattach = acme.ReattachSwap
			s.earlier = []acme.Earlier{was(over(3), func(e *acme.Earlier) { e.Refused = true }), issued(1)}
		}, acme.AttachIssued, 1},
		"new key, swap, unsent": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Sent = 2, acme.ReattachSwap, false
		}, acme.Supersede, 0},
		"new key, swap, unsent before sent": {func(s *situation) {
			unsent := was(open(3), func(e *acme.Earlier) { e.Sent = false })
			s.c.KeyHash[0], s.p.Reattach, s.earlier = 2, acme.ReattachSwap, []acme.Earlier{unsent, open(1)}
		}, acme.Wait, 0},
		"new key, swap, approved": {func(s *situation) {
			s.c.KeyHash[0], s.p.Reattach, s.earlier[0].Sent, s.earlier[0].Approved = 2, acme.ReattachSwap, false, true
		}, acme.Wait, 0},
		"new key, new":       {func(s *situation) { s.c.KeyHash[0], s.p.Reattach = 2, acme.ReattachNew }, acme.AskAnew, -1},
		"the same, new":      {func(s *situation) { s.p.Reattach = acme.ReattachNew }, acme.AttachOpen, 0},
		"new key, any other": {func(s *situation) { s.c.KeyHash[0], s.p.Reattach = 2, "attach" }, acme.Wait, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := situation{
				p: acme.Profile{ReattachWithin: 24 * time.Hour}, o: acme.Order{MemberVersion: 2}, backend: "ca",
				c: open(1).Contract, earlier: []acme.Earlier{open(1)},
			}
			test.change(&s)
			if got, about := acme.Reattach(s.p, s.o, s.backend, s.c, s.earlier, now); got != test.want || about != test.about {
				t.Errorf("got %d about %d, want %d about %d", got, about, test.want, test.about)
			}
		})
	}
}

// TestNeedOf: the need is that of one account, profile and set of names.
func TestNeedOf(t *testing.T) {
	t.Parallel()
	order := func(account acme.AccountID, profile acme.ProfileName, names ...string) acme.Order {
		o := acme.Order{Account: account, Profile: profile}
		for _, n := range names {
			o.Identifiers = append(o.Identifiers, acme.Identifier{Type: acme.DNSIdentifier, Value: n, Sent: n + "."})
		}
		return o
	}
	need := acme.NeedOf(order("a", "tls", "x.org", "y.org"))
	if acme.NeedOf(order("a", "tls", "y.org", "x.org", "x.org")) != need {
		t.Error("the order of the names makes another need")
	}
	for _, other := range []acme.Order{
		order("b", "tls", "x.org", "y.org"), order("a", "ssl", "x.org", "y.org"), order("a", "tls", "x.org"), order("at", "ls", "x.org", "y.org"),
	} {
		if acme.NeedOf(other) == need {
			t.Errorf("%v has the same need", other)
		}
	}
}
