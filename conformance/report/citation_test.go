package main

import (
	"slices"
	"strings"
	"testing"
)

func ids(text string) (found []string) {
	for _, c := range citations(text) {
		found = append(found, c.ID)
	}
	return found
}

func TestCitations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       string
	}{
		{"none", "RFC 8555, section 6.2", ""},
		{"one", "// R8555-6.2-5: no unprotected header", "R8555-6.2-5"},
		{"in a string", `{"R8555-6.2-1", "changed payload"}`, "R8555-6.2-1"},
		{"name of a case", `"R8555-7.4.2-2/alternate-chains"`, "R8555-7.4.2-2"},
		{"finalize", "(R8555-7.4F-6).", "R8555-7.4F-6"},
		{"short sections", "R8555-5-1, R8555-8-3", "R8555-5-1 R8555-8-3"},
		{"a section is no row", "R8555-7.4F: when; R8555-6.5, R8555-7.3.4.", ""},
		{"letters for numbers", "R8738-P-1 R8659-BR-2 R8659-V-1 R8739-P: refuse", "R8738-P-1 R8659-BR-2 R8659-V-1 R8739-P"},
		{"standards without sections", "R9444-1, -2; RPROF-3, RDAL-5 and RDP-10", "R9444-1 R9444-2 RPROF-3 RDAL-5 RDP-10"},
		{"security", "SP-1, PX-10, SV-12, SD-6, EK-15", "SP-1 PX-10 SV-12 SD-6 EK-15"},
		{"other tables", "SL-8, SS-15, DH-13, C-SH-1, CVE-2025-1", ""},
		{"a longer name", "XSP-1 SP-800-38A", ""},

		{"list", "R8555-7.4F-7, -8; EK-9", "R8555-7.4F-7 R8555-7.4F-8 EK-9"},
		{"list of three", "R8555-6.2-1, -12, -17 and -21.", "R8555-6.2-1 R8555-6.2-12 R8555-6.2-17 R8555-6.2-21"},
		{"comma and", "R8555-6.2-1, -2, and -3", "R8555-6.2-1 R8555-6.2-2 R8555-6.2-3"},
		{"slash", "R8555-6.2-1/-2", "R8555-6.2-1 R8555-6.2-2"},
		{"range", "R8555-7.3.4-2 to -5", "R8555-7.3.4-2 R8555-7.3.4-3 R8555-7.3.4-4 R8555-7.3.4-5"},
		{"range in full", "SP-1 to SP-3", "SP-1 SP-2 SP-3"},
		{"range and one more", "R8555-7.3.5-2 to -4 and -11", "R8555-7.3.5-2 R8555-7.3.5-3 R8555-7.3.5-4 R8555-7.3.5-11"},
		{"range backwards", "R8555-7.3.5-9 to -2", "R8555-7.3.5-9"},
		{"endless range", "R8555-7.3.5-9 to -99", "R8555-7.3.5-9"},
		{"other section", "R8555-7.4-16, -7.5-6, -7.4.2-6 and -10.5-3", "R8555-7.4-16 R8555-7.5-6 R8555-7.4.2-6 R8555-10.5-3"},
		{"other section of one number", "R8555-7.4-16 and -8-3", "R8555-7.4-16 R8555-8-3"},
		{"other section in short", "(R8555-7.5.2-2, 7.1.6-3)", "R8555-7.5.2-2 R8555-7.1.6-3"},
		{"other section with a letter", "R8555-7.4-2, 7.4F-5", "R8555-7.4-2 R8555-7.4F-5"},
		{"over a line", "// R8555-7.4F-2, -9,\n\t// -10, PX-1", "R8555-7.4F-2 R8555-7.4F-9 R8555-7.4F-10 PX-1"},
		{"not over code", "// R8555-7.4F-2,\n\treturn -9", "R8555-7.4F-2"},

		{"a number", `{"R8555-7.6-4", -1}`, "R8555-7.6-4"},
		{"a fraction", "R8555-7.6-4, -1.5 seconds", "R8555-7.6-4"},
		{"end of a sentence", "R8555-7.6-4, -5.", "R8555-7.6-4 R8555-7.6-5"},
		{"a count", "R8555-7.6-4 and 3 others", "R8555-7.6-4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := ids(test.text); !slices.Equal(got, strings.Fields(test.want)) {
				t.Errorf("%q cites %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func TestCitationsSayWhere(t *testing.T) {
	t.Parallel()
	text := "a\nb R8555-6.2-1,\n// -2 SP-4"
	want := []citation{{"R8555-6.2-1", 4}, {"R8555-6.2-2", 4}, {"SP-4", strings.Index(text, "SP-4")}}
	if got := citations(text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whatever the text, what is found are ids, they stand where it says, and a text
// made of them gives them back.
func FuzzCitations(f *testing.F) {
	f.Add("R8555-7.4F-7, -8; R8739-P to -9, 7.1.6-3 // R8555-5-1")
	f.Add("SP-1 to SP-17\n\t// and -2, RPROF-3/-4")
	f.Add("R8555-7.6-4, -1.5 – -7 .. -9")
	f.Fuzz(func(t *testing.T, text string) {
		found := citations(text)
		var again []string
		for _, c := range found {
			if !isID(c.ID) {
				t.Fatalf("%q is no id", c.ID)
			}
			if c.Offset < 0 || c.Offset >= len(text) || !strings.ContainsAny(text[c.Offset:c.Offset+1], "RSPE") {
				t.Fatalf("%s does not stand at %d", c.ID, c.Offset)
			}
			again = append(again, c.ID)
		}
		if got := ids(strings.Join(again, "; ")); !slices.Equal(got, again) && len(again) > 0 {
			t.Fatalf("%q read again is %q", again, got)
		}
	})
}
