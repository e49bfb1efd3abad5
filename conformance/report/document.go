package main

import (
	"fmt"
	"slices"
	"strings"
)

// pebble is the extent of the reviewed list of what Pebble does differently.
type pebble struct {
	Cases, Reasons int
}

const pebbleDifferencesFile = "conformance/acmetest/pebble_differences_test.go"

// render writes docs/conformance.md.
func render(standards []standard, sections []section, rows map[string]row, cases int, differences pebble) string {
	var b strings.Builder
	b.WriteString(`# Conformance

<!-- Written by "go run ./conformance/report". Change requirements.txt or reasons.txt in that folder, or the tests, and run it again. -->

What the standards ask of an ACME server, row by row, and what shows that this one
does it. The rows are our own reading and wording; the standards decide. Ids are
cited in code and tests, so a search for one finds both.

| Status | Meaning |
|---|---|
| passed | a case of the [black-box suite](../conformance/acmetest) passes against this server |
| unit test | a test that names the row covers it |
`)
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, k.meaning)
	}
	b.WriteString("\nLevels:")
	for i, l := range levels {
		separator := ";"
		if i == len(levels)-1 {
			separator = "."
		}
		fmt.Fprintf(&b, " %s, %s%s", l.name, l.meaning, separator)
	}
	b.WriteString("\n")

	public, own := split(sections)
	totals(&b, "Standards", public, rows)
	totals(&b, "Our security requirements", own, rows)
	fmt.Fprintf(&b, `
The suite has %d cases. Pebble, the test server of Let's Encrypt, is run as a second
server: it differs in %d of them, for %d reasons, each reviewed and written down in
[%s](../%s). How we ourselves read the standards where they are silent or
disagree is in [divergences.md](divergences.md).
`, cases, differences.Cases, differences.Reasons, baseName(pebbleDifferencesFile), pebbleDifferencesFile)

	renderStandards(&b, standards, rows)
	b.WriteString("\n## Sections\n\n| Section | Subject | Rows | Proved |\n|---|---|--:|--:|\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %d | %d |\n", s.Standard, s.anchor(), s.Subject, len(s.Rows), tallyOf([]section{s}, rows).Proved)
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n<a id=\"%s\"></a>\n\n## %s: %s\n\n", s.anchor(), s.Standard, s.Subject)
		fmt.Fprintf(&b, "%s\n\n", tallyOf([]section{s}, rows))
		b.WriteString("| Id | Level | What is asked | Status | Shown by | In |\n|---|---|---|---|---|---|\n")
		for _, req := range s.Rows {
			renderRow(&b, rows[req.ID])
		}
	}
	return b.String()
}

func split(sections []section) (standards, own []section) {
	for _, s := range sections {
		if s.security() {
			own = append(own, s)
		} else {
			standards = append(standards, s)
		}
	}
	return standards, own
}

// totals counts statuses by level. Levels without rows are left out.
func totals(b *strings.Builder, title string, sections []section, rows map[string]row) {
	statuses := []string{statusPassed, statusUnitTest}
	for _, k := range kinds {
		statuses = append(statuses, k.name)
	}
	counts := map[string]map[string]int{"": {}}
	for _, l := range levels {
		counts[l.name] = map[string]int{}
	}
	for _, s := range sections {
		for _, req := range s.Rows {
			for _, level := range []string{req.Level, ""} {
				counts[level][rows[req.ID].Status]++
				counts[level][""]++
			}
		}
	}
	fmt.Fprintf(b, "\n| %s | Rows | %s |\n|---|%s\n", title, strings.Join(statuses, " | "), strings.Repeat("--:|", len(statuses)+1))
	line := func(name, level string) {
		if counts[level][""] == 0 {
			return
		}
		fmt.Fprintf(b, "| %s | %d |", name, counts[level][""])
		for _, status := range statuses {
			fmt.Fprintf(b, " %d |", counts[level][status])
		}
		b.WriteString("\n")
	}
	for _, l := range levels {
		line(l.name, l.name)
	}
	line("all", "")
}

func renderRow(b *strings.Builder, r row) {
	status := r.Status
	if r.Reason != "" {
		status += ": " + r.Reason
	}
	var shown []string
	for _, c := range r.Cases {
		text := "`" + c.Name + "`"
		if c.How == notApplicable {
			text += " (not applicable)"
		}
		shown = append(shown, text)
	}
	for _, test := range r.Tests {
		shown = append(shown, linkTest(test))
	}
	var in []string
	for _, file := range r.Sources {
		in = append(in, fmt.Sprintf("[%s](../%s)", file, file))
	}
	cells := []string{r.ID, r.Level, r.Text, status, strings.Join(shown, "<br>"), strings.Join(in, "<br>")}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// linkTest shows a script as a link and a test by its name, which a search finds.
func linkTest(test string) string {
	if strings.HasSuffix(test, ".txt") {
		return fmt.Sprintf("[%s](../%s)", test, test)
	}
	return "`" + test + "`"
}

func baseName(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }

// firstDifference tells a person where two texts part.
func firstDifference(have, want string) string {
	haveLines, wantLines := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range max(len(haveLines), len(wantLines)) {
		h, w := "(nothing)", "(nothing)"
		if i < len(haveLines) {
			h = haveLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if h != w {
			return fmt.Sprintf("line %d is\n\t%s\nand should be\n\t%s", i+1, h, w)
		}
	}
	return "no line differs"
}

// rowIDs lists the ids in the order of the document.
func rowIDs(sections []section) (ids []string) {
	for _, r := range allRows(sections) {
		ids = append(ids, r.ID)
	}
	return ids
}

func allRows(sections []section) []requirement {
	var all []requirement
	for _, s := range sections {
		all = slices.Concat(all, s.Rows)
	}
	return all
}
