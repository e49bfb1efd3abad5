package acme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// registered is what RFC 8555 (6.7), RFC 9773 (section 5) and the profiles
// draft put below the ACME prefix and this server has a use for, written down a
// second time.
var registered = []string{
	"accountDoesNotExist", "alreadyReplaced", "alreadyRevoked", "badCSR", "badNonce", "badPublicKey", "badRevocationReason",
	"badSignatureAlgorithm", "caa", "compound", "connection", "dns", "externalAccountRequired", "incorrectResponse", "invalidContact",
	"invalidProfile", "malformed", "orderNotReady", "rateLimited", "rejectedIdentifier", "serverInternal", "tls", "unauthorized",
	"unsupportedContact", "unsupportedIdentifier", "userActionRequired",
}

// TestProblemTypesAreRegistered: no error type is made up (R8555-6.7-2). The
// list of constants is the registered one, nothing else in the source makes a
// type, and nothing else writes the prefix.
func TestProblemTypesAreRegistered(t *testing.T) {
	t.Parallel()
	var constants []string
	files := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "conformance" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir // clients and suites speak of what servers should not send
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, "../"+path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		home := path == "acme/problem.go"
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if isProblemType(n.Type) && len(n.Values) > 0 {
					if !home {
						t.Errorf("%s declares a problem type", files.Position(n.Pos()))
					}
					constants = append(constants, literal(n.Values[0]))
				}
			case *ast.CallExpr:
				if isProblemType(n.Fun) || called(n) == "Problemf" && isLiteral(n.Args[0]) {
					t.Errorf("%s makes a problem type out of something", files.Position(n.Pos()))
				}
			case *ast.BasicLit:
				if !home && strings.Contains(n.Value, ProblemPrefix) {
					t.Errorf("%s writes the prefix of problem types", files.Position(n.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(constants)
	if !slices.Equal(constants, registered) {
		t.Errorf("the constants are\n%v\nregistered are\n%v", constants, registered)
	}
}

func isProblemType(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "ProblemType"
	case *ast.SelectorExpr:
		return e.Sel.Name == "ProblemType"
	default:
		return false
	}
}

// called is the name of the function that is called.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	default:
		return ""
	}
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return "(no literal)"
}

// TestProblemStatus: each type has the status that the checklist gives it
// (A.7), and every one is an error of HTTP.
func TestProblemStatus(t *testing.T) {
	t.Parallel()
	want := map[ProblemType]int{
		ServerInternal: 500, RateLimited: 429, AlreadyReplaced: 409,
		CAA: 403, ExternalAccountRequired: 403, OrderNotReady: 403, Unauthorized: 403, UserActionRequired: 403,
	}
	for _, name := range registered {
		status, special := want[ProblemType(name)]
		if !special {
			status = 400
		}
		if p := Problemf(ProblemType(name), "because of %d", 7); p.Status != status || p.Detail != "because of 7" {
			t.Errorf("%s: %d %q, want %d", name, p.Status, p.Detail, status)
		}
	}
}
