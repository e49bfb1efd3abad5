package roster_test

import (
	"reflect"
	"strings"
	"testing"

	"acmebridge/internal/roster"
)

const graph = `{"@context": {}, "next": "https://directory.example.org/?page=2", "@graph": [
  {"@id": "https://directory.example.org/m/1", "@type": ["schema:Organization", "ib1:Member"], "schema:legalName": "Example Ltd",
   "schema:address": {"schema:addressCountry": "GB"}, "ib1:role": [{"@id": "https://registry.example.org/r/1"}, "https://registry.example.org/r/2"], "email": "x@example.org"},
  {"@id": "https://directory.example.org/a/1", "@type": "ib1:Application", "dcterms:publisher": {"@id": "https://directory.example.org/m/1"}, "dcterms:title": {"@value": "First"},
   "ib1:role": {"@id": "https://registry.example.org/r/1"}},
  {"@id": "https://directory.example.org/s/1", "@type": "ib1:Scheme"}]}`

const rest = `[{"id": "https://directory.example.org/m/2", "type": "https://schema.org/Organization", "legalName": "Other Ltd", "country": "FR"},
  {"id": "https://directory.example.org/a/2", "type": "Application", "publisher": "https://directory.example.org/m/1", "role": []}]`

func TestMembers(t *testing.T) {
	t.Parallel()
	first, err := roster.Read([]byte(graph))
	if err != nil || first.Next != "https://directory.example.org/?page=2" {
		t.Fatalf("%q, %v", first.Next, err)
	}
	second, err := roster.Read([]byte(rest))
	if err != nil {
		t.Fatal(err)
	}
	got, err := roster.Members(first, second)
	want := []roster.Member{
		{
			ID: "https://directory.example.org/m/1", Name: "Example Ltd", Country: "GB", Roles: []string{"https://registry.example.org/r/1", "https://registry.example.org/r/2"},
			Applications: []roster.Application{
				{URL: "https://directory.example.org/a/1", Name: "First", Roles: []string{"https://registry.example.org/r/1"}},
				{URL: "https://directory.example.org/a/2", Roles: []string{}},
			},
		},
		{ID: "https://directory.example.org/m/2", Name: "Other Ltd", Country: "FR", Roles: []string{}, Applications: []roster.Application{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := roster.Members(second); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("an application of nobody: %v", err)
	}
	if _, err := roster.Members(first, first); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a member twice: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "<html>", "{}", `{"@graph": 5}`, `["x"]`, `null x`} {
		if p, err := roster.Read([]byte(s)); err == nil {
			t.Errorf("%q: %+v", s, p)
		}
	}
}

// FuzzRead: no member that is read lacks its id, and no application its member.
func FuzzRead(f *testing.F) {
	f.Add([]byte(graph))
	f.Add([]byte(rest))
	f.Add([]byte(`{"@id": "x", "@type": ["Member"]}`))
	f.Add([]byte(`[{"@type": 5, "@id": {"@id": []}}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := roster.Read(text)
		if err != nil {
			return
		}
		all, err := roster.Members(p)
		if err != nil {
			return
		}
		for _, m := range all {
			if m.ID == "" || m.Roles == nil || m.Applications == nil {
				t.Errorf("%+v", m)
			}
			for _, a := range m.Applications {
				if a.URL == "" {
					t.Errorf("%+v", m)
				}
			}
		}
	})
}
