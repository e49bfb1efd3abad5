package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// testFile is one _test.go file and what it cites.
type testFile struct {
	name      string
	text      string
	citations []citation
}

// declaration is a top-level declaration of a test file.
type declaration struct {
	file  string
	end   int // what stands before it, up to the end of the last one, belongs to it
	names []string
	uses  map[string]bool // every identifier in it
}

// testPackage is the test files of one directory.
type testPackage struct {
	declarations []declaration // in the order of the files
}

// fewTests is how many tests a helper may serve and still show something about each
// of them. A harness that cites a row is not a test of that row.
const fewTests = 3

func readTests(files []testFile) (*testPackage, error) {
	p := &testPackage{}
	for _, f := range files {
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, f.name, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range tree.Decls {
			p.declarations = append(p.declarations, declare(f, fset, decl))
		}
	}
	return p, nil
}

func declare(f testFile, fset *token.FileSet, decl ast.Decl) declaration {
	d := declaration{file: f.name, uses: map[string]bool{}}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		d.names = []string{decl.Name.Name}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					d.names = append(d.names, name.Name)
				}
			case *ast.TypeSpec:
				d.names = append(d.names, spec.Name.Name)
			}
		}
	}
	d.end = fset.Position(decl.End()).Offset
	if eol := strings.IndexByte(f.text[d.end:], '\n'); eol >= 0 {
		d.end += eol // a comment behind a declaration belongs to it
	}
	ast.Inspect(decl, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			d.uses[id.Name] = true
		}
		return true
	})
	return d
}

func (p *testPackage) tests() (names []string) {
	for _, d := range p.declarations {
		if len(d.names) == 1 && isTest(d.names[0]) {
			names = append(names, d.names[0])
		}
	}
	return names
}

// testsOf names the tests that what stands at an offset of a file belongs to. A
// comment between declarations belongs to the one that follows.
func (p *testPackage) testsOf(file string, offset int) []string {
	for _, d := range p.declarations {
		if d.file != file || offset >= d.end {
			continue
		}
		if len(d.names) == 1 && isTest(d.names[0]) {
			return d.names
		}
		if tests := p.usersOf(d.names); len(tests) <= fewTests {
			return tests
		}
		return nil
	}
	return nil
}

// usersOf names the tests that reach any of some declarations, by name.
func (p *testPackage) usersOf(names []string) []string {
	var tests []string
	reached := slices.Clone(names)
	for i := 0; i < len(reached); i++ {
		for _, d := range p.declarations {
			if !d.uses[reached[i]] {
				continue
			}
			for _, user := range d.names {
				if slices.Contains(reached, user) {
					continue
				}
				reached = append(reached, user)
				if isTest(user) {
					tests = append(tests, user)
				}
			}
		}
	}
	slices.Sort(tests)
	return tests
}

// isTest is true for what go test runs and can fail; benchmarks judge nothing.
func isTest(name string) bool {
	for _, prefix := range []string{"Test", "Fuzz", "Example"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && name != "TestMain" {
			first, _ := utf8.DecodeRuneInString(rest)
			return rest == "" || !unicode.IsLower(first)
		}
	}
	return false
}
