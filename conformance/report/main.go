package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"acmebridge/conformance/acmetest"
)

const (
	requirementsFile = "conformance/report/requirements.txt"
	reasonsFile      = "conformance/report/reasons.txt"
	standardsFile    = "conformance/report/standards.txt"
	resultsFile      = "conformance/report/results.txt"
	documentFile     = "docs/conformance.md"
)

// suiteRun is the test that runs the black-box suite against this server.
var suiteRun = []string{"test", "-json", "-count=1", "-run", "^" + suiteTest + "$", suitePackage}

func main() {
	var o options
	flag.BoolVar(&o.check, "check", false, "write nothing, and fail when the document is out of date")
	flag.BoolVar(&o.run, "run", false, "run the black-box suite and record how its cases end")
	flag.StringVar(&o.results, "results", "", "take the cases from this output of go test -json; do not run them")
	flag.BoolVar(&o.prune, "prune", false, "remove the reasons for rows that have proof by now")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := o.report(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance/report:", err)
		os.Exit(1)
	}
}

type options struct {
	check   bool
	run     bool
	results string
	prune   bool
}

func (o options) report(ctx context.Context) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("%s: there are only flags, see -help", flag.Arg(0))
	}
	if o.check && o.prune {
		return errors.New("-check and -prune: -check writes nothing")
	}
	if o.run && o.results != "" {
		return errors.New("-run and -results: the cases are run or read, not both")
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if o.run || o.results != "" {
		if err := o.takeResults(ctx, root); err != nil {
			return err
		}
	}
	var cases []string
	for _, c := range acmetest.Cases() {
		cases = append(cases, c.FullName())
	}
	if o.prune {
		if err := prune(root, cases); err != nil {
			return err
		}
	}
	document, rows, err := generate(os.DirFS(root), cases)
	if err != nil {
		return err
	}
	path := filepath.Join(root, documentFile)
	if o.check {
		have, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if string(have) != document {
			return fmt.Errorf("%s is out of date: go run ./conformance/report\n%s", documentFile, firstDifference(string(have), document))
		}
	} else if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", documentFile, summary(rows))
	return nil
}

// inputs are what the document is made from.
type inputs struct {
	standards   []standard
	sections    []section
	reasons     map[string]reason
	results     map[string]outcome
	evidence    *evidence
	differences pebble
}

func readInputs(tree fs.FS) (in inputs, err error) {
	var texts [4]string
	for i, name := range []string{requirementsFile, reasonsFile, resultsFile, standardsFile} {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return in, err
		}
		texts[i] = string(text)
	}
	if in.sections, err = parseRequirements(texts[0]); err != nil {
		return in, err
	}
	if in.standards, err = parseStandards(texts[3], in.sections); err != nil {
		return in, err
	}
	if in.reasons, err = parseReasons(texts[1], rowIDs(in.sections)); err != nil {
		return in, err
	}
	if in.results, err = parseResults(texts[2]); err != nil {
		return in, err
	}
	known := map[string]bool{}
	for _, id := range rowIDs(in.sections) {
		known[id] = true
	}
	if in.evidence, err = scan(tree, known); err != nil {
		return in, err
	}
	in.differences, err = countDifferences(tree)
	return in, err
}

// generate makes the document from a tree, or says everything that is wrong with it.
func generate(tree fs.FS, cases []string) (string, map[string]row, error) {
	in, err := readInputs(tree)
	if err != nil {
		return "", nil, err
	}
	rows, problems, _ := judge(allRows(in.sections), cases, in.results, in.evidence, in.reasons)
	if len(problems) > 0 {
		return "", nil, fmt.Errorf("%d things to settle first:\n\t%s", len(problems), strings.Join(problems, "\n\t"))
	}
	return render(in.standards, in.sections, rows, len(cases), in.differences), rows, nil
}

// prune removes reasons that no longer hold. Nobody is asked: a row that has proof
// needs no excuse.
func prune(root string, cases []string) error {
	in, err := readInputs(os.DirFS(root))
	if err != nil {
		return err
	}
	_, _, stale := judge(allRows(in.sections), cases, in.results, in.evidence, in.reasons)
	if len(stale) == 0 {
		return nil
	}
	path := filepath.Join(root, reasonsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Printf("%s: removed %s\n", reasonsFile, strings.Join(stale, ", "))
	return os.WriteFile(path, []byte(without(string(text), stale)), 0o644)
}

// takeResults records how the cases ended, or compares that with the record.
func (o options) takeResults(ctx context.Context, root string) error {
	output, err := o.testOutput(ctx, root)
	if err != nil {
		return err
	}
	found, err := readTestOutput(bytes.NewReader(output))
	if err != nil {
		return err
	}
	text, err := formatResults(found)
	if err != nil {
		return err
	}
	path := filepath.Join(root, resultsFile)
	if !o.check {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	recordedText, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	recorded, err := parseResults(string(recordedText))
	if err != nil {
		return err
	}
	if differences := changed(recorded, found); len(differences) > 0 {
		return fmt.Errorf("the run ended differently: go run ./conformance/report -run\n\t%s", strings.Join(differences, "\n\t"))
	}
	return nil
}

func (o options) testOutput(ctx context.Context, root string) ([]byte, error) {
	if o.results != "" {
		return os.ReadFile(o.results)
	}
	cmd := exec.CommandContext(ctx, "go", suiteRun...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	output, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && bytes.Contains(output, []byte(`"Test":"`+suiteTest+`"`)) {
		return output, nil // the cases that failed are named by whoever reads them
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(suiteRun, " "), err, output)
	}
	return output, nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run this within the project")
		}
		dir = parent
	}
}

// summary is for the person at the terminal.
func summary(rows map[string]row) string {
	proved := 0
	for _, r := range rows {
		if r.proved() {
			proved++
		}
	}
	return fmt.Sprintf("%d rows, %d proved, %d with a reason why not", len(rows), proved, len(rows)-proved)
}
