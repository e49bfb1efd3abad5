package server_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// TestEveryPathHasARow walks the router (SP-8): a path that came in beside the
// table would have no rule for who may use it.
func TestEveryPathHasARow(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	want := map[string]int{}
	for _, d := range f.Engine.Directories() {
		want[d.Path]++
		for _, row := range server.Rows() {
			want["/acme/"+string(d.Name)+row.Path]++
		}
	}
	got := map[string]int{}
	err := f.handler.(*mux.Router).Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		if r.GetHandler() != nil {
			got[path]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("the router answers\n%v\nthe table has\n%v", got, want)
	}
}

// TestDirectoryListsTheTable holds the directory object against the table, and
// every URL in it against the server: keyChange and revokeCert are among them
// and answer (R8555-7.1.1-8).
func TestDirectoryListsTheTable(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	for _, name := range []acme.DirectoryName{"default", "eab"} {
		want := []string{"meta"}
		object := decode[map[string]any](t, f.do(t, get(f.DirectoryURL(name))))
		for _, row := range server.Rows() {
			if row.Entry == "" {
				continue
			}
			want = append(want, row.Entry)
			// The entry is the path up to the first variable, which clients add.
			path, _, _ := strings.Cut(row.Path, "/{")
			if got, want := object[row.Entry], f.URL+"/acme/"+string(name)+path; got != want {
				t.Errorf("%s is at %v, want %s", row.Entry, got, want)
			}
			// Somebody is there, and it is not the page for lost visitors.
			status := http.StatusUnsupportedMediaType
			if !takes(row, http.MethodPost) {
				status = http.StatusMethodNotAllowed
			}
			wantProblem(t, f.do(t, call{method: http.MethodPost, url: urlFor(f, name, row)}), status, acme.Malformed)
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, want) {
			t.Errorf("directory %s has %v, want %v", name, got, want)
		}
	}
}

func takes(row server.Row, method string) bool {
	return slices.Contains(strings.Split(row.Methods, ", "), method)
}

// urlFor puts ids that nobody has into the path of a row.
func urlFor(f *front, d acme.DirectoryName, row server.Row) string {
	path := strings.NewReplacer("{type}", "http-01", "{chain}", "1").Replace(row.Path)
	return f.URL + "/acme/" + string(d) + variables.ReplaceAllLiteralString(path, nobody)
}

var variables = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// nobody has the shape of an id.
const nobody = "0123456789abcdefghijklmnopqrstuv0123"

// TestMethods tries every method on every row (R8555-6.3-1).
func TestMethods(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}
	for _, row := range append(server.Rows(), server.Row{Path: "directory", Methods: "GET, HEAD, POST"}) {
		url := urlFor(f, "default", row)
		if row.Path == "directory" {
			url = f.DirectoryURL("default")
		}
		for _, m := range methods {
			r := f.do(t, call{method: m, url: url})
			allowed := takes(row, m)
			if got := r.status != http.StatusMethodNotAllowed; got != allowed {
				t.Errorf("%s %s: status %d, but %s are allowed", m, row.Path, r.status, row.Methods)
			}
			if !allowed {
				if r.header.Get("Allow") != row.Methods {
					t.Errorf("%s %s: Allow is %q, want %q", m, row.Path, r.header.Get("Allow"), row.Methods)
				}
				if m == http.MethodHead {
					if len(r.body) > 0 {
						t.Errorf("HEAD %s has a body", row.Path)
					}
					continue
				}
				wantProblem(t, r, http.StatusMethodNotAllowed, acme.Malformed)
			}
		}
	}
}

