package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An id is a base and a number, as in R8555-7.4F and 12. The number is what a list
// goes on with.
const idPattern = `(R[0-9]{4}-[0-9]+(?:\.[0-9]+)*F?|R[0-9]{4}-(?:P|BR|V)|R(?:9444|8739|9799)|RPROF|RDAL|RDP|SP|PX|SV|SD|EK)-([0-9]{1,2})\b|\b(R8739-P)\b`

var (
	fullID  = regexp.MustCompile(`\b` + idPattern)
	wholeID = regexp.MustCompile(`^(?:` + idPattern + `)$`)

	// A list goes on with "-8", with a further section of the same standard
	// ("-7.5-6", "7.1.6-3"), or, in a range, with a full id.
	goesOn = regexp.MustCompile(`^\s*(,\s*and|,\s*or|,|/|&|and|or|to|through|–|\.\.)\s*(?:` +
		`(?:-([0-9]+(?:\.[0-9]+)*F?)|([0-9]+(?:\.[0-9]+)+F?))-([0-9]{1,2})\b|` +
		`-([0-9]{1,2})\b|` +
		idPattern + `)`)

	// A comment may break a list at the end of a line.
	commentBreak = regexp.MustCompile(`\n[ \t]*//`)
)

func isID(s string) bool { return wholeID.MatchString(s) }

// citation is an id that a text names, in full or as part of a list.
type citation struct {
	ID     string
	Offset int // of the id, or of the list that it is part of
}

// longestRange bounds "to", so that a slip of the pen is no thousand citations.
const longestRange = 40

// citations finds the ids in a text, with shorthand written out: "R8555-7.4F-7, -8"
// is two of them, "R8555-7.3.4-2 to -8" seven.
func citations(text string) []citation {
	text = commentBreak.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(" ", len(s)) })
	var found []citation
	for at := 0; ; {
		m := fullID.FindStringSubmatchIndex(text[at:])
		if m == nil {
			return found
		}
		start, end := at+m[0], at+m[1]
		if m[6] >= 0 { // R8739-P has no number, and heads no list
			found = append(found, citation{text[at+m[6] : at+m[7]], start})
			at = end
			continue
		}
		base, number := text[at+m[2]:at+m[3]], atoi(text[at+m[4]:at+m[5]])
		found = append(found, citation{join(base, number), start})
		for {
			next, ok := continuation(text[end:], base, number)
			if !ok {
				break
			}
			for n := next.from; n <= next.to; n++ {
				found = append(found, citation{join(next.base, n), start})
			}
			base, number, end = next.base, next.to, end+next.length
		}
		at = end
	}
}

type listItem struct {
	base     string
	from, to int
	length   int
}

// continuation reads the next item of a list whose last item was base and number.
func continuation(rest, base string, number int) (listItem, bool) {
	m := goesOn.FindStringSubmatch(rest)
	if m == nil || strings.HasPrefix(rest[len(m[0]):], ".") && startsWithDigit(rest[len(m[0])+1:]) {
		return listItem{}, false // "-1.5" is a number
	}
	item := listItem{base: base, length: len(m[0])}
	switch {
	case m[2] != "" || m[3] != "":
		standard, _, sections := strings.Cut(base, "-")
		if !sections {
			return listItem{}, false
		}
		item.base, item.to = standard+"-"+m[2]+m[3], atoi(m[4])
	case m[5] != "":
		item.to = atoi(m[5])
	case m[6] == base:
		item.to = atoi(m[7])
	default:
		return listItem{}, false // another standard: found as an id of its own
	}
	item.from = item.to
	if isRange(m[1]) {
		if item.base != base || item.to <= number || item.to-number > longestRange {
			return listItem{}, false
		}
		item.from = number + 1
	}
	return item, true
}

func isRange(separator string) bool {
	switch separator {
	case "to", "through", "–", "..":
		return true
	default:
		return false
	}
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

func join(base string, number int) string { return fmt.Sprintf("%s-%d", base, number) }

// atoi reads at most two digits, as the patterns have seen to.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
