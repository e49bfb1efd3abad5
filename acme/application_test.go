package acme

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func anApplication() Application {
	return Application{URL: "https://directory.example.org/a/1", Roles: []string{"https://registry.example.org/role/reader"}, Trees: []IB1Tree{IB1Client}}
}

// TestCheckApplication: what no certificate could hold is refused when it is
// entered, with the reason (RFC 5280, appendix A).
func TestCheckApplication(t *testing.T) {
	t.Parallel()
	long := func(n int) string {
		const base = "https://directory.example.org/a/"
		return base + strings.Repeat("x", n-len(base))
	}
	for name, c := range map[string]struct {
		change func(*Application)
		want   string
	}{
		"as it should be":      {func(*Application) {}, ""},
		"64 characters":        {func(a *Application) { a.URL = "https://directory.core.development.trust.ib1.org/member/tezdi16s" }, ""},
		"65 characters":        {func(a *Application) { a.URL = long(65) }, "65 characters, and 64 is the most"},
		"a path with signs":    {func(a *Application) { a.URL = "https://directory.example.org/a/~b_c-d.e/" }, ""},
		"no URL":               {func(a *Application) { a.URL = "" }, "no URL"},
		"http":                 {func(a *Application) { a.URL = "http://directory.example.org/a/1" }, "not an https URL"},
		"no scheme":            {func(a *Application) { a.URL = "directory.example.org/a/1" }, "not an https URL"},
		"no host":              {func(a *Application) { a.URL = "https:///a/1" }, "not an https URL"},
		"a user":               {func(a *Application) { a.URL = "https://me@directory.example.org/a/1" }, "a user"},
		"a query":              {func(a *Application) { a.URL = "https://directory.example.org/a?1" }, "query"},
		"an empty query":       {func(a *Application) { a.URL = "https://directory.example.org/a?" }, "query"},
		"a fragment":           {func(a *Application) { a.URL = "https://directory.example.org/a#1" }, "fragment"},
		"an empty fragment":    {func(a *Application) { a.URL = "https://directory.example.org/a#" }, "fragment"},
		"capitals in front":    {func(a *Application) { a.URL = "HTTPS://directory.example.org/a/1" }, "plain form"},
		"capitals in a host":   {func(a *Application) { a.URL = "https://Directory.example.org/a/1" }, "plain form"},
		"a blank":              {func(a *Application) { a.URL = "https://directory.example.org/a /1" }, "ASCII"},
		"not ASCII":            {func(a *Application) { a.URL = "https://directory.example.org/ä" }, "ASCII"},
		"no role":              {func(a *Application) { a.Roles = nil }, "claims no role"},
		"a role of words":      {func(a *Application) { a.Roles = []string{"reader"} }, "not an https URL"},
		"many roles":           {func(a *Application) { a.Roles = slices.Repeat(a.Roles, 33) }, "33 roles"},
		"no certificate":       {func(a *Application) { a.Trees = nil }, "say which certificates"},
		"of no kind":           {func(a *Application) { a.Trees = []IB1Tree{"tls"} }, "no certificate of the kind"},
		"a handle":             {func(a *Application) { a.Handle = "1.app.example.org" }, ""},
		"a handle of capitals": {func(a *Application) { a.Handle = "App.example.org" }, "not a host name in lower case"},
		"a short handle":       {func(a *Application) { a.Handle = "app" }, "not a host name"},
		"a wildcard handle":    {func(a *Application) { a.Handle = "*.example.org" }, "not a host name"},
		"an address":           {func(a *Application) { a.Handle = "192.0.2.1" }, "not a host name"},
	} {
		a := anApplication()
		c.change(&a)
		_, p := CheckApplication(a)
		switch {
		case c.want == "" && p != nil:
			t.Errorf("%s: %v", name, p)
		case c.want != "" && (p == nil || !strings.Contains(p.Detail, c.want)):
			t.Errorf("%s: %v, want %q", name, p, c.want)
		}
	}
}