// classes is who may use what (RFC 8555, 6.2, 6.3 and 7.6; RFC 9773, 4.1), written
// down a second time: a row that says something else, or that nobody has
// thought about here, fails.
var classes = map[string]string{
	"/new-nonce":                         "none",
	"/new-account":                       "key",
	"/new-order":                         "account",
	"/new-authz":                         "account",
	"/revoke-cert":                       "either",
	"/key-change":                        "account",
	"/account/{account}":                 "account",
	"/account/{account}/orders":          "account",
	"/order/{order}":                     "account",
	"/order/{order}/finalize":            "account",
	"/authz/{authz}":                     "account",
	"/challenge/{authz}/{type}":          "account",
	"/certificate/{certificate}":         "account",
	"/certificate/{certificate}/{chain}": "account",
	"/renewal-info/{certID}":             "none",
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, row := range server.Rows() {
		if want, known := classes[row.Path]; !known || row.Auth != want {
			t.Errorf("%s is for %q, want %q", row.Path, row.Auth, want)
		}
	}
}

// TestKeySource (SP-2, SP-8) sends each row a request that names an account and one that
// brings a key, both with good signatures: each row takes what its class says.
func TestKeySource(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	const wantsKey, wantsAccount = "carry its public key in jwk", "name its account in kid"
	accepts := map[string]struct{ key, account bool }{
		"none": {true, true}, "either": {true, true}, "key": {key: true}, "account": {account: true},
	}
	for _, row := range append(server.Rows(), server.Row{Path: "directory", Auth: "none", Methods: "GET, HEAD, POST"}) {
		class, known := accepts[row.Auth]
		if !known {
			t.Errorf("%s has class %q, which this test does not know", row.Path, row.Auth)
		}
		if !takes(row, http.MethodPost) {
			if row.Auth != "none" {
				t.Errorf("%s is for %q and takes nothing signed", row.Path, row.Auth)
			}
			continue
		}
		url := urlFor(f, "default", row)
		if row.Path == "directory" {
			url = f.DirectoryURL("default")
		}
		for _, sent := range []struct {
			name    string
			body    []byte
			accepts bool
			refusal string
		}{
			{"jwk", c.withKey(t, url, ""), class.key, wantsAccount},
			{"kid", c.withAccount(t, url, ""), class.account, wantsKey},
		} {
			r := f.do(t, post(url, sent.body))
			refused := strings.Contains(string(r.body), wantsKey) || strings.Contains(string(r.body), wantsAccount)
			if refused == sent.accepts {
				t.Errorf("%s with %s: %d %s", row.Path, sent.name, r.status, r.body)
			}
			if !sent.accepts {
				if p := wantProblem(t, r, http.StatusBadRequest, acme.Malformed); !strings.Contains(p.Detail, sent.refusal) {
					t.Errorf("%s with %s: %s", row.Path, sent.name, p.Detail)
				}
			}
		}
		// Without a signature, a POST gets nowhere, whatever the class.
		for _, body := range []string{"", "{}", `{"protected":"","payload":"","signature":""}`} {
			wantProblem(t, f.do(t, post(url, []byte(body))), http.StatusBadRequest, acme.Malformed)
		}
	}
}

// TestUnknownPaths: whoever is lost gets a problem document, inside of a
// directory with a nonce to go on with.
func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	f := start(t, servertest.Options{})
	for _, path := range []string{
		"/", "/robots.txt", "/directory/", "//directory", "/acme", "/acme/default", "/acme/nobody/new-order", "/acme/../directory",
		"/acme/default/", "/acme/default/new-order/", "/acme/default//new-order", "/acme/default/order/", "/acme/default/order/a/b/c",
		"/acme/default/%6eew-order", "/acme/default/order/..%2fnew-order/x",
	} {
		for _, m := range []string{"GET", "POST"} {
			r := f.do(t, call{method: m, url: f.URL + path})
			wantProblem(t, r, http.StatusNotFound, acme.Malformed)
			inside := strings.HasPrefix(path, "/acme/default/")
			if got := r.header.Get("Replay-Nonce") != ""; got != (inside && m == "POST") {
				t.Errorf("%s %s: nonce %v", m, path, got)
			}
		}
	}
}
