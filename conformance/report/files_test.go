package main

import (
	"os"
	"strings"
	"testing"
)

func TestParseRequirements(t *testing.T) {
	t.Parallel()
	sections, err := parseRequirements("# a comment\n\n[RFC 8555 section 7.4, finalize: the CSR]\nR8555-7.4F-1   M  only a ready  order\n[Security, DNS: lookups]\nSD-1 BR x\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].anchor() != "rfc-8555-section-7-4-finalize" || sections[0].Subject != "the CSR" ||
		sections[0].security() || !sections[1].security() || sections[0].Rows[0] != (requirement{"R8555-7.4F-1", "M", "only a ready order"}) {
		t.Errorf("got %+v", sections)
	}
	for text, want := range map[string]string{
		"[A]\nSP-1 M x":                "requirements.txt:1: a heading",
		"[A: b\nSP-1 M x":              "requirements.txt:1: a heading",
		"[A: b]":                       "no row below A",
		"[A: b]\nSP-1 M x\n[A: c]\n":   "requirements.txt:3: a second section",
		"SP-1 M x":                     "before the first heading",
		"[A: b]\nSP-1 M":               "requirements.txt:2: a row is",
		"[A: b]\nSP-1 X x":             "no level called X",
		"[A: b]\nR8555-6.2 M x":        "not written like an id",
		"[A: b]\nSP-1 M x\n\nSP-1 M y": "requirements.txt:4: SP-1 stands here a second time",
	} {
		if _, err := parseRequirements(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseReasons(t *testing.T) {
	t.Parallel()
	order := []string{"SP-1", "SP-2", "SP-3"}
	reasons, err := parseReasons("# a comment\n\nSP-1  not offered: nobody asked: so far\nSP-3 elsewhere: SP-2\n", order)
	if err != nil || len(reasons) != 2 || reasons["SP-1"] != (reason{"not offered", "nobody asked: so far"}) {
		t.Errorf("got %v, %v", reasons, err)
	}
	for text, want := range map[string]string{
		"SP-9 not yet: it is early days": "reasons.txt:1: SP-9 is no row",
		"SP-1":                           "needs a kind",
		"SP-1 not yet":                   "needs a kind",
		"SP-1 never: it is early days":   "needs a kind",
		"SP-1 not yet: later":            "no reason that helps",
		"\nSP-1 not yet: it is early days\nSP-1 not yet: it is early days": "reasons.txt:3: SP-1 stands here a second time",
		"SP-2 not yet: it is early days\nSP-1 not yet: it is early days":   "SP-1 comes before SP-2",
	} {
		if _, err := parseReasons(text, order); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	got := without("# SP-1 is a comment\nSP-1  not yet: a b c\nSP-10 not yet: a b c\n\nSP-2 not yet: a b c\n\nSP-3 not yet: a b c\n\nSP-4 x\n", []string{"SP-1", "SP-2", "SP-4"})
	if want := "# SP-1 is a comment\nSP-10 not yet: a b c\n\nSP-3 not yet: a b c\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTheFilesThemselves: what is in this folder can be read. Whether it fits the
// rest of the tree is what -check says.
func TestTheFilesThemselves(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	sections, err := parseRequirements(read("requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseReasons(read("reasons.txt"), rowIDs(sections)); err != nil {
		t.Error(err)
	}
	results, err := parseResults(read("results.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := formatResults(results); err != nil || text != read("results.txt") {
		t.Errorf("results.txt was not written by -run: %v", err)
	}
}
