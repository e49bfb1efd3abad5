package sectigotool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"
	"golang.org/x/term"

	"acmebridge/cmd/internal/usage"
)

// The formats of what goes to standard output.
const (
	asTable = "table"
	asJSON  = "json"
	asYAML  = "yaml"
)

func (t *tool) checkOutput() error {
	switch {
	case t.json && t.output != "" && t.output != asJSON:
		return usage.Errorf("--json and --output %s: choose one", t.output)
	case t.output != "" && !slices.Contains([]string{asTable, asJSON, asYAML}, t.output):
		return usage.Errorf("--output %q: one of table, json, yaml", t.output)
	}
	return nil
}

// format is what the person chose; else a table on a terminal; else otherwise.
func (t *tool) format(otherwise string) string {
	switch {
	case t.json:
		return asJSON
	case t.output != "":
		return t.output
	}
	if f, ok := t.Stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return asTable
	}
	return otherwise
}

// print writes v for programs, or lets human write it for people. Columns are
// separated by tabs.
func (t *tool) print(v any, human func(w io.Writer)) error { return t.write(asJSON, v, human) }

// tell is print for what is text unless JSON is asked for: confirmations.
func (t *tool) tell(v any, human func(w io.Writer)) error { return t.write(asTable, v, human) }

func (t *tool) write(otherwise string, v any, human func(w io.Writer)) error {
	switch t.format(otherwise) {
	case asTable:
		w := tabwriter.NewWriter(t.Stdout, 0, 0, 2, ' ', 0)
		human(w)
		return w.Flush()
	case asYAML:
		return t.yaml(v)
	}
	e := json.NewEncoder(t.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// yaml writes v with the names and the order of its JSON, which is YAML too
// once its style is forgotten.
func (t *tool) yaml(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &document); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	plain(&document)
	text, err := yaml.Marshal(&document)
	if err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err = fmt.Fprintf(t.Stdout, "---\n%s", text)
	return err
}

func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// fields writes names and values below each other.
func fields(w io.Writer, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(w, "%s\t%s\n", pairs[i], pairs[i+1])
	}
}

// show makes a value of the CA fit for a terminal (SA-5).
func show(s string) string {
	const longest = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "..."
	}
	if s == "" {
		return "-"
	}
	return s
}

// when writes a time for people.
func when(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
