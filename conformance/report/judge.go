package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Statuses of a row that has proof; the others are the kinds of reasons.
const (
	statusPassed   = "passed"
	statusUnitTest = "unit test"
)

// caseResult is a black-box case and how it ended in the last run.
type caseResult struct {
	Name string // without the row
	How  outcome
}

// row is a requirement with everything there is to say about it.
type row struct {
	requirement
	Status  string
	Reason  string
	Cases   []caseResult
	Tests   []string
	Sources []string
}

// proved is true for a row that the black-box suite or a unit test covers.
func (r row) proved() bool { return r.Status == statusPassed || r.Status == statusUnitTest }

// judge gives every requirement its status, and lists what is wrong: rows with
// nothing to say for themselves, reasons that no longer hold, names that name nothing.
// Rows whose reason is out of date are in stale as well.
func judge(reqs []requirement, cases []string, results map[string]outcome, ev *evidence, reasons map[string]reason) (rows map[string]row, problems, stale []string) {
	problems = slices.Clone(ev.unknown)
	problemf := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	byID := map[string][]caseResult{}
	known := map[string]bool{}
	for _, r := range reqs {
		known[r.ID] = true
	}
	for _, name := range cases {
		id, rest, _ := strings.Cut(name, "/")
		how, ran := results[name]
		switch {
		case !known[id]:
			problemf("conformance/acmetest: case %s is for a row that requirements.txt does not have", name)
		case !ran:
			problemf("results.txt: no result for case %s; run the suite again with -run", name)
		}
		byID[id] = append(byID[id], caseResult{rest, how})
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if !slices.Contains(cases, name) {
			problemf("results.txt: %s is no case of conformance/acmetest; run the suite again with -run", name)
		}
	}

	rows = map[string]row{}
	for _, req := range reqs {
		r := row{requirement: req, Cases: byID[req.ID], Tests: ev.tests[req.ID], Sources: ev.sources[req.ID]}
		why, explained := reasons[req.ID]
		by := func(how outcome) bool {
			return slices.ContainsFunc(r.Cases, func(c caseResult) bool { return c.How == how })
		}
		switch {
		case by(passed):
			r.Status = statusPassed
			if explained {
				stale = append(stale, req.ID)
				problemf("reasons.txt: the reason for %s is out of date, cases of the black-box suite pass; remove it", req.ID)
			}
		case explained && len(r.Tests) > 0 && !by(notApplicable):
			r.Status = statusUnitTest
			stale = append(stale, req.ID)
			problemf("reasons.txt: the reason for %s is out of date, %s covers it; remove it", req.ID, r.Tests[0])
		case explained:
			// With tests beside it, of a part that exists before the server
			// offers the whole: the case says that it does not.
			r.Status, r.Reason = why.Kind, why.Text
		case len(r.Tests) > 0:
			r.Status = statusUnitTest
		case by(notApplicable):
			problemf("%s: its cases do not apply to this server, and reasons.txt does not say why (%s)", req.ID, req.Text)
		default:
			problemf("%s: no case, no test that cites it, and no line in reasons.txt (%s)", req.ID, req.Text)
		}
		rows[req.ID] = r
	}
	for _, req := range reqs {
		if r := rows[req.ID]; r.Status == elsewhere {
			for _, fault := range faultsOfReference(r.Reason, rows, ev) {
				problemf("reasons.txt: %s: %s", req.ID, fault)
			}
		}
	}
	return rows, problems, stale
}

var testName = regexp.MustCompile(`[a-z0-9/]+\.(?:Test|Fuzz|Example)\w+`)

// faultsOfReference: a reason that points elsewhere has to name a test that exists
// or a row that is proved, so that a rename or a loss is noticed.
func faultsOfReference(text string, rows map[string]row, ev *evidence) (faults []string) {
	tests, cited := testName.FindAllString(text, -1), citations(text)
	for _, name := range tests {
		if !ev.names[name] {
			faults = append(faults, name+" is no test")
		}
	}
	for _, c := range cited {
		if !rows[c.ID].proved() {
			faults = append(faults, c.ID+" is not proved itself")
		}
	}
	if len(tests)+len(cited) == 0 {
		faults = append(faults, "elsewhere names no test, such as acme/engine.TestExpire, and no row")
	}
	return faults
}
