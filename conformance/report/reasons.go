package main

import (
	"fmt"
	"slices"
	"strings"
)

// reason says why nothing proves a row.
type reason struct {
	Kind string
	Text string
}

// kinds are the statuses that a reason can give a row.
var kinds = []struct{ name, meaning string }{
	{"not yet", "not offered, and meant to be"},
	{"not offered", "not offered, by decision"},
	{"elsewhere", "shown by tests or by cases of other rows, which the reason names"},
	{"not tested", "done, and nothing shows it"},
}

func isKind(name string) bool {
	for _, k := range kinds {
		if k.name == name {
			return true
		}
	}
	return false
}

// parseReasons reads reasons.txt: an id, a kind and the reason in each line, in the
// order of requirements.txt.
//
//	R8555-6.1-3  not offered: early data can be replayed where no nonce is asked for
func parseReasons(text string, order []string) (map[string]reason, error) {
	reasons := map[string]reason{}
	last := -1
	for n, line := range strings.Split(text, "\n") {
		bad := func(format string, args ...any) (map[string]reason, error) {
			return nil, fmt.Errorf("reasons.txt:%d: %s", n+1, fmt.Sprintf(format, args...))
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, rest, _ := strings.Cut(line, " ")
		kind, why, ok := strings.Cut(strings.TrimSpace(rest), ": ")
		place := slices.Index(order, id)
		switch {
		case place < 0:
			return bad("%s is no row of requirements.txt", id)
		case !ok || !isKind(kind):
			return bad("%s needs a kind, a colon and the reason; kinds are %s", id, kindNames())
		case kind != elsewhere && len(strings.Fields(why)) < 3:
			return bad("%q is no reason that helps anybody", why)
		case place == last:
			return bad("%s stands here a second time", id)
		case place < last:
			return bad("%s comes before %s in requirements.txt; keep that order", id, order[last])
		}
		last = place
		reasons[id] = reason{kind, strings.TrimSpace(why)}
	}
	return reasons, nil
}

const elsewhere = "elsewhere"

// without removes lines from reasons.txt, and the gaps that they leave.
func without(text string, ids []string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		id, _, _ := strings.Cut(line, " ")
		gap := line == "" && len(kept) > 0 && kept[len(kept)-1] == ""
		if !gap && !slices.Contains(ids, id) {
			kept = append(kept, line)
		}
	}
	return strings.TrimRight(strings.Join(kept, "\n"), "\n") + "\n"
}

func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}
