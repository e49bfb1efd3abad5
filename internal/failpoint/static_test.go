package failpoint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// These tests hold the list of points against the source of the whole module
// (FP-0): a write that no test can break is a write that nobody has thought
// about, and it fails the build.

// writesElsewhere are the calls of Update outside of the engine and the stores
// that are right to be there.
var writesElsewhere = map[string]string{
	"cmd/acmebridge/lastseen.go: rememberClock": "the time of the last run, written at start and stop; losing it only makes the check of the clock weaker",
}

// unused are the points that nothing hits yet.
var unused = map[string]string{
	"DownloadHalf": "for backends that read a certificate from a connection; the ones there are make it in memory",
}

// callPoints says, for every call of a backend, what stands before and after
// it in the function that makes the call, or in those that come right before
// and after it in the life of an order. A call that is not in this table, and
// a row without a call, fail.
var callPoints = map[string]struct{ before, after []string }{
	"engine/submit.go stepSubmit Submit":          {[]string{"Intent"}, []string{"Sent", "Ticket", "Fail", "Reschedule"}},
	"engine/together.go sendTogether SubmitBatch": {[]string{"Intent"}, []string{"Sent", "Ticket", "Apart", "Reschedule"}},
	"engine/doubt.go reconcile Find":              {[]string{"Claim"}, []string{"Reconcile", "Reschedule"}},
	"engine/reissue.go sendReissue Reissue":       {[]string{"ReissueIntent"}, []string{"Sent", "ReissueTicket", "Fail", "Reschedule"}},
	"engine/reissue.go findReissue FindReissue":   {[]string{"Claim"}, []string{"ReissueTicket", "Fail", "Reschedule"}},
	"engine/poll.go ask Poll":                     {[]string{"Claim"}, []string{"PollRead", "Quarantine", "Fail", "Reschedule"}},
	"engine/poll.go ask Continue":                 {[]string{"Ticket", "Claim"}, []string{"PollRead", "Quarantine", "Fail", "Reschedule"}},
	"engine/revoke.go stepRevoke Revoke":          {[]string{"Claim"}, []string{"RevokeSent", "RevokeResult"}},
	"engine/close.go close Issue":                 {[]string{"FinalizeParsed"}, []string{"Finalize", "Fail"}},
	"engine/renewal_advice.go askCA RenewalInfo":  {[]string{"AskAdvice"}, []string{"Advice"}},
	"engine/survey.go lookAtCA Survey":            {[]string{"AskSurvey"}, []string{"Agree"}},
	"engine/survey.go lookAtCA Check":             {[]string{"AskSurvey"}, []string{"Agree"}},
	"engine/publish.go publishCRL SignCRL": {
		[]string{"PublishNumber"}, []string{"Publish"},
	},
}

// source is a parsed file of the module.
type source struct {
	path string // relative to the module
	file *ast.File
}

// parseModule parses every file that ends up in a program: no tests, no suites.
func parseModule(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("this package is not two folders below the module: %v", err)
	}
	var all []source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || rel == "conformance") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		all = append(all, source{rel, f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("found only %d files; is this the module?", len(all))
	}
	return all
}

// functions calls fn for each declared function of the file.
func (s source) functions(fn func(*ast.FuncDecl)) {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			fn(f)
		}
	}
}

// calls calls fn for each call x.name(...) below n.
func calls(n ast.Node, fn func(name string, on ast.Expr, c *ast.CallExpr)) {
	ast.Inspect(n, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
				fn(sel.Sel.Name, sel.X, c)
			}
		}
		return true
	})
}

// ours returns X of an expression failpoint.X.
func ours(e ast.Expr) (string, bool) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return sel.Sel.Name, ok && pkg.Name == "failpoint"
}