// TestCheckFramework: the member around its applications.
func TestCheckFramework(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Member)
		want   string
	}{
		"as it should be":       {func(*Member) {}, ""},
		"an id that is no URL":  {func(m *Member) { m.ID = "m1" }, "its URL in the directory"},
		"the same, without any": {func(m *Member) { m.ID, m.Applications, m.Country, m.Name = "m1", nil, "", "" }, ""},
		"UK":                    {func(m *Member) { m.Country = "UK" }, "no code of ISO 3166-1"},
		"no country":            {func(m *Member) { m.Country = "" }, "needs a country"},
		"no name":               {func(m *Member) { m.Name = "" }, "is missing"},
		"64 characters":         {func(m *Member) { m.Name = strings.Repeat("ä", 64) }, ""},
		"65 characters":         {func(m *Member) { m.Name = strings.Repeat("x", 65) }, "65 characters"},
		"a name with a line":    {func(m *Member) { m.Name = "Example\nLtd" }, "no text"},
		"blanks around it":      {func(m *Member) { m.Name = " Example Ltd" }, "blanks"},
		"twice the same":        {func(m *Member) { m.Applications = append(m.Applications, m.Applications[0]) }, "twice"},
		"a role of words":       {func(m *Member) { m.Roles = []string{"reader"} }, "not an https URL"},
	} {
		m := Member{ID: "https://directory.example.org/m/1", Name: "Example Ltd", Country: "GB", Roles: anApplication().Roles, Applications: []Application{anApplication()}}
		c.change(&m)
		_, p := CheckMember(m)
		switch {
		case c.want == "" && p != nil:
			t.Errorf("%s: %v", name, p)
		case c.want != "" && (p == nil || !strings.Contains(p.Detail, c.want)):
			t.Errorf("%s: %v, want %q", name, p, c.want)
		}
	}
}

// TestEmptyIsSaid: an empty list says that there is nothing, and no list that
// nothing is said.
func TestEmptyIsSaid(t *testing.T) {
	t.Parallel()
	for _, empty := range []bool{true, false} {
		m := Member{ID: "https://directory.example.org/m/1"}
		if empty {
			m.Roles, m.Applications = []string{}, []Application{}
		}
		m, p := CheckMember(m)
		if p != nil || (m.Roles == nil) == empty || (m.Applications == nil) == empty {
			t.Errorf("empty %v: %#v, %v", empty, m, p)
		}
	}
}

// TestApplicationVersions: an entry has a new version when something else is said
// of it, and a record that says nothing of applications leaves them.
func TestApplicationVersions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	second := anApplication()
	second.URL = "https://directory.example.org/a/2"
	m := Member{ID: "https://directory.example.org/m/1", Name: "Example Ltd", Version: 1}
	m = m.WithContent(Member{Name: m.Name, Country: "GB", Roles: anApplication().Roles, Applications: []Application{anApplication()}}, now)
	changed := anApplication()
	changed.Handle = "1.app.example.org"
	for i, c := range []struct {
		next Member
		same bool
		want []int
	}{
		{Member{Name: m.Name}, true, []int{1}},
		{Member{Name: m.Name, Applications: []Application{anApplication()}}, true, []int{1}},
		{Member{Name: "Other"}, false, []int{1}},
		{Member{Name: m.Name, Applications: []Application{anApplication(), second}}, false, []int{1, 1}},
		{Member{Name: m.Name, Applications: []Application{changed}}, false, []int{2}},
		{Member{Name: m.Name, Applications: []Application{}}, false, nil},
		{Member{Name: m.Name, Country: "FR"}, false, []int{1}},
		{Member{Name: m.Name, Roles: []string{}}, false, []int{1}},
	} {
		if m.SameContent(c.next) != c.same {
			t.Errorf("%d: the same is %v", i, !c.same)
		}
		var got []int
		for _, a := range m.WithContent(c.next, now).Applications {
			got = append(got, a.Version)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d: versions %v, want %v", i, got, c.want)
		}
	}
	if m.Narrowed(m) || !m.WithContent(Member{Roles: []string{}}, now).Narrowed(m) || !m.WithContent(Member{Applications: []Application{}}, now).Narrowed(m) {
		t.Error("what has less than before is not told from what has not")
	}
	if wider := m.WithContent(Member{Applications: []Application{anApplication(), second}}, now); wider.Narrowed(m) || !m.Narrowed(wider) {
		t.Error("more is less")
	}
}

// FuzzApplicationURL: whatever is accepted fits into a certificate and has one
// spelling.
func FuzzApplicationURL(f *testing.F) {
	for _, s := range []string{
		"https://directory.example.org/a/1", "HTTPS://a.b/", "https://a/%2f", "https://a/%zz", "https://[::1]/", "https://a:443/", "https://a/../b", "https://a//", "https://ä/", "https://a/?", "https://a\x00/", "javascript://x", "https://b@a/", "https://a/@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := anApplication()
		a.URL = s
		checked, p := CheckApplication(a)
		if p != nil {
			return
		}
		authority, _, _ := strings.Cut(strings.TrimPrefix(s, "https://"), "/")
		if checked.URL != s || len(s) > 64 || !strings.HasPrefix(s, "https://") || lowerHost(s) != s || strings.ContainsAny(s, " ?#") || strings.Contains(authority, "@") {
			t.Errorf("%q was accepted", s)
		}
		if ids, p := ParseApplication([]Identifier{{Type: DNSIdentifier, Value: s}}, checked); p != nil || len(ids) != 1 || ids[0].Value != s || ids[0].Sent != "" {
			t.Errorf("%q cannot be ordered: %v, %v", s, ids, p)
		}
	})
}
