package main

import (
	"os"
	"strings"
	"testing"
)

func TestParseStandards(t *testing.T) {
	t.Parallel()
	sections, err := parseRequirements("[RFC 8555 section 6.2: signed requests]\nR8555-6.2-1 M x\n[RFC 8555 section 7.4: orders]\nR8555-7.4-1 M x\n[RFC 8737: tls-alpn-01]\nR8737-3-1 M x\n")
	if err != nil {
		t.Fatal(err)
	}
	standards, err := parseStandards("# a comment\n\nRFC 8555 | ACME | RFC 8555*\nRFC 7515 | JWS | RFC 8555 section 6.2\nRFC 8737 | tls-alpn-01 | RFC 8737\n", sections)
	if err != nil || len(standards) != 3 || len(standards[0].Sections) != 2 || standards[0].anchor() != "rfc-8555" || len(standards[1].Sections) != 1 {
		t.Fatalf("got %+v, %v", standards, err)
	}
	for text, want := range map[string]string{
		"RFC 8555 | ACME":                                                 "standards.txt:1: a line is",
		"RFC 8555 | ACME | RFC 9999":                                      "no section called RFC 9999",
		"RFC 8555 | ACME | RFC 9999*":                                     "no section called RFC 9999*",
		"RFC 8555 | ACME | RFC 8555*":                                     "RFC 8737 belongs to no standard",
		"RFC 8737 | a | RFC 8737\nRFC 8737 | b | RFC 8737":                "standards.txt:2: RFC 8737 stands here a second time",
		"RFC 8737 | a | RFC 8737; RFC 8555*\nRFC 8555 | ACME | RFC 8555*": "has a section of its own, and more",
	} {
		if _, err := parseStandards(text, sections); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	for want, tt := range map[string]tally{
		"12 rows: 12 proved.":                                     {Rows: 12, Proved: 12},
		"1 row: 0 proved, 1 not offered.":                         {Rows: 1, By: map[string]int{"not offered": 1}},
		"9 rows: 5 proved, 1 not yet, 2 elsewhere, 1 not tested.": {Rows: 9, Proved: 5, By: map[string]int{"elsewhere": 2, "not yet": 1, "not tested": 1}},
	} {
		if got := tt.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestShortName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ section, standard, want string }{
		{"RFC 8555 section 7.4", "RFC 8555", "7.4"}, {"RFC 8555 section 7.4, finalize", "RFC 8555", "7.4, finalize"},
		{"RFC 8555 section 7.4", "RFC 7515", "RFC 8555 section 7.4"}, {"Security, DNS", "Security", "DNS"},
	} {
		if got := shortName(tt.section, tt.standard); got != tt.want {
			t.Errorf("%s of %s is %q, want %q", tt.section, tt.standard, got, tt.want)
		}
	}
}

// TestAnchorsStay: these are linked to from other documents, so none of them may
// go away, or come twice.
func TestAnchorsStay(t *testing.T) {
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
	standards, err := parseStandards(read("standards.txt"), sections)
	if err != nil {
		t.Fatal(err)
	}
	document := render(standards, sections, map[string]row{}, 0, pebble{})
	for _, anchor := range []string{
		"rfc-8555", "rfc-7515", "rfc-7517", "rfc-7638", "rfc-7807", "rfc-2986", "rfc-7468", "rfc-8737", "rfc-8738", "rfc-8659", "rfc-8657",
		"rfc-9773", "acme-profiles-draft", "dns-account-01-draft", "dns-persist-01-draft", "rfc-9444", "rfc-8739", "rfc-9799", "security",
		"security-dialing", "rfc-8555-section-7-4-finalize",
	} {
		if n := strings.Count(document, `<a id="`+anchor+`"></a>`); n != 1 {
			t.Errorf("the anchor %s is there %d times", anchor, n)
		}
	}
}
