package main

import (
	"slices"
	"strings"
	"testing"
)

// judged is what becomes of a row called R8555-6.2-1, beside one that is proved.
type judged struct {
	cases   []string
	results map[string]outcome
	tests   []string
	reason  reason

	status   string
	problems string // a part of the first one
	stale    bool
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const id, good = "R8555-6.2-1", "R8555-6.2-2"
	why := reason{Kind: "not offered", Text: "nobody asked for it"}
	for name, test := range map[string]judged{
		"a case passes": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": passed}, status: "passed",
		},
		"one case of two applies": {
			cases: []string{id + "/a", id + "/b"}, results: map[string]outcome{id + "/a": notApplicable, id + "/b": passed}, status: "passed",
		},
		"a test cites it": {
			tests: []string{"acme.TestA"}, status: "unit test",
		},
		"case and test": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": passed}, tests: []string{"acme.TestA"}, status: "passed",
		},
		"a test, and the case does not apply": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": notApplicable}, tests: []string{"acme.TestA"}, status: "unit test",
		},
		"nothing but a reason": {
			reason: why, status: "not offered",
		},
		"a reason for what does not apply": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": notApplicable}, reason: why, status: "not offered",
		},
		"a reason for what is tested in part and not offered": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": notApplicable}, tests: []string{"acme.TestA"}, reason: why, status: "not offered",
		},
		"nothing at all": {
			problems: "R8555-6.2-1: no case, no test",
		},
		"no reason for what does not apply": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": notApplicable}, problems: "do not apply",
		},
		"a reason although a case passes": {
			cases: []string{id + "/a"}, results: map[string]outcome{id + "/a": passed}, reason: why, status: "passed",
			problems: "out of date, cases", stale: true,
		},
		"a reason although a test cites it": {
			tests: []string{"acme.TestA"}, reason: why, status: "unit test", problems: "out of date, acme.TestA", stale: true,
		},
		"a case without a result": {
			cases: []string{id + "/a"}, tests: []string{"acme.TestA"}, status: "unit test", problems: "no result for case R8555-6.2-1/a",
		},
		"a result without a case": {
			results: map[string]outcome{id + "/a": passed}, tests: []string{"acme.TestA"}, status: "unit test", problems: "is no case",
		},
		"a case of no row": {
			cases: []string{"R8555-6.2-99/a"}, results: map[string]outcome{"R8555-6.2-99/a": passed}, tests: []string{"acme.TestA"},
			status: "unit test", problems: "does not have",
		},
		"elsewhere, a test": {
			reason: reason{"elsewhere", "acme/engine.TestExpire sees to it"}, status: "elsewhere",
		},
		"elsewhere, a row": {
			reason: reason{"elsewhere", "the case of R8555-6.2-2"}, status: "elsewhere",
		},
		"elsewhere, a test that is gone": {
			reason: reason{"elsewhere", "acme/engine.TestExpires"}, status: "elsewhere", problems: "acme/engine.TestExpires is no test",
		},
		"elsewhere, a row that is not proved": {
			reason: reason{"elsewhere", "R8555-6.2-1"}, status: "elsewhere", problems: "R8555-6.2-1 is not proved itself",
		},
		"elsewhere, nowhere": {
			reason: reason{"elsewhere", "somebody will"}, status: "elsewhere", problems: "names no test",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev := &evidence{
				tests: map[string][]string{id: test.tests, good: {"acme.TestGood"}},
				names: map[string]bool{"acme/engine.TestExpire": true},
			}
			reasons := map[string]reason{}
			if test.reason != (reason{}) {
				reasons[id] = test.reason
			}
			rows, problems, stale := judge([]requirement{{ID: id}, {ID: good}}, test.cases, test.results, ev, reasons)
			if got := rows[id].Status; got != test.status {
				t.Errorf("status is %q, want %q", got, test.status)
			}
			switch {
			case test.problems == "" && len(problems) > 0:
				t.Errorf("problems: %q", problems)
			case test.problems != "" && (len(problems) != 1 || !strings.Contains(problems[0], test.problems)):
				t.Errorf("problems are %q, want one that says %q", problems, test.problems)
			}
			if got := slices.Contains(stale, id); got != test.stale {
				t.Errorf("stale is %t, want %t", got, test.stale)
			}
		})
	}
}

func TestJudgePassesOnUnknownCitations(t *testing.T) {
	t.Parallel()
	_, problems, _ := judge(nil, nil, nil, &evidence{unknown: []string{"a.go:1: SP-98 is no row"}}, nil)
	if len(problems) != 1 {
		t.Errorf("problems are %q", problems)
	}
}