// declared returns the exported variables of type Write and the exported
// constants of type Point, as points.go declares them.
func declared(t *testing.T, files []source) (writes, points map[string][]string) {
	t.Helper()
	writes, points = map[string][]string{}, map[string][]string{}
	for _, s := range files {
		if s.path != "internal/failpoint/points.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Names) != 1 || len(v.Values) != 1 {
				return true
			}
			name := v.Names[0].Name
			switch value := v.Values[0].(type) {
			case *ast.CompositeLit:
				if id, ok := value.Type.(*ast.Ident); ok && id.Name == "Write" {
					for _, e := range value.Elts {
						writes[name] = append(writes[name], text(t, e))
					}
				}
			case *ast.BasicLit:
				if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Point" {
					points[name] = []string{text(t, value)}
				}
			}
			return true
		})
	}
	if len(writes) == 0 || len(points) == 0 {
		t.Fatal("found no declarations in points.go")
	}
	return writes, points
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("a point is not a plain string")
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestUpdatesAreCommits: a store is written to in one place only (SS-2).
func TestUpdatesAreCommits(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, s := range parseModule(t) {
		if strings.HasPrefix(s.path, "storage/") {
			continue
		}
		s.functions(func(f *ast.FuncDecl) {
			calls(f, func(name string, on ast.Expr, c *ast.CallExpr) {
				if id, ok := on.(*ast.Ident); ok && id.Name == "crc32" {
					return
				}
				if name == "Update" && len(c.Args) == 2 {
					found[s.path+": "+f.Name.Name]++
				}
			})
		})
	}
	const commit = "acme/engine/commit.go: commit"
	if found[commit] != 1 {
		t.Errorf("the engine's commit calls Update %d times, want once", found[commit])
	}
	delete(found, commit)
	for where, n := range found {
		if writesElsewhere[where] == "" {
			t.Errorf("%s calls Update %d times: every write goes through the engine's commit, where the failpoints are", where, n)
		}
	}
	for where := range writesElsewhere {
		if found[where] == 0 {
			t.Errorf("%s does not call Update any more: take it out of writesElsewhere", where)
		}
	}
}

// TestCommitsHavePoints: every commit says what it means, and everything that a
// commit may mean is meant by one.
func TestCommitsHavePoints(t *testing.T) {
	t.Parallel()
	files := parseModule(t)
	writes, _ := declared(t, files)
	used := map[string]int{}
	commits := 0
	for _, s := range files {
		if strings.HasPrefix(s.path, "internal/failpoint/") {
			continue
		}
		s.functions(func(f *ast.FuncDecl) {
			passedOn := writeParameters(f)
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if name, ok := ours(e); ok && writes[name] != nil {
						used[name]++
					}
				}
				return true
			})
			calls(f, func(name string, _ ast.Expr, c *ast.CallExpr) {
				if name != "commit" || !strings.HasPrefix(s.path, "acme/engine/") {
					return
				}
				commits++
				if len(c.Args) < 3 {
					t.Errorf("%s: %s commits without a failpoint.Write", s.path, f.Name.Name)
					return
				}
				for _, arg := range c.Args[2:] {
					id, isIdent := arg.(*ast.Ident)
					if point, ok := ours(arg); ok && writes[point] == nil || !ok && !(isIdent && passedOn[id.Name]) {
						t.Errorf("%s: %s passes to commit something that is not a failpoint.Write", s.path, f.Name.Name)
					}
				}
			})
		})
	}
	t.Logf("%d commits, %d kinds of write", commits, len(writes))
	for name := range writes {
		if used[name] == 0 {
			t.Errorf("%s is used by no commit", name)
		}
	}
}

// writeParameters are the parameters of f that are a Write; a caller names it.
func writeParameters(f *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	for _, p := range f.Type.Params.List {
		if point, ok := ours(p.Type); ok && point == "Write" {
			for _, n := range p.Names {
				names[n.Name] = true
			}
		}
	}
	return names
}

