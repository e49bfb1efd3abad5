package main

import (
	"fmt"
	"regexp"
	"strings"
)

// requirement is one row of requirements.txt.
type requirement struct {
	ID    string
	Level string
	Text  string
}

// section is what stands under one heading of requirements.txt.
type section struct {
	Standard string // "RFC 8555 section 7.4", "Security, DNS"
	Subject  string
	Rows     []requirement
}

// security tells the rows of our own security requirements from the standards.
func (s section) security() bool { return strings.HasPrefix(s.Standard, "Security") }

var notInAnchors = regexp.MustCompile(`[^a-z0-9]+`)

// anchor is what other documents link to; it depends on the standard's name alone,
// so that a better wording of the subject breaks no link.
func (s section) anchor() string { return anchorOf(s.Standard) }

func anchorOf(name string) string {
	return strings.Trim(notInAnchors.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// levels are explained in the document in this order.
var levels = []struct{ name, meaning string }{
	{"M", "the standard says must"},
	{"S", "the standard says should"},
	{"O", "the standard leaves it open"},
	{"P", "our own policy where the standard is silent"},
	{"BR", "baseline requirements for public CAs, which do not bind a private one"},
	{"-", "binds clients, or is a note"},
}

func isLevel(name string) bool {
	for _, l := range levels {
		if l.name == name {
			return true
		}
	}
	return false
}

// parseRequirements reads requirements.txt.
func parseRequirements(text string) ([]section, error) {
	var sections []section
	seen, anchors := map[string]bool{}, map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		bad := func(format string, args ...any) ([]section, error) {
			return nil, fmt.Errorf("requirements.txt:%d: %s", n+1, fmt.Sprintf(format, args...))
		}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if heading, ok := strings.CutPrefix(line, "["); ok {
			standard, subject, ok := strings.Cut(strings.TrimSuffix(heading, "]"), ": ")
			if !ok || !strings.HasSuffix(line, "]") {
				return bad("a heading is [standard: subject]")
			}
			s := section{Standard: standard, Subject: subject}
			if anchors[s.anchor()] {
				return bad("a second section called %s", standard)
			}
			anchors[s.anchor()] = true
			sections = append(sections, s)
			continue
		}
		r, ok := parseRow(line)
		switch {
		case !ok:
			return bad("a row is an id, a level and what is asked")
		case !isLevel(r.Level):
			return bad("%s has no level called %s", r.ID, r.Level)
		case !isID(r.ID):
			return bad("%s is not written like an id that tests can cite", r.ID)
		case seen[r.ID]:
			return bad("%s stands here a second time", r.ID)
		case len(sections) == 0:
			return bad("%s stands before the first heading", r.ID)
		}
		seen[r.ID] = true
		last := &sections[len(sections)-1]
		last.Rows = append(last.Rows, r)
	}
	for _, s := range sections {
		if len(s.Rows) == 0 {
			return nil, fmt.Errorf("requirements.txt: no row below %s", s.Standard)
		}
	}
	return sections, nil
}

func parseRow(line string) (requirement, bool) {
	fields := strings.Fields(line)
	if len(fields) < 3 {
		return requirement{}, false
	}
	return requirement{ID: fields[0], Level: fields[1], Text: strings.Join(fields[2:], " ")}, true
}
