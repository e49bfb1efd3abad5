package main

import (
	"fmt"
	"slices"
	"strings"
)

// standard is one line of standards.txt: what people look for, and where its rows
// are. Several standards may share rows, because ACME says what it takes of each.
type standard struct {
	Name     string
	Subject  string
	Sections []section
}

func (s standard) anchor() string { return anchorOf(s.Name) }

// parseStandards reads standards.txt. Every section belongs to a standard, so that
// nobody who comes by a name misses rows.
func parseStandards(text string, sections []section) ([]standard, error) {
	var standards []standard
	found := map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		bad := func(format string, args ...any) ([]standard, error) {
			return nil, fmt.Errorf("standards.txt:%d: %s", n+1, fmt.Sprintf(format, args...))
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != 3 {
			return bad("a line is a name, a subject and sections, with | between")
		}
		s := standard{Name: fields[0], Subject: fields[1]}
		if slices.ContainsFunc(standards, func(other standard) bool { return other.anchor() == s.anchor() }) {
			return bad("%s stands here a second time", s.Name)
		}
		for _, pattern := range strings.Split(fields[2], "; ") {
			begin, some := strings.CutSuffix(pattern, "*")
			before := len(s.Sections)
			for _, sec := range sections {
				if sec.Standard == pattern || some && strings.HasPrefix(sec.Standard, begin) {
					s.Sections = append(s.Sections, sec)
					found[sec.Standard] = true
				}
			}
			if len(s.Sections) == before {
				return bad("requirements.txt has no section called %s", pattern)
			}
		}
		// One that has a section of its own name is linked to there.
		if slices.ContainsFunc(sections, func(sec section) bool { return sec.anchor() == s.anchor() }) && len(s.Sections) != 1 {
			return bad("%s has a section of its own, and more: then its link would miss the rest", s.Name)
		}
		standards = append(standards, s)
	}
	for _, sec := range sections {
		if !found[sec.Standard] {
			return nil, fmt.Errorf("standards.txt: %s belongs to no standard; add it to one, or a line of its own", sec.Standard)
		}
	}
	return standards, nil
}

// tally counts rows by how they stand.
type tally struct {
	Rows, Proved int
	By           map[string]int // the kinds of reasons
}

func tallyOf(sections []section, rows map[string]row) tally {
	t := tally{By: map[string]int{}}
	for _, s := range sections {
		for _, req := range s.Rows {
			t.Rows++
			if r := rows[req.ID]; r.proved() {
				t.Proved++
			} else {
				t.By[r.Status]++
			}
		}
	}
	return t
}

// String is the summary of a section: "12 rows: 10 proved, 2 not offered."
func (t tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows: %d proved", t.Rows, t.Proved)
	if t.Rows == 1 {
		b.Reset()
		fmt.Fprintf(&b, "1 row: %d proved", t.Proved)
	}
	for _, k := range kinds {
		if n := t.By[k.name]; n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, k.name)
		}
	}
	return b.String() + "."
}

// renderStandards writes the table of standards. One without a section of its own
// has its anchor here.
func renderStandards(b *strings.Builder, standards []standard, rows map[string]row) {
	b.WriteString("\n## Standards\n\n| Standard | Subject | Rows | Proved |")
	for _, k := range kinds {
		fmt.Fprintf(b, " %s |", k.name)
	}
	b.WriteString(" Sections |\n|---|---|--:|--:|" + strings.Repeat("--:|", len(kinds)) + "---|\n")
	for _, s := range standards {
		name, own := fmt.Sprintf("<a id=\"%s\"></a>%s", s.anchor(), s.Name), false
		if len(s.Sections) == 1 && s.Sections[0].anchor() == s.anchor() {
			name, own = fmt.Sprintf("[%s](#%s)", s.Name, s.anchor()), true
		}
		t := tallyOf(s.Sections, rows)
		fmt.Fprintf(b, "| %s | %s | %d | %d |", name, s.Subject, t.Rows, t.Proved)
		for _, k := range kinds {
			fmt.Fprintf(b, " %d |", t.By[k.name])
		}
		var links []string
		if !own {
			for _, sec := range s.Sections {
				links = append(links, fmt.Sprintf("[%s](#%s)", shortName(sec.Standard, s.Name), sec.anchor()))
			}
		}
		fmt.Fprintf(b, " %s |\n", strings.Join(links, ", "))
	}
}

// shortName leaves out what the line says already: "RFC 8555 section 7.4" is "7.4"
// in the line of RFC 8555.
func shortName(sectionName, standardName string) string {
	rest, ours := strings.CutPrefix(sectionName, standardName)
	if !ours {
		return sectionName
	}
	return strings.TrimPrefix(strings.TrimLeft(rest, " ,"), "section ")
}
