package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func knownIDs(list string) map[string]bool {
	known := map[string]bool{}
	for _, id := range strings.Fields(list) {
		known[id] = true
	}
	return known
}

const smallTestFile = `package jws_test

import "testing"

// R8555-6.2-1, -2: the table that two tests use.
var table = []string{"R8555-6.2-3"}

// R8555-6.2-4
func TestParse(t *testing.T) {
	check(t, table)
	t.Run("R8555-6.2-5 unprotected header", nil)
}

func FuzzParse(f *testing.F) { use(table) } // R8555-6.2-6

// R8555-6.2-7 stands before the example.

func Example_parse() {}

// BenchmarkParse judges nothing (R8555-6.2-8).
func BenchmarkParse(b *testing.B) {}

// R8555-6.2-9 is checked by a helper, and by the helper that it calls.
func check(t *testing.T, list []string) { inner(t) }

func inner(t *testing.T) { t.Log("R8555-6.2-10") }

// R8555-6.2-11: nobody calls it.
func idle() {}
// R8555-6.2-12 at the very end.
`

func TestScan(t *testing.T) {
	t.Parallel()
	ev, err := scan(tree(map[string]string{
		"acme/jws/parse.go":                               "package jws\n// R8555-6.2-1, -3\nvar x = 1 // R8555-6.2-1\n",
		"acme/jws/parse_test.go":                          smallTestFile,
		"acme/server/servertest/start.go":                 "package servertest // R8555-6.2-1",
		"backends/localca/doc_test.go":                    "package localca // R8555-6.2-1",
		"conformance/crash/kill.go":                       "package crash // R8555-6.2-1",
		"conformance/crash/kill_test.go":                  "package crash\n\nfunc TestKill() {} // R8555-6.2-13\n",
		"conformance/acmetest/pebble_differences_test.go": "package acmetest\n\nfunc TestPebble() {} // R8555-6.2-13\n",
		"cmd/acmebridge/testdata/script/eab.txt":          "# R8555-6.2-13\n",
		"cmd/acmebridge/testdata/fuzz/FuzzX/seed.txt":     "R8555-6.2-13",
		".git/hooks/x.go":                                 "package x // R8555-6.2-1",
		"docs/divergences.md":                             "R8555-6.2-1",
	}), knownIDs("R8555-6.2-1 R8555-6.2-2 R8555-6.2-3 R8555-6.2-4 R8555-6.2-5 R8555-6.2-6 R8555-6.2-7 R8555-6.2-8 R8555-6.2-9 R8555-6.2-10 R8555-6.2-11 R8555-6.2-12 R8555-6.2-13"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ id, tests, sources string }{
		{"R8555-6.2-1", "acme/jws.FuzzParse acme/jws.TestParse", "acme/jws/parse.go"},
		{"R8555-6.2-2", "acme/jws.FuzzParse acme/jws.TestParse", ""},
		{"R8555-6.2-3", "acme/jws.FuzzParse acme/jws.TestParse", "acme/jws/parse.go"},
		{"R8555-6.2-4", "acme/jws.TestParse", ""},
		{"R8555-6.2-5", "acme/jws.TestParse", ""},
		{"R8555-6.2-6", "acme/jws.FuzzParse", ""},
		{"R8555-6.2-7", "acme/jws.Example_parse", ""},
		{"R8555-6.2-8", "", ""},
		{"R8555-6.2-9", "acme/jws.TestParse", ""},
		{"R8555-6.2-10", "acme/jws.TestParse", ""},
		{"R8555-6.2-11", "", ""},
		{"R8555-6.2-12", "", ""},
		{"R8555-6.2-13", "cmd/acmebridge/testdata/script/eab.txt conformance/crash.TestKill", ""},
	} {
		if got := ev.tests[test.id]; !slices.Equal(got, strings.Fields(test.tests)) {
			t.Errorf("%s: tests are %q, want %q", test.id, got, test.tests)
		}
		if got := ev.sources[test.id]; !slices.Equal(got, strings.Fields(test.sources)) {
			t.Errorf("%s: sources are %q, want %q", test.id, got, test.sources)
		}
	}
	if len(ev.unknown) > 0 {
		t.Errorf("unknown: %q", ev.unknown)
	}
	if !ev.names["acme/jws.TestParse"] || ev.names["acme/jws.check"] || ev.names["acme/jws.BenchmarkParse"] {
		t.Errorf("tests are %v", ev.names)
	}
}

// A harness that all tests use is not a test of what it cites.
func TestScanHarness(t *testing.T) {
	t.Parallel()
	file := "package x\n\n// R8555-6.2-1\nfunc start() {}\n"
	for _, name := range []string{"A", "B", "C"} {
		file += "\nfunc Test" + name + "() { start() }\n"
	}
	for want, text := range map[int]string{3: file, 0: file + "\nfunc TestD() { start() }\n"} {
		ev, err := scan(tree(map[string]string{"x/x_test.go": text}), knownIDs("R8555-6.2-1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := ev.tests["R8555-6.2-1"]; len(got) != want {
			t.Errorf("got %q, want %d tests", got, want)
		}
	}
}

func TestScanUnknown(t *testing.T) {
	t.Parallel()
	ev, err := scan(tree(map[string]string{
		"a/a.go":      "package a\n\n// R8555-6.2-1, -99\n",
		"a/a_test.go": "package a\n\nfunc TestA() {} // SP-98\n",
	}), knownIDs("R8555-6.2-1"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a/a.go:3: R8555-6.2-99 is no row of requirements.txt", "a/a_test.go:3: SP-98 is no row of requirements.txt"}
	if !slices.Equal(ev.unknown, want) {
		t.Errorf("got %q, want %q", ev.unknown, want)
	}
}

func TestScanBrokenTest(t *testing.T) {
	t.Parallel()
	if _, err := scan(tree(map[string]string{"a/a_test.go": "package"}), nil); err == nil || !strings.Contains(err.Error(), "a/a_test.go") {
		t.Errorf("a test file that cannot be read: %v", err)
	}
}
