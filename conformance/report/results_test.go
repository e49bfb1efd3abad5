package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// goTest makes the output of "go test -json" from lines of action, test and output.
func goTest(t *testing.T, lines ...[3]string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		text, err := json.Marshal(event{Action: line[0], Package: suitePackage, Test: line[1], Output: line[2]})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return b.String()
}

const inline, queued = "TestConformance/inline/acme/", "TestConformance/queued/acme/"

func TestReadTestOutput(t *testing.T) {
	t.Parallel()
	const absent = "    run.go:83: not applicable: the directory lists no newAuthz\n"
	results, err := readTestOutput(strings.NewReader(goTest(t,
		[3]string{"run", "TestConformance", ""},
		[3]string{"output", inline + "R8555-6.2-1/a", "=== RUN\n"},
		[3]string{"pass", inline + "R8555-6.2-1/a", ""},
		[3]string{"pass", inline + "R8555-6.2-1", ""},
		[3]string{"output", inline + "R8555-7.4.1-2/b", absent},
		[3]string{"pass", inline + "R8555-7.4.1-2/b", ""},
		[3]string{"output", inline + "R8555-7.4F-14/c", absent},
		[3]string{"pass", inline + "R8555-7.4F-14/c", ""},
		[3]string{"pass", queued + "R8555-7.4F-14/c", ""},
		[3]string{"pass", queued + "R9444-1/d", ""},
		[3]string{"fail", inline + "R9444-1/d", ""},
		[3]string{"pass", inline + "EK-1/rsa", ""},
		[3]string{"pass", "TestOther/R8555-6.2-2/z", ""},
		[3]string{"fail", "", ""},
	) + `{"Action":"pass","Package":"acmebridge/conformance/acmetest","Test":"TestConformance/R8555-6.2-9/z"}`))
	want := map[string]outcome{
		"R8555-6.2-1/a": passed, "R8555-7.4.1-2/b": notApplicable, "R8555-7.4F-14/c": passed, "R9444-1/d": failed, "EK-1/rsa": passed,
	}
	if err != nil || !maps.Equal(results, want) {
		t.Errorf("got %v, %v; want %v", results, err, want)
	}

	for name, test := range map[string]struct{ output, want string }{
		"not json":      {"ok  	acmebridge/acme/server", "no output of go test -json"},
		"breaks off":    {goTest(t, [3]string{"pass", inline + "R8555-6.2-1/a", ""}), "breaks off"},
		"nothing ran":   {goTest(t, [3]string{"pass", "TestHead", ""}, [3]string{"pass", "", ""}), "no case"},
		"not our suite": {`{"Action":"pass","Package":"x"}`, "breaks off"},
	} {
		if _, err := readTestOutput(strings.NewReader(test.output)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestResultsFile(t *testing.T) {
	t.Parallel()
	results := map[string]outcome{"SP-2/b": notApplicable, "SP-1/a": passed}
	text, err := formatResults(results)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(text, "\nSP-1/a passed\nSP-2/b not applicable\n") {
		t.Errorf("written is %q", text)
	}
	if again, err := parseResults(text); err != nil || !maps.Equal(again, results) {
		t.Errorf("read again: %v, %v", again, err)
	}
	results["SP-3/c"] = failed
	if _, err := formatResults(results); err == nil || !strings.Contains(err.Error(), "SP-3/c") {
		t.Errorf("a failure was written down: %v", err)
	}
	for _, text := range []string{"SP-1/a", "SP-1/a failed", "SP-1/a passed \n", "SP-1/a passed\nSP-1/a passed"} {
		if _, err := parseResults(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	got := changed(
		map[string]outcome{"SP-1/a": passed, "SP-2/b": notApplicable, "SP-3/c": passed},
		map[string]outcome{"SP-1/a": passed, "SP-2/b": passed, "SP-4/d": passed},
	)
	want := []string{
		"results.txt: SP-2/b is not applicable, and the run says passed",
		"results.txt: SP-4/d is not recorded, and the run says passed",
		"results.txt: SP-3/c was not run",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
