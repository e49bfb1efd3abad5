package acme_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
)

func newToken(t *testing.T, member acme.MemberID, name string, now time.Time) (acme.MemberToken, string) {
	t.Helper()
	token, text, err := acme.NewMemberToken(member, name, acme.Scopes(), "alice", now, now.Add(24*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return token, text
}

// TestMemberToken: a token is found by its text and by nothing else, for as long
// as it is in force.
func TestMemberToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	const url = "https://directory.example.org/m/1.2/ü"
	token, text := newToken(t, url, "ci", now)
	other, otherText := newToken(t, url, "laptop", now)
	m := acme.Member{ID: url, Tokens: []acme.MemberToken{other, token}}
	if id, ok := acme.MemberOfToken(text); !ok || id != url {
		t.Errorf("the token is of %q", id)
	}
	for which, want := range map[string]string{text: "ci", otherText: "laptop"} {
		if got, ok := m.TokenBearer(which, now); !ok || got.Name != want {
			t.Errorf("the bearer of %s is %q", want, got.Name)
		}
	}
	for _, bad := range []string{"", text + " ", text[:len(text)-1], strings.ToUpper(text), token.ID} {
		if _, ok := m.TokenBearer(bad, now); ok {
			t.Errorf("%q is a token", bad)
		}
	}
	if _, ok := m.TokenBearer(text, now.Add(24*time.Hour)); ok {
		t.Error("it is good at its end")
	}
	m.Tokens[1].RevokedAt = now
	if _, ok := m.TokenBearer(text, now); ok {
		t.Error("it is good after it was revoked")
	}
}

// TestNewMemberToken: what no token may be.
func TestNewMemberToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		name    string
		scopes  []acme.TokenScope
		expires time.Time
	}{
		"no name":          {" ", acme.Scopes(), now.Add(time.Hour)},
		"a long name":      {strings.Repeat("x", 101), acme.Scopes(), now.Add(time.Hour)},
		"a name of lines":  {"a\nb", acme.Scopes(), now.Add(time.Hour)},
		"no scope":         {"ci", nil, now.Add(time.Hour)},
		"an unknown scope": {"ci", []acme.TokenScope{"read", "everything"}, now.Add(time.Hour)},
		"an end before":    {"ci", acme.Scopes(), now},
		"hardly any end":   {"ci", acme.Scopes(), now.Add(acme.MaxTokenLife + time.Second)},
	} {
		if _, _, err := acme.NewMemberToken("m1", x.name, x.scopes, "alice", now, x.expires, rand.Reader); err == nil {
			t.Errorf("%s: there is a token", name)
		}
	}
}

// TestWithToken: names are unique among those in force, their number is bounded,
// and what ended long ago goes.
func TestWithToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	m := acme.Member{ID: "m1"}
	add := func(name string) *acme.Problem {
		token, _ := newToken(t, "m1", name, now)
		next, p := m.WithToken(token, now)
		if p == nil {
			m = next
		}
		return p
	}
	n := 0
	for ; add(fmt.Sprint(n)) == nil; n++ {
		if add(fmt.Sprint(n)) == nil {
			t.Fatalf("there are two tokens called %d", n)
		}
	}
	if n != 32 {
		t.Errorf("a member has %d tokens", n)
	}
	now = now.Add(25 * time.Hour) // all of them have ended
	if p := add("0"); p != nil || len(m.Tokens) != 33 {
		t.Errorf("after they ended: %d tokens, %v", len(m.Tokens), p)
	}
	now = now.Add(100 * 24 * time.Hour)
	if p := add("1"); p != nil || len(m.Tokens) != 1 {
		t.Errorf("long after: %d tokens, %v", len(m.Tokens), p)
	}
}

// TestVouched: only an operator's word with a reason stands in for a proof.
func TestVouched(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		s    *acme.Submitter
		want bool
	}{
		{nil, false},
		{&acme.Submitter{By: "alice", Via: acme.ByOperator}, false},
		{&acme.Submitter{By: "alice", Via: acme.ByOperator, Vouch: " "}, false},
		{&acme.Submitter{By: "alice", Via: acme.ByMemberAPI, Vouch: "trust me"}, false},
		{&acme.Submitter{By: "alice", Vouch: "trust me"}, false},
		{&acme.Submitter{By: "alice", Via: acme.ByOperator, Vouch: "ticket 17"}, true},
	} {
		if got := (acme.Order{Submitted: x.s}).Vouched(); got != x.want {
			t.Errorf("%+v vouches: %t", x.s, got)
		}
	}
}

// FuzzMemberOfToken: what claims to be a token of a member is read without harm,
// and no other text is a token that was made.
func FuzzMemberOfToken(f *testing.F) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	token, text, err := acme.NewMemberToken("m1", "ci", acme.Scopes(), "alice", now, now.Add(time.Hour), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	m := acme.Member{ID: "m1", Tokens: []acme.MemberToken{token}}
	for _, seed := range []string{text, "", "amt.", "amt.bTE.x.y", "amt.bTE=.x.y", "amt...", text + ".", "Amt" + text[3:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := acme.MemberOfToken(s)
		if ok && id == "" {
			t.Error("a token of nobody")
		}
		if _, bears := m.TokenBearer(s, now); bears != (s == text) {
			t.Errorf("%q bears: %t", s, bears)
		}
	})
}