// TestWritesListsAll: a test that goes through Writes meets every one.
func TestWritesListsAll(t *testing.T) {
	t.Parallel()
	writes, points := declared(t, parseModule(t))
	listed := map[Write]bool{}
	for _, w := range Writes() {
		if listed[w] {
			t.Errorf("Writes lists %v twice", w)
		}
		listed[w] = true
	}
	if len(listed) != len(writes) {
		t.Errorf("Writes lists %d, %d are declared", len(listed), len(writes))
	}
	owner := map[string]string{}
	take := func(point, name string) {
		if other := owner[point]; other != "" {
			t.Errorf("%s and %s both have the point %s", other, name, point)
		}
		owner[point] = name
		if !strings.HasPrefix(point, "FP-") {
			t.Errorf("%s: a point is called FP-..., not %q", name, point)
		}
	}
	for name, w := range writes {
		if len(w) != 2 {
			t.Fatalf("%s has %d points, want one on each side", name, len(w))
		}
		if !listed[Write{Point(w[0]), Point(w[1])}] {
			t.Errorf("%s is not in Writes", name)
		}
		take(w[0], name)
		take(w[1], name)
	}
	for name, p := range points {
		take(p[0], name)
		if !slices.Contains(Points(), Point(p[0])) {
			t.Errorf("%s is not in Points", name)
		}
	}
	if len(Points()) != len(points) {
		t.Errorf("Points lists %d, %d are declared", len(Points()), len(points))
	}
}

// TestPointsAreHit: a point that no code passes is a test that tests nothing.
func TestPointsAreHit(t *testing.T) {
	t.Parallel()
	files := parseModule(t)
	_, points := declared(t, files)
	hit := map[string]int{}
	for _, s := range files {
		s.functions(func(f *ast.FuncDecl) {
			calls(f, func(name string, on ast.Expr, c *ast.CallExpr) {
				if pkg, ok := on.(*ast.Ident); !ok || pkg.Name != "failpoint" || name != "Hit" {
					return
				}
				point, ok := ours(c.Args[0])
				if !ok || points[point] == nil {
					t.Errorf("%s: %s hits something that is not a declared Point", s.path, f.Name.Name)
				}
				hit[point]++
			})
		})
	}
	for name := range points {
		switch {
		case hit[name] == 0 && unused[name] == "":
			t.Errorf("nothing hits %s", name)
		case hit[name] > 0 && unused[name] != "":
			t.Errorf("%s is hit now: take it out of unused", name)
		}
	}
}

// TestBackendCallsHavePoints: every question to a CA has a point on each side
// that a test can break.
func TestBackendCallsHavePoints(t *testing.T) {
	t.Parallel()
	files := parseModule(t)
	writes, points := declared(t, files)
	found := map[string]int{}
	inEngine := map[string]bool{} // points that the engine uses
	for _, s := range files {
		rel, ok := strings.CutPrefix(s.path, "acme/")
		if !ok || !strings.HasPrefix(rel, "engine/") {
			continue
		}
		s.functions(func(f *ast.FuncDecl) {
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if name, ok := ours(e); ok {
						inEngine[name] = true
					}
				}
				return true
			})
			calls(f, func(name string, on ast.Expr, _ *ast.CallExpr) {
				if asksCA(name, on) {
					found[fmt.Sprintf("%s %s %s", rel, f.Name.Name, name)]++
				}
			})
		})
	}
	for where, n := range found {
		if _, ok := callPoints[where]; !ok {
			t.Errorf("%s asks a CA and has no row in callPoints: give it a point before and after", where)
		}
		if n > 1 {
			t.Errorf("%s asks a CA %d times with one pair of points", where, n)
		}
	}
	for _, where := range slices.Sorted(maps.Keys(callPoints)) {
		row := callPoints[where]
		if found[where] == 0 {
			t.Errorf("%s: there is no such call any more", where)
		}
		if len(row.before) == 0 || len(row.after) == 0 {
			t.Errorf("%s: needs a point on each side", where)
		}
		for _, p := range slices.Concat(row.before, row.after) {
			if writes[p] == nil && points[p] == nil {
				t.Errorf("%s: there is no point %s", where, p)
			}
			if !inEngine[p] {
				t.Errorf("%s: the engine does not use %s", where, p)
			}
		}
	}
}

// asksCA says whether a call is one of a backend's methods: they are reached
// through the fields of an authority, and nothing else is.
func asksCA(method string, on ast.Expr) bool {
	sel, ok := on.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch sel.Sel.Name + "." + method {
	case "backend.Submit", "batcher.SubmitBatch", "backend.Poll", "continuer.Continue", "issuer.Issue", "finder.Find", "reissuer.Reissue", "reissuer.FindReissue", "revoker.Revoke", "crls.SignCRL", "informer.RenewalInfo", "surveyor.Survey", "checker.Check":
		return true
	}
	return false
}
