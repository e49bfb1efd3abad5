package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// outcome is how a black-box case ended.
type outcome string

const (
	passed        outcome = "passed"
	notApplicable outcome = "not applicable" // the server does not offer what the case is about
	failed        outcome = "failed"
)

// worth orders outcomes when a case ran against several shapes of the server: one
// failure spoils the case, and one shape that offers the thing is enough.
func (o outcome) worth() int { return slices.Index([]outcome{notApplicable, passed, failed}, o) }

// event is a line of "go test -json", as far as it matters here.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// Where the suite is run against this server. The output of a run of everything
// holds the same cases against Pebble too.
const (
	suitePackage = "acmebridge/acme/server"
	suiteTest    = "TestConformance"
)

const notApplicableMark = ": not applicable: "

// readTestOutput reads the outcome of each case from the output of "go test -json".
func readTestOutput(r io.Reader) (map[string]outcome, error) {
	absent, ended := map[string]bool{}, map[string]outcome{}
	finished := false
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("this is no output of go test -json: %w", err)
		}
		if e.Package != suitePackage {
			continue
		}
		if e.Test == "" {
			finished = finished || e.Action == "pass" || e.Action == "fail"
			continue
		}
		name, ok := caseOf(e.Test)
		if !ok {
			continue
		}
		switch e.Action {
		case "output":
			if strings.Contains(e.Output, notApplicableMark) {
				absent[e.Test] = true
			}
		case "pass":
			how := passed
			if absent[e.Test] {
				how = notApplicable
			}
			if before, ok := ended[name]; !ok || how.worth() > before.worth() {
				ended[name] = how
			}
		case "fail":
			ended[name] = failed
		}
	}
	if !finished {
		return nil, errors.New("the output of go test breaks off before the end of the run")
	}
	if len(ended) == 0 {
		return nil, errors.New("no case of the black-box suite was run")
	}
	return ended, nil
}

// caseOf finds the case in the name of a sub-test, which begins with what ran it:
// TestConformance/queued/acme/R8555-6.2-5/unprotected-header.
func caseOf(test string) (string, bool) {
	parts := strings.Split(test, "/")
	if parts[0] != suiteTest {
		return "", false
	}
	for i, part := range parts {
		if isID(part) && i == len(parts)-2 {
			return strings.Join(parts[i:], "/"), true
		}
	}
	return "", false
}

const resultsHeader = `# How the black-box suite ended against this server, one case each. Written by
# "go run ./conformance/report -run".
`

// formatResults writes results.txt. Failures are not written down but repaired.
func formatResults(results map[string]outcome) (string, error) {
	var b strings.Builder
	b.WriteString(resultsHeader)
	var failures []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if results[name] == failed {
			failures = append(failures, name)
		}
		fmt.Fprintf(&b, "%s %s\n", name, results[name])
	}
	if len(failures) > 0 {
		return "", fmt.Errorf("the server fails %d cases; nothing was written: %s", len(failures), strings.Join(failures, ", "))
	}
	return b.String(), nil
}

// parseResults reads results.txt.
func parseResults(text string) (map[string]outcome, error) {
	results := map[string]outcome{}
	for n, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, how, _ := strings.Cut(line, " ")
		if o := outcome(how); o != passed && o != notApplicable {
			return nil, fmt.Errorf("results.txt:%d: %q is not how a case ends; run the suite again with -run", n+1, how)
		}
		if _, twice := results[name]; twice {
			return nil, fmt.Errorf("results.txt:%d: %s stands here a second time", n+1, name)
		}
		results[name] = outcome(how)
	}
	return results, nil
}

// changed says in words what a run found other than results.txt has it.
func changed(recorded, found map[string]outcome) (differences []string) {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if was := recorded[name]; was != found[name] {
			if was == "" {
				was = "not recorded"
			}
			differences = append(differences, fmt.Sprintf("results.txt: %s is %s, and the run says %s", name, was, found[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		if _, ok := found[name]; !ok {
			differences = append(differences, fmt.Sprintf("results.txt: %s was not run", name))
		}
	}
	return differences
}
