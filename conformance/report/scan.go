package main

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// evidence is what a tree of sources has to say about each row.
type evidence struct {
	tests   map[string][]string // id to tests, such as "acme/jws.TestBinding"
	sources map[string][]string // id to files
	unknown []string            // citations of what is no row
	names   map[string]bool     // every test there is
}

// aboutTools are tests of the measuring tools. What they cite says nothing about
// the server: the list of what Pebble does differently names half of the rows.
var aboutTools = []string{"conformance/acmetest", "conformance/load", "conformance/pebbletest", "conformance/report"}

// scan reads every Go file and every test script of a tree.
func scan(tree fs.FS, known map[string]bool) (*evidence, error) {
	ev := &evidence{tests: map[string][]string{}, sources: map[string][]string{}, names: map[string]bool{}}
	testFiles := map[string][]testFile{} // by directory
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && strings.HasPrefix(d.Name(), ".") || slices.Contains(aboutTools, name) {
				return fs.SkipDir
			}
			return nil
		}
		read := func() (string, []citation, error) {
			text, err := fs.ReadFile(tree, name)
			if err != nil {
				return "", nil, err
			}
			return string(text), ev.known(name, string(text), known), nil
		}
		switch {
		case strings.HasSuffix(name, "_test.go"):
			text, cited, err := read()
			if err != nil {
				return err
			}
			testFiles[path.Dir(name)] = append(testFiles[path.Dir(name)], testFile{name, text, cited})
		case strings.HasSuffix(name, ".txt") && strings.Contains(name, "testdata/script/"):
			_, cited, err := read()
			if err != nil {
				return err
			}
			ev.cite(ev.tests, cited, name)
		case strings.HasSuffix(name, ".go") && !standsIn(name):
			_, cited, err := read()
			if err != nil {
				return err
			}
			ev.cite(ev.sources, cited, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for dir, files := range testFiles {
		p, err := readTests(files)
		if err != nil {
			return nil, err
		}
		for _, test := range p.tests() {
			ev.names[path.Join(".", dir)+"."+test] = true
		}
		for _, file := range files {
			for _, c := range file.citations {
				for _, test := range p.testsOf(file.name, c.Offset) {
					ev.add(ev.tests, c.ID, path.Join(".", dir)+"."+test)
				}
			}
		}
	}
	for _, lists := range []map[string][]string{ev.tests, ev.sources} {
		for _, list := range lists {
			slices.Sort(list)
		}
	}
	slices.Sort(ev.unknown)
	return ev, nil
}

// standsIn: suites, fakes and drivers are code for tests and implement nothing.
func standsIn(name string) bool {
	return strings.HasPrefix(name, "conformance/") || strings.HasSuffix(path.Dir(name), "test")
}

// known returns the citations of a file that are rows, and notes the others.
func (ev *evidence) known(name, text string, known map[string]bool) []citation {
	return slices.DeleteFunc(citations(text), func(c citation) bool {
		if !known[c.ID] {
			line := 1 + strings.Count(text[:c.Offset], "\n")
			ev.unknown = append(ev.unknown, fmt.Sprintf("%s:%d: %s is no row of requirements.txt", name, line, c.ID))
		}
		return !known[c.ID]
	})
}

func (ev *evidence) cite(lists map[string][]string, cited []citation, by string) {
	for _, c := range cited {
		ev.add(lists, c.ID, by)
	}
}

func (ev *evidence) add(lists map[string][]string, id, by string) {
	if !slices.Contains(lists[id], by) {
		lists[id] = append(lists[id], by)
	}
}
