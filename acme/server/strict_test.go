package server_test

import (
	"net/http"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// TestStrictJSONOnEveryRoute: a payload that two readers could understand in two
// ways is refused wherever one is taken, before anything is looked for, and what
// is in it is not repeated (SP-5, SP-8).
func TestStrictJSONOnEveryRoute(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-91c2"
	f := start(t, servertest.Options{})
	c := f.registered(t, "default")
	owned := things(t, c)
	payloads := map[string]string{
		"a member twice":           `{"status":"valid","status":"` + canary + `"}`,
		"twice, by an escape":      `{"status":"valid","st\u0061tus":"` + canary + `"}`,
		"a member nobody knows":    `{"x":"` + canary + `","x":1}`,
		"twice, far down":          `{"x":[{"y":{"z":"` + canary + `","z":1}}]}`,
		"names that look alike":    `{"x":"` + canary + `","X":1}`,
		"something behind":         `{"x":"` + canary + `"}{}`,
		"words behind":             `{} ` + canary,
		"too deep":                 strings.Repeat(`{"x":`, 17) + `"` + canary + `"` + strings.Repeat("}", 17),
		"not UTF-8":                "{\"x\":\"" + canary + "\xff\"}",
		"half of a pair":           `{"x":"` + canary + `\ud83d"}`,
		"a number without end":     `{"x":` + strings.Repeat("1", 100) + `,"y":"` + canary + `"}`,
		"a list":                   `["` + canary + `"]`,
		"a word":                   `"` + canary + `"`,
		"a comma too many":         `{"x":"` + canary + `",}`,
		"a byte order mark":        "\ufeff{\"x\":\"" + canary + "\"}",
		"a comment":                `{/*` + canary + `*/}`,
		"a control character":      "{\"x\":\"" + canary + "\n\"}",
		"a name as long as a book": `{"` + strings.Repeat("n", 16<<10+1) + `":"` + canary + `"}`,
	}
	seen := 0
	for _, row := range append(server.Rows(), server.Row{Path: "directory", Auth: "none", Methods: "GET, HEAD, POST"}) {
		if !takes(row, http.MethodPost) {
			continue
		}
		seen++
		url := urlFor(f, "default", row)
		if mine, ok := owned[row.Path]; ok {
			url = mine
		} else if row.Path == "directory" {
			url = f.DirectoryURL("default")
		}
		for name, payload := range payloads {
			body := c.withAccount(t, url, payload)
			if row.Auth == "key" {
				body = c.withKey(t, url, payload)
			}
			r := f.do(t, post(url, body))
			if r.status != http.StatusBadRequest || strings.Contains(string(r.body), canary) {
				t.Errorf("%s with %s: %d %s", row.Path, name, r.status, r.body)
				continue
			}
			wantProblem(t, r, http.StatusBadRequest, acme.Malformed)
		}
	}
	if seen < 12 {
		t.Errorf("only %d routes were looked at", seen)
	}
	// Nothing of it did anything.
	for path, url := range owned {
		if strings.HasSuffix(path, "/finalize") {
			continue
		}
		if r := c.post(t, url, ""); r.status != http.StatusOK || strings.Contains(string(r.body), "deactivated") {
			t.Errorf("%s afterwards: %d %s", path, r.status, r.body)
		}
	}
}
