package acme

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const aDay = 24 * time.Hour

var begins = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func lasting(life time.Duration) Certificate {
	return Certificate{NotBefore: begins, IssuedAt: begins, NotAfter: begins.Add(life)}
}

func TestSuggestRenewal(t *testing.T) { // R9773-4.2-1, R9773-4.2-2
	t.Parallel()
	window := func(from, to time.Duration) Window { return Window{Start: begins.Add(from), End: begins.Add(to)} }
	at := begins.Add(10 * aDay)
	cert := func(change func(*Certificate)) Certificate {
		c := lasting(90 * aDay)
		change(&c)
		return c
	}
	own := &Renewal{Window: window(3*aDay, 4*aDay), Explanation: "https://own.example", At: at}
	older := Renewal{Window: window(5*aDay, 6*aDay), Explanation: "https://older.example", At: at.Add(-aDay), IssuedBefore: at}
	newer := Renewal{Window: window(7*aDay, 8*aDay), Explanation: "https://newer.example", At: at.Add(aDay), IssuedBefore: at}
	lifted := Renewal{At: at.Add(2 * aDay), IssuedBefore: at}
	revoked := func(on time.Time) *Revocation { return &Revocation{At: on} }
	past := RenewAtOnce(at)
	advice := &RenewalAdvice{Window: window(aDay, 2*aDay), Explanation: "https://ca.example"}
	policy := RenewalPolicy{Start: RenewalPoint{Part: 1, Whole: 2}, End: RenewalPoint{Left: 30 * aDay}, Explanation: "https://profile.example"}
	usual := window(60*aDay-90*aDay/100, 60*aDay+90*aDay/100)
	stopped := &Member{Status: MemberFrozen, Enforcement: &Enforcement{Since: at}}
	for _, tt := range []struct {
		name   string
		cert   Certificate
		policy RenewalPolicy
		wider  []Renewal
		member *Member
		want   RenewalSuggestion
	}{
		{"nobody had anything to say", lasting(90 * aDay), RenewalPolicy{}, nil, nil, RenewalSuggestion{Window: usual, Source: RenewalUsual}},
		{"its member is active", lasting(90 * aDay), RenewalPolicy{}, nil, &Member{Status: MemberActive}, RenewalSuggestion{Window: usual, Source: RenewalUsual}},
		{"the profile", lasting(90 * aDay), policy, nil, nil,
			RenewalSuggestion{Window: window(45*aDay, 60*aDay), Source: RenewalByProfile, Explanation: "https://profile.example"}},
		{"the CA", cert(func(c *Certificate) { c.RenewalAdvice = advice }), policy, nil, nil,
			RenewalSuggestion{Window: advice.Window, Source: RenewalByBackend, Explanation: "https://ca.example"}},
		{"the CA had nothing to say", cert(func(c *Certificate) { c.RenewalAdvice = &RenewalAdvice{At: at} }), RenewalPolicy{}, nil, nil,
			RenewalSuggestion{Window: usual, Source: RenewalUsual}},
		{"revoked", cert(func(c *Certificate) { c.RenewalAdvice, c.Revocation = advice, revoked(at) }), policy, nil, nil,
			RenewalSuggestion{Window: past, Source: RenewalByRevocation, Explanation: "https://profile.example"}},
		{"moved, and revoked before", cert(func(c *Certificate) { c.Renewal, c.Revocation = own, revoked(at.Add(-1)) }), policy, nil, nil,
			RenewalSuggestion{Window: own.Window, Source: RenewalByOperator, Explanation: own.Explanation}},
		{"moved, and revoked after", cert(func(c *Certificate) { c.Renewal, c.Revocation = own, revoked(at.Add(1)) }), policy, nil, nil,
			RenewalSuggestion{Window: past, Source: RenewalByRevocation, Explanation: own.Explanation}},
		{"moved on its own after all were", cert(func(c *Certificate) { c.Renewal = own }), policy, []Renewal{older}, nil,
			RenewalSuggestion{Window: own.Window, Source: RenewalByOperator, Explanation: own.Explanation}},
		{"moved with all after it was alone", cert(func(c *Certificate) { c.Renewal, c.RenewalAdvice = own, advice }), policy, []Renewal{newer, older}, nil,
			RenewalSuggestion{Window: newer.Window, Source: RenewalByOperator, Explanation: newer.Explanation}},
		{"a decision that was taken back", lasting(90 * aDay), RenewalPolicy{}, []Renewal{lifted}, nil, RenewalSuggestion{Window: usual, Source: RenewalUsual}},
		{"issued after all were moved", cert(func(c *Certificate) { c.IssuedAt, c.NotBefore, c.NotAfter = at, at, at.Add(90*aDay) }), policy, []Renewal{newer, older}, nil,
			RenewalSuggestion{Window: Window{Start: at.Add(45 * aDay), End: at.Add(60 * aDay)}, Source: RenewalByProfile, Explanation: "https://profile.example"}},
		{"moved to after its end", cert(func(c *Certificate) {
			c.Renewal = &Renewal{Window: window(90*aDay, 95*aDay), Explanation: "https://own.example", At: at}
		}), RenewalPolicy{},
			nil, nil, RenewalSuggestion{Window: usual, Source: RenewalUsual}},
		{"moved with all to after its end, and with others before", lasting(90 * aDay), policy,
			[]Renewal{older, {Window: window(100*aDay, 101*aDay), At: at.Add(aDay), IssuedBefore: at}}, nil,
			RenewalSuggestion{Window: older.Window, Source: RenewalByOperator, Explanation: older.Explanation}},
		{"moved with all to around its end", lasting(90 * aDay), policy, []Renewal{{Window: window(80*aDay, 101*aDay), Explanation: "https://x.example", At: at, IssuedBefore: at}}, nil,
			RenewalSuggestion{Window: window(80*aDay, 90*aDay), Source: RenewalByOperator, Explanation: "https://x.example"}},
		{"its member is frozen", cert(func(c *Certificate) { c.Renewal = own }), policy, []Renewal{newer}, stopped,
			RenewalSuggestion{Window: past, Source: RenewalByMember, Explanation: newer.Explanation}},
	} {
		tt.want.Again = askLatest
		if got := SuggestRenewal(tt.cert, tt.policy, tt.wider, tt.member); got != tt.want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

// TestUsualWindow: two thirds of the life, a half when it is short, and of what
// its owner could use, not of what the CA has dated back.
func TestUsualWindow(t *testing.T) { // R9773-4.2-2
	t.Parallel()
	for _, tt := range []struct {
		life, back time.Duration // dated back by
		centre     time.Duration // after the issuance
		half       time.Duration
		again      time.Duration
	}{
		{90 * aDay, 0, 60 * aDay, 90 * aDay / 100, 6 * time.Hour},
		{10 * aDay, 0, 10*aDay - 10*aDay/3, 10 * aDay / 100, 6 * time.Hour},
		{6 * aDay, time.Hour, 3 * aDay, 6 * aDay / 100, 6 * time.Hour},
		{6 * time.Hour, time.Hour, 3 * time.Hour, 6 * time.Hour / 100, 15 * time.Minute},
		{time.Hour, time.Hour, 30 * time.Minute, 36 * time.Second, 150 * time.Second},
		{time.Minute, time.Hour, 30 * time.Second, time.Second, time.Minute},
	} {
		c := lasting(tt.life)
		c.NotBefore = begins.Add(-tt.back)
		s := SuggestRenewal(c, RenewalPolicy{}, nil, nil)
		w, centre := s.Window, begins.Add(tt.centre)
		if d := centre.Sub(w.Start) - tt.half; d.Abs() > time.Second || s.Again != tt.again {
			t.Errorf("%s: from %s, want %s before %s; again in %s", tt.life, w.Start, tt.half, centre, s.Again)
		}
		if d := w.End.Sub(centre) - tt.half; d.Abs() > time.Second {
			t.Errorf("%s: until %s, want %s after %s", tt.life, w.End, tt.half, centre)
		}
	}
}

// TestWindowWithinLife: whatever the life and the profile, a certificate that
// nobody has decided about is to be renewed while it is good, after its owner
// got it, and a client that asks as often as it is told sees the window
// (R9773-4.2-1, R9773-4.3-1).
func TestWindowWithinLife(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9773, 1))
	point := func() RenewalPoint {
		if r.IntN(2) == 0 {
			n := 2 + r.IntN(maxWhole-1)
			return RenewalPoint{Part: 1 + r.IntN(n-1), Whole: n}
		}
		return RenewalPoint{Left: time.Duration(r.Int64N(int64(400 * aDay)))}
	}
	bySource := map[RenewalSource]int{}
	for range 20000 {
		// As many short lives as long ones: 10 s to 200 years.
		life := time.Duration(float64(10*time.Second) * pow10(r.Float64()*8.8))
		c := lasting(life.Truncate(time.Second))
		c.NotBefore = begins.Add(-time.Duration(r.Int64N(int64(2 * time.Hour)))).Truncate(time.Second)
		c.IssuedAt = begins.Add(time.Duration(r.Int64N(int64(time.Second))))
		var p RenewalPolicy
		if r.IntN(4) > 0 {
			p = RenewalPolicy{Start: point(), End: point()}
		}
		s := SuggestRenewal(c, p, nil, nil)
		bySource[s.Source]++
		w := s.Window
		if !w.End.After(w.Start) || w.Start.Before(c.NotBefore) || w.Start.Before(c.IssuedAt.Add(-time.Second)) || w.End.After(c.NotAfter) {
			t.Fatalf("a life of %s from %s: %s to %s, by %s of %+v", life, c.IssuedAt, w.Start, w.End, s.Source, p)
		}
		if s.Again < askSoonest || s.Again > askLatest || s.Again > askSoonest && s.Again > life/20 {
			t.Fatalf("a life of %s: ask again in %s", life, s.Again)
		}
	}
	if bySource[RenewalByProfile] < 1000 || bySource[RenewalUsual] < 1000 {
		t.Errorf("only %v were seen", bySource)
	}
}

