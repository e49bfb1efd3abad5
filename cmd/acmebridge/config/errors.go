package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong. It names keys and never repeats a value:
// somebody may have pasted a password into the wrong place (SK-10).
type Error struct {
	// File, Line and Column say where; Line is 0 when the value came from
	// elsewhere, Variable names the environment variable when it came from there.
	File     string
	Line     int
	Column   int
	Variable string
	// Key is the full name of the setting, for example validation.http_port.
	Key     string
	Message string
}

// Error returns place, key and message in the form that editors understand.
func (e Error) Error() string {
	var parts []string
	switch {
	case e.Variable != "":
		parts = append(parts, e.Variable)
	case e.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column))
	case e.File != "":
		parts = append(parts, e.File)
	}
	if e.Key != "" && e.Variable == "" {
		parts = append(parts, e.Key)
	}
	return strings.Join(append(parts, e.Message), ": ")
}

// Errors is everything that is wrong with a configuration, in the order of
// the file.
type Errors []Error

// Error returns one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each error reachable with errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// maxErrors bounds a report; a file with more was meant for something else.
const maxErrors = 50

// report collects errors and knows where each setting was given.
type report struct {
	file   string
	places map[string]place
	errors Errors
}

// place is where a setting was given; the zero place is "nowhere".
type place struct {
	line, column int
	variable     string
}

func newReport(file string) *report { return &report{file: file, places: map[string]place{}} }

// add reports a problem with the setting called key, at the place where it, or
// what it is a part of, was given.
func (r *report) add(key, format string, args ...any) {
	p, message := r.placeOf(key), fmt.Sprintf(format, args...)
	if table, _, ok := strings.Cut(key, "."); ok && p == (place{}) && r.file != "" {
		// Only entries of tables have errors that nobody wrote down.
		message += "; this is the standard entry, because the file has no section " + table
	}
	r.at(p, key, "%s", message)
}

func (r *report) at(p place, key, format string, args ...any) {
	r.errors = append(r.errors, Error{
		File: r.file, Line: p.line, Column: p.column, Variable: p.variable,
		Key: key, Message: fmt.Sprintf(format, args...),
	})
}

func (r *report) placeOf(key string) place {
	for key != "" {
		if p, ok := r.places[key]; ok {
			return p
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return place{}
}

// fromEnvironment records that a setting now comes from a variable, as a whole.
func (r *report) fromEnvironment(key, variable string) {
	for k := range r.places {
		if strings.HasPrefix(k, key+"[") {
			delete(r.places, k)
		}
	}
	r.places[key] = place{variable: variable}
}

// err returns what was collected, or nil.
func (r *report) err() error {
	if len(r.errors) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errors, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Variable, b.Variable))
	})
	if more := len(r.errors) - maxErrors; more > 0 {
		r.errors = append(r.errors[:maxErrors:maxErrors], Error{File: r.file, Message: fmt.Sprintf("and %d more errors", more)})
	}
	return r.errors
}

// Suggest returns "; did you mean X?" for the nearest of words, or nothing when
// none is near.
func Suggest(got string, words []string) string { return suggest(got, words) }

// suggest returns ", did you mean X?" for the word of words that is nearest to
// got, or nothing when none is near.
func suggest(got string, words []string) string {
	// Three slips in a long word, fewer in a short one: farther away is
	// another word.
	best, bestDistance := "", min(3, max(2, len(got)/3))+1
	for _, w := range words {
		if d := distance(strings.ToLower(got), strings.ToLower(w)); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters must be put in, taken out, changed or swapped
// with their neighbour to get from a to b. Names beyond any key of ours are
// far from all of them, which bounds the work.
func distance(a, b string) int {
	const longest = 80
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
