package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is where the module is, seen from here.
const root = "../.."

// sources gives every file of the module that ends up in a program: no tests,
// no fakes, no suites.
func sources(t *testing.T, each func(name string, files *token.FileSet, file *ast.File)) {
	t.Helper()
	files, seen := token.NewFileSet(), 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "conformance" || name == "docs" || name != "." && strings.HasPrefix(d.Name(), ".") || strings.HasSuffix(name, "test")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path.Join(root, name), nil, parser.SkipObjectResolution)
		if err == nil {
			seen++
			each(name, files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 100 {
		t.Errorf("only %d files were looked at", seen)
	}
}

// selected lists what a file takes from a package, by the name that it has in
// the file; nil when the file does not import it.
func selected(file *ast.File, imported string) (names []*ast.SelectorExpr) {
	local := ""
	for _, i := range file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && p == imported {
			local = path.Base(p)
			if major.MatchString(local) {
				local = strings.TrimPrefix(path.Base(path.Dir(p)), "go-")
			}
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == local {
				names = append(names, s)
			}
		}
		return true
	})
	return names
}

var major = regexp.MustCompile(`^v[0-9]+$`)

// outgoing is what opens a connection, or asks the system for an address.
var outgoing = map[string]*regexp.Regexp{
	"net":        regexp.MustCompile(`^(Dial|Lookup|Resolver$|DefaultResolver$|Resolve)`),
	"crypto/tls": regexp.MustCompile(`^Dial`),
	"net/http":   regexp.MustCompile(`^(Client|Transport|Default(Client|Transport)|Get|Head|Post|PostForm|ProxyFromEnvironment|ProxyURL)$`),
}

// outgoingAllowed says who may, and why nobody can use it to get anywhere.
var outgoingAllowed = map[string]string{
	"internal/egress/":                   "it is the one dialer, which judges every address",
	"internal/admin/":                    "its client goes to the socket of our own server",
	"backends/digicert/transport.go":     "its only way to connect is the dialer that it is given",
	"backends/upstream/web.go":           "the same",
	"internal/memberapi/idtoken/web.go":  "the same",
	"internal/caclient/transport.go":     "the same",
	"cmd/acmebridge/demo":                "the tour is a client of a server that it has started itself",
	"cmd/acmebridge/member_directory.go": "its only way to connect is the dialer, to where the person at it has said",
	"cmd/acmebridge/admin":               "commands are clients of our own server",
	"cmd/acmebridge/doctor_network.go":   "it goes to the listeners and hosts of the operator's own configuration, from a command",

	"internal/globalconf/":             "its client comes from the command, which goes where the anchor of the operator says",
	"cmd/acmebridge/xroad_import.go":   "the same",
	"internal/identity/renew/":         "it runs at a member, goes to the server that the person at it has named, and is no part of one",
	"cmd/internal/sectigotool/dial.go": "a command connects to where the person at it has said, and no client chooses that",
}

// TestOneDialer: what connects on behalf of somebody has no way around the
// address policy (SV-1), and none that reads proxies of the environment (SV-9).
func TestOneDialer(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	sources(t, func(name string, files *token.FileSet, file *ast.File) {
		for imported, forbidden := range outgoing {
			for _, s := range selected(file, imported) {
				if !forbidden.MatchString(s.Sel.Name) {
					continue
				}
				found[imported] = true
				if !slices.ContainsFunc(keys(outgoingAllowed), func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
					t.Errorf("%s: %s.%s goes around internal/egress", files.Position(s.Pos()), imported, s.Sel.Name)
				}
			}
		}
	})
	if !found["net"] || !found["net/http"] {
		t.Errorf("found only %v: the test looks at the wrong things", found)
	}
}

func keys(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

// TestNoDecryption: the library for signatures can also decrypt, which is where
// its holes have been; nothing here may reach that (SP-6). What is allowed is
// listed, so that something new is a decision.
func TestNoDecryption(t *testing.T) {
	t.Parallel()
	const jose = "github.com/go-jose/go-jose/v4"
	allowed := []string{"ParseSignedCompact", "SignatureAlgorithm"}
	users := 0
	sources(t, func(name string, files *token.FileSet, file *ast.File) {
		for _, s := range selected(file, jose) {
			users++
			if !slices.Contains(allowed, s.Sel.Name) {
				t.Errorf("%s: %s of go-jose is not among what may be used", files.Position(s.Pos()), s.Sel.Name)
			}
		}
		for _, i := range file.Imports {
			if p, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(p, jose+"/") {
				t.Errorf("%s imports %s", name, p)
			}
		}
	})
	if users == 0 {
		t.Error("nobody uses go-jose: the test looks at the wrong thing")
	}
}

// TestFloors: the versions below which there are known holes in what reads
// hostile bytes here. For the toolchain these are those of 2026 in net/http,
// crypto and encoding (PX-7), for go-jose its JWS parsing (SP-6), for bbolt its
// check of damaged files (SS-5).
func TestFloors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(path.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for what, floor := range map[string]string{
		"go":                            "1.26.4",
		"github.com/go-jose/go-jose/v4": "4.1.4",
		"go.etcd.io/bbolt":              "1.5.0",
	} {
		m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(what) + ` v?([0-9.]+)`).FindSubmatch(text)
		if m == nil {
			t.Errorf("go.mod does not say which %s", what)
		} else if compare(string(m[1]), floor) < 0 {
			t.Errorf("go.mod is content with %s %s; %s is the least", what, m[1], floor)
		}
	}
	for older, newer := range map[string]string{"1.26.3": "1.26.4", "1.9.9": "1.26.4", "1.26": "1.26.4", "4.1.4": "10.0.0"} {
		if compare(older, newer) >= 0 || compare(newer, older) <= 0 || compare(older, older) != 0 {
			t.Errorf("%s is taken for newer than %s", older, newer)
		}
	}
}

// compare compares versions number by number.
func compare(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x - y
		}
	}
	return 0
}

// TestLintersThatDeny: a status without a branch and an error that nobody reads
// are how denials get lost (SP-3), so the linters that find them stay on.
func TestLintersThatDeny(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(path.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	enabled, _, _ := strings.Cut(string(text), "settings:")
	for _, linter := range []string{"exhaustive", "errcheck", "errorlint", "govet", "depguard"} {
		if !regexp.MustCompile(`(?m)^    - ` + linter + `\b`).MatchString(enabled) {
			t.Errorf(".golangci.yml does not enable %s", linter)
		}
	}
}
