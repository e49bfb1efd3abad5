package jws_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parsed reads the files of a folder that end up in a program.
func parsed(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// functions calls each with every function of some files.
func functions(files []*ast.File, each func(*ast.FuncDecl)) {
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				each(f)
			}
		}
	}
}

// TestVerifiedHasOneSource: outside of this package a Verified can only be had
// from Verify: it has no field that others could fill, and no other function
// gives one out or fills one (SP-2).
func TestVerifiedHasOneSource(t *testing.T) {
	t.Parallel()
	files := parsed(t, ".")
	var sources, fillers []string
	functions(files, func(f *ast.FuncDecl) {
		if f.Type.Results != nil {
			for _, r := range f.Type.Results.List {
				if x, ok := r.Type.(*ast.Ident); ok && x.Name == "Verified" {
					sources = append(sources, f.Name.Name)
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && len(lit.Elts) > 0 {
				if x, ok := lit.Type.(*ast.Ident); ok && x.Name == "Verified" {
					fillers = append(fillers, f.Name.Name)
				}
			}
			return true
		})
	})
	if want := []string{"Verify"}; !slices.Equal(sources, want) || !slices.Equal(fillers, want) {
		t.Errorf("a Verified is returned by %v and filled by %v, want both %v", sources, fillers, want)
	}
	fields := 0
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "Verified" {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				for _, name := range field.Names {
					if fields++; name.IsExported() {
						t.Errorf("anybody can set Verified.%s", name.Name)
					}
				}
				if len(field.Names) == 0 {
					t.Error("Verified embeds something")
				}
			}
			return false
		})
	}
	if fields == 0 {
		t.Error("Verified was not found")
	}
}

// TestRequestsAreSetByAuthenticate: in the front, who is asking and what they
// signed is set in one function, and by nobody else (SP-2).
func TestRequestsAreSetByAuthenticate(t *testing.T) {
	t.Parallel()
	set := map[string][]string{"signed": nil, "account": nil}
	functions(parsed(t, "../server"), func(f *ast.FuncDecl) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok {
						if by, watched := set[s.Sel.Name]; watched {
							set[s.Sel.Name] = append(by, f.Name.Name)
						}
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok {
					if by, watched := set[key.Name]; watched {
						set[key.Name] = append(by, f.Name.Name)
					}
				}
			}
			return true
		})
	})
	for field, by := range set {
		if !slices.Equal(by, []string{"authenticate"}) {
			t.Errorf("%s is set in %v, want once and in authenticate", field, by)
		}
	}
}
