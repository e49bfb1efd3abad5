package main

import (
	"strings"
	"testing"
)

// small is a whole project: two rows with proof and two with a reason.
func small() map[string]string {
	return map[string]string{
		requirementsFile: "[RFC 8555 section 6.2: signed requests]\nR8555-6.2-1 M signed | verified\nR8555-6.2-2 S flattened\nR8555-6.2-3 M one signature\n" +
			"[Security, DNS: lookups]\nSD-1 M configured\n",
		reasonsFile:                 "R8555-6.2-3 not yet: it comes with the next release\nSD-1 elsewhere: acme/jws.TestParse\n",
		standardsFile:               "RFC 8555 | ACME | RFC 8555*\nRFC 7515 | JWS | RFC 8555 section 6.2\nSecurity, DNS | names | Security, DNS\n",
		resultsFile:                 "R8555-6.2-1/bad-signature passed\nR8555-6.2-1/no-signature not applicable\n",
		pebbleDifferencesFile:       "package acmetest\n\nvar differences = map[string][]string{\"is lenient\": {\"a\", \"b\"}, \"is strict\": {\"c\"}}\n",
		"acme/jws/parse.go":         "package jws // R8555-6.2-1, -2",
		"acme/jws/parse_test.go":    "package jws\n\nfunc TestParse() {} // R8555-6.2-2\n",
		"cmd/testdata/script/a.txt": "# R8555-6.2-2\n",
	}
}

var smallCases = []string{"R8555-6.2-1/bad-signature", "R8555-6.2-1/no-signature"}

func TestGenerate(t *testing.T) {
	t.Parallel()
	document, rows, err := generate(tree(small()), smallCases)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Conformance\n",
		"| Standards | Rows | passed | unit test | not yet | not offered | elsewhere | not tested |\n",
		"| M | 2 | 1 | 0 | 1 | 0 | 0 | 0 |\n| S | 1 | 0 | 1 | 0 | 0 | 0 | 0 |\n| all | 3 | 1 | 1 | 1 | 0 | 0 | 0 |\n",
		"| M | 1 | 0 | 0 | 0 | 0 | 1 | 0 |\n| all | 1 |",
		"The suite has 2 cases.",
		"it differs in 3 of them, for 2 reasons",
		"| [RFC 8555 section 6.2](#rfc-8555-section-6-2) | signed requests | 3 | 2 |\n",
		"| <a id=\"rfc-8555\"></a>RFC 8555 | ACME | 3 | 2 | 1 | 0 | 0 | 0 | [6.2](#rfc-8555-section-6-2) |\n",
		"| <a id=\"rfc-7515\"></a>RFC 7515 | JWS | 3 | 2 | 1 | 0 | 0 | 0 | [RFC 8555 section 6.2](#rfc-8555-section-6-2) |\n",
		"| [Security, DNS](#security-dns) | names | 1 | 0 | 0 | 0 | 1 | 0 |  |\n",
		"<a id=\"rfc-8555-section-6-2\"></a>\n\n## RFC 8555 section 6.2: signed requests\n\n3 rows: 2 proved, 1 not yet.\n",
		"| R8555-6.2-1 | M | signed \\| verified | passed | `bad-signature`<br>`no-signature` (not applicable) | [acme/jws/parse.go](../acme/jws/parse.go) |\n",
		"| R8555-6.2-2 | S | flattened | unit test | `acme/jws.TestParse`<br>[cmd/testdata/script/a.txt](../cmd/testdata/script/a.txt) | [acme/jws/parse.go](../acme/jws/parse.go) |\n",
		"| R8555-6.2-3 | M | one signature | not yet: it comes with the next release |  |  |\n",
		"| SD-1 | M | configured | elsewhere: acme/jws.TestParse |  |  |\n",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	if got, want := summary(rows), "4 rows, 2 proved, 2 with a reason why not"; got != want {
		t.Errorf("summary is %q, want %q", got, want)
	}
	for range 5 { // maps are walked in another order each time
		if again, _, err := generate(tree(small()), smallCases); err != nil || again != document {
			t.Fatalf("made again it differs (%v): %s", err, firstDifference(again, document))
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"a row with nothing": {func(f map[string]string) { f[reasonsFile] = "SD-1 elsewhere: acme/jws.TestParse\n" }, "R8555-6.2-3: no case"},
		"a stale reason":     {func(f map[string]string) { f["acme/jws/b_test.go"] = "package jws\n\nfunc TestB() {} // R8555-6.2-3\n" }, "out of date, acme/jws.TestB"},
		"a lost test":        {func(f map[string]string) { f["acme/jws/parse_test.go"] = "package jws\n" }, "acme/jws.TestParse is no test"},
		"a typing error":     {func(f map[string]string) { f["acme/jws/b.go"] = "package jws // R8555-6.2-33" }, "acme/jws/b.go:1: R8555-6.2-33 is no row"},
		"a case that has not run": {
			func(f map[string]string) { f[resultsFile] = "R8555-6.2-1/bad-signature passed\n" }, "no result for case R8555-6.2-1/no-signature"},
		"no list of Pebble's":  {func(f map[string]string) { delete(f, pebbleDifferencesFile) }, "what Pebble does differently"},
		"another list":         {func(f map[string]string) { f[pebbleDifferencesFile] = "package acmetest" }, "holds no map"},
		"no results":           {func(f map[string]string) { delete(f, resultsFile) }, resultsFile},
		"unreadable":           {func(f map[string]string) { f[requirementsFile] = "SD-1 M x" }, "requirements.txt:1"},
		"an unreadable reason": {func(f map[string]string) { f[reasonsFile] = "SD-1" }, "reasons.txt:1"},
		"an unknown standard":  {func(f map[string]string) { f[standardsFile] = "RFC 1 | x | RFC 1" }, "standards.txt:1"},
		"an unreadable result": {func(f map[string]string) { f[resultsFile] = "SD-1/a" }, "results.txt:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := small()
			test.change(files)
			if _, _, err := generate(tree(files), smallCases); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestFirstDifference(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ have, want, says string }{
		{"a\nb\n", "a\nc\n", "line 2 is\n\tb\nand should be\n\tc"},
		{"a", "a\nb", "line 2 is\n\t(nothing)\nand should be\n\tb"},
		{"a\nb", "a", "line 2 is\n\tb\nand should be\n\t(nothing)"},
		{"a", "a", "no line differs"},
	} {
		if got := firstDifference(test.have, test.want); got != test.says {
			t.Errorf("got %q, want %q", got, test.says)
		}
	}
}