func pow10(x float64) float64 {
	f := 1.0
	for ; x >= 1; x-- {
		f *= 10
	}
	return f * (1 + 9*x)
}

func TestParseFraction(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]RenewalPoint{"2/3": {Part: 2, Whole: 3}, "999/1000": {Part: 999, Whole: 1000}} {
		if got, err := ParseFraction(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "/", "2/", "/3", "0/3", "3/3", "4/3", "-1/3", "1/1001", "1/2/3", "a/b", "0.5", "1 / 2"} {
		if got, err := ParseFraction(text); err == nil || got != (RenewalPoint{}) {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestCheckRenewal(t *testing.T) {
	t.Parallel()
	good := Renewal{Window: Window{Start: begins, End: begins.Add(time.Hour)}, Explanation: "https://status.example/incident?id=1", Reason: "CAB-17"}
	if p := CheckRenewal(good); p != nil {
		t.Error(p)
	}
	for words, change := range map[string]func(*Renewal){
		"after it starts": func(r *Renewal) { r.Window.End = begins },
		"a second":        func(r *Renewal) { r.Window.End = begins.Add(time.Millisecond) },
		"the reason":      func(r *Renewal) { r.Reason = strings.Repeat("a", 1025) },
		"absolute":        func(r *Renewal) { r.Explanation = "javascript:alert(1)" },
		"1024 bytes":      func(r *Renewal) { r.Explanation = "https://a.example/" + strings.Repeat("a", 1024) },
		"http or https":   func(r *Renewal) { r.Explanation = "https://user@a.example/" },
	} {
		r := good
		change(&r)
		if p := CheckRenewal(r); p == nil || !strings.Contains(p.Detail, words) {
			t.Errorf("%q: %v", words, p)
		}
	}
}

func TestCheckRenewalAdvice(t *testing.T) { // R9773-4.2-1
	t.Parallel()
	c := lasting(10 * aDay)
	window := func(from, to time.Duration) Window { return Window{Start: begins.Add(from), End: begins.Add(to)} }
	for _, tt := range []struct {
		name      string
		got, want Window
	}{
		{"as it should be", window(aDay, 2*aDay), window(aDay, 2*aDay)},
		{"at once", window(-2*aDay, -aDay), window(-2*aDay, -aDay)},
		{"until after the end", window(aDay, 12*aDay), window(aDay, 10*aDay)},
		{"after the end", window(11*aDay, 12*aDay), Window{}},
		{"ends before it starts", window(2*aDay, aDay), Window{}},
		{"empty", window(aDay, aDay+time.Millisecond), Window{}},
		{"none", Window{}, Window{}},
	} {
		a := CheckRenewalAdvice(c, RenewalAdvice{Window: tt.got, Explanation: "ftp://a.example/", At: begins})
		if a != (RenewalAdvice{Window: tt.want, At: begins}) {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}

func TestCheckReplaces(t *testing.T) { // R9773-5-2, R9773-5-3, R9773-5-5
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	cert := Certificate{Account: "mine", Identifiers: names("a.net", "b.net")}
	open := &Order{Status: OrderPending, Expires: now.Add(time.Hour)}
	for _, tt := range []struct {
		name    string
		owner   AccountID
		wanted  []Identifier
		earlier *Order
		want    ProblemType
	}{
		{"as it should be", "mine", names("b.net", "c.net"), nil, ""},
		{"of another account", "other", names("a.net"), nil, Unauthorized},
		{"no name in common", "mine", names("c.net"), nil, Malformed},
		{"replaced by an open order", "mine", names("a.net"), open, AlreadyReplaced},
		{"replaced by an order that failed", "mine", names("a.net"), &Order{Status: OrderInvalid}, ""},
		{"replaced by an order that expired", "mine", names("a.net"), &Order{Status: OrderPending, Expires: now}, ""},
		{"replaced by a finished order", "mine", names("a.net"), &Order{Status: OrderValid}, AlreadyReplaced},
	} {
		p := CheckReplaces(cert, tt.owner, tt.wanted, tt.earlier, now)
		if (p == nil) != (tt.want == "") || p != nil && p.Type != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, p, tt.want)
		}
	}
}
