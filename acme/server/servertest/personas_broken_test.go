package servertest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/personas"
)

// breakage is one thing that servers, or what stands before them, get wrong, and
// the clients that cannot live with it. All others have to get their certificate:
// so each row also says what clients forgive.
type breakage struct {
	name    string
	before  func(http.Handler) http.Handler
	change  func(passing)
	story   string   // obtain when empty
	noticed []string // personas
	because string   // in what each of them says
	endless bool     // somebody tries for ever
}

func on(path string, change func(passing)) func(passing) {
	return func(p passing) {
		if p.path == path {
			change(p)
		}
	}
}

var everybody = []string{"certbot", "lego", "acme.sh", "x-road", "x-crypto", "acmez", "uacme", "dehydrated", "mod_md"}

func breakages() []breakage {
	asIs := func(_ http.Header, body string) string { return body }
	processing := func(p passing) { p.unfinished(); p.Header.Set("Retry-After", "2") }
	return []breakage{
		{name: "nothing"},
		{name: "finalize answers 201", change: on("finalize", func(p passing) { p.StatusCode = 201 }),
			noticed: []string{"acme.sh", "uacme", "x-crypto"}, because: "R8555-7.4F-13"},
		{name: "newOrder answers 200", change: on("new-order", func(p passing) { p.StatusCode = 200 }),
			noticed: []string{"uacme", "x-crypto"}, because: "R8555-7.4-1"},
		{name: "newAccount answers 200", change: on("new-account", func(p passing) {
			if p.StatusCode == 201 {
				p.StatusCode = 200
			}
		}), noticed: []string{"certbot", "uacme"}, because: "R8555-7.3-7"},
		{name: "POST answers 202", change: on("challenge", func(p passing) { p.StatusCode = 202 }),
			noticed: []string{"x-road", "uacme"}, because: "R8555-7.5.1-3"},
		{name: "no Replay-Nonce with a success", change: func(p passing) {
			if p.Request.Method == http.MethodPost && p.StatusCode < 300 {
				p.Header.Del("Replay-Nonce")
			}
		}, noticed: []string{"certbot"}, because: "R8555-6.5-1"},
		{name: "newNonce by GET answers 200", change: func(p passing) {
			if p.path == "new-nonce" && p.Request.Method == http.MethodGet {
				p.StatusCode = 200
			}
			if p.path == "directory" {
				p.Header.Del("Replay-Nonce") // which would do instead
			}
		}, noticed: []string{"uacme"}, because: "R8555-7.2-2"},
		{name: "newNonce by HEAD brings nothing", change: func(p passing) {
			if p.path == "new-nonce" && p.Request.Method == http.MethodHead || p.path == "directory" {
				p.Header.Del("Replay-Nonce")
			}
		}, noticed: []string{"certbot", "lego", "x-road", "x-crypto", "acmez", "dehydrated", "mod_md"}, because: ""},
		{name: "answers in gzip", change: func(p passing) {
			if p.StatusCode < 300 && p.Request.Method == http.MethodPost && p.ContentLength > 0 {
				var out bytes.Buffer
				z := gzip.NewWriter(&out)
				_, _ = z.Write([]byte(p.text()))
				_ = z.Close()
				p.set(out.String())
				p.Header.Set("Content-Encoding", "gzip")
			}
		}, noticed: []string{"acme.sh", "uacme", "dehydrated", "mod_md"}, because: "gzip"},
		{name: "a nonce refused once", before: refuseNonces(1, asIs)},
		{name: "nonces refused twice", before: refuseNonces(2, asIs), noticed: []string{"certbot"}, because: "refused"},
		{name: "a nonce refused in other words", before: refuseNonces(1, func(_ http.Header, body string) string {
			return strings.NewReplacer("anti-replay", "single-use").Replace(body)
		}), noticed: []string{"acme.sh"}, because: "refused"},
		{name: "a nonce refused as text", before: refuseNonces(1, func(h http.Header, body string) string {
			h.Set("Content-Type", "text/plain")
			return body
		}), noticed: []string{"x-road", "acmez", "uacme", "mod_md"}, because: "text/plain"},
		{name: "no Location of the order", change: on("new-order", func(p passing) { p.Header.Del("Location") }),
			noticed: []string{"certbot", "x-road", "x-crypto", "uacme", "dehydrated", "mod_md"}, because: "R8555-7.4-1"},
		{name: "no Location of the account", change: on("new-account", func(p passing) { p.Header.Del("Location") }),
			noticed: everybody, because: "Location"},
		{name: "processing", change: on("finalize", processing)},
		{name: "processing without Location", change: on("finalize", func(p passing) { processing(p); p.Header.Del("Location") }),
			noticed: []string{"x-crypto"}, because: "R8555-7.4F-13"},
		{name: "processing with Location of the certificate", change: on("finalize", func(p passing) {
			var location string
			if _, after, found := strings.Cut(p.text(), `"certificate":"`); found {
				location, _, _ = strings.Cut(after, `"`)
			}
			processing(p)
			p.Header.Set("Location", location)
		}), noticed: []string{"x-crypto", "acmez"}, because: "R8555-7.4", endless: true},
		{name: "ready again after finalize", change: on("finalize", func(p passing) { p.replace(`"status":"valid"`, `"status":"ready"`) }),
			noticed: []string{"acmez", "dehydrated"}, because: "R8555-7.1.6-1"},
		{name: "Retry-After as a date", change: on("finalize", func(p passing) {
			p.unfinished()
			p.Header.Set("Retry-After", time.Now().Add(5*time.Second).UTC().Format(http.TimeFormat))
		})},
		{name: "Retry-After in words", change: func(p passing) {
			if p.path == "finalize" {
				p.unfinished()
			}
			if p.path == "order" || p.path == "finalize" {
				p.Header.Set("Retry-After", "soon")
			}
		}, noticed: []string{"x-road", "acmez"}, because: "R8555-6.6-2"},
		{name: "Retry-After of nothing", change: on("order", func(p passing) { p.Header.Set("Retry-After", "0") }),
			noticed: []string{"x-road"}, because: "negative"},
		{name: "a challenge without token", change: on("authz", func(p passing) {
			p.replace(`"challenges":[{`, `"challenges":[{"type":"dns-persist-01","url":"https://ca.example/1","status":"pending"},{`)
		}), noticed: []string{"uacme"}, because: "dns-persist-01"},
		{name: "a nested object in a challenge", change: on("authz", func(p passing) { p.replace(`"token":`, `"seen":{"by":"us"},"token":`) }),
			noticed: []string{"acme.sh"}, because: "braces"},
		{name: "no link up from a challenge", change: on("challenge", func(p passing) {
			p.Header.Del("Link")
			if p.payload == "{}" {
				p.replace(`"status":"valid"`, `"status":"processing"`)
			}
		}), noticed: []string{"certbot", "lego"}, because: "R8555-7.1-3"},
		{name: "link up without quotes", change: on("challenge", func(p passing) {
			for i, l := range p.Header["Link"] {
				p.Header["Link"][i] = strings.ReplaceAll(l, `rel="up"`, `rel=up`)
			}
			if p.payload == "{}" {
				p.replace(`"status":"valid"`, `"status":"processing"`)
			}
		}), noticed: []string{"lego"}, because: "R8555-7.1-3"},
		{name: "a challenge that moves", change: on("challenge", func(p passing) { p.replace(`/http-01"`, `/http-01?"`) }),
			noticed: []string{"certbot", "x-road"}, because: "R8555-7.5.1-3"},
		{name: "JSON called text", change: func(p passing) {
			if p.Header.Get("Content-Type") == "application/json" {
				p.Header.Set("Content-Type", "text/plain")
			}
		}, noticed: []string{"x-road", "acmez", "uacme"}, because: "text/plain"},
		{name: "JSON in another charset", change: func(p passing) {
			if p.Header.Get("Content-Type") == "application/json" {
				p.Header.Set("Content-Type", "application/json; charset=iso-8859-1")
			}
		}, noticed: []string{"x-road"}, because: "charset"},
		{name: "expires in another form", change: on("new-order", func(p passing) { p.replace(`"expires":"20`, `"expires":"on 20`) }),
			noticed: []string{"certbot", "x-crypto", "acmez"}, because: "R8555-7.4"},
		{name: "names in capitals", change: on("new-order", func(p passing) { p.replace(`.localhost"`, `.LOCALHOST"`) }),
			noticed: []string{"lego", "acmez"}, because: "R8555-7.4-13"},
		{name: "an authorization listed twice", change: on("new-order", func(p passing) {
			if _, after, found := strings.Cut(p.text(), `"authorizations":[`); found {
				first, _, _ := strings.Cut(after, `"`+"]")
				first, _, _ = strings.Cut(first, `",`)
				p.replace(`"authorizations":[`, `"authorizations":[`+first+`",`)
			}
		}), noticed: []string{"lego", "x-road"}, because: "R8555-7.4-8"},
		{name: "an error object in a good order", change: on("finalize", func(p passing) { p.replace(`"status":"valid"`, `"status":"valid","error":{"detail":"none"}`) }),
			noticed: []string{"uacme"}, because: "R8555-8-2"},
		{name: "an account that waits", change: on("new-account", func(p passing) { p.replace(`"status":"valid"`, `"status":"pending"`) }),
			noticed: []string{"acmez", "uacme"}, because: "R8555-7.1.2-1"},
		{name: "an unknown account under 404", change: on("new-account", func(p passing) {
			if p.StatusCode == 400 {
				p.StatusCode = 404
			}
		}), noticed: []string{"uacme"}, because: "R8555-7.3.1-2"},
		{name: "a chain of text", change: on("certificate", func(p passing) { p.Header.Set("Content-Type", "text/plain") }),
			noticed: []string{"x-road", "acmez"}, because: "R8555-7.4.2-1"},
		{name: "a chain of one", change: on("certificate", func(p passing) {
			first, _, _ := strings.Cut(p.text(), "-----END CERTIFICATE-----\n")
			p.set(first + "-----END CERTIFICATE-----\n")
		}), noticed: []string{"certbot", "mod_md"}, because: "R8555-9.1-2"},
		{name: "a chain without its last line end", change: on("certificate", func(p passing) { p.set(strings.TrimRight(p.text(), "\n")) }),
			noticed: []string{"certbot"}, because: "R8555-9.1"},
		{name: "a chain joined without line ends", change: on("certificate", func(p passing) { p.replace("-----\n-----", "----------") }),
			noticed: everybody, because: "R8555-"},
		{name: "a chain in DOS lines", change: on("certificate", func(p passing) { p.replace("\n", "\r\n") })},
		{name: "words before the chain", change: on("certificate", func(p passing) { p.set("subject=CN = us\n" + p.text()) })},
		{name: "a chain that leads up to JSON", change: on("certificate", func(p passing) {
			p.Header.Add("Link", "<https://"+p.Request.Host+`/directory>;rel="up"`)
		}), noticed: []string{"acmez", "mod_md"}, because: ""},
		{name: "a revocation answered with an object", story: "revoke", change: on("revoke-cert", func(p passing) {
			if p.StatusCode == 200 {
				p.set("{}")
			}
		}),
			noticed: []string{"acme.sh"}, because: "R8555-7.6-7"},
		{name: "a revocation answered with 204", story: "revoke", change: on("revoke-cert", func(p passing) {
			if p.StatusCode == 200 {
				p.StatusCode = 204
			}
		}), noticed: []string{"certbot", "uacme"}, because: "R8555-7.6"},
	}
}

// TestPersonasNotice breaks the server in one way at a time, on the wire, and holds
// what each client makes of it against the table: those named stop, in their own
// name, and the others do not. A persona whose check could not fail would be found
// here, and one that is stricter than its client as well.
func TestPersonasNotice(t *testing.T) {
	t.Parallel()
	var keys keyring
	for _, b := range breakages() {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if b.change == nil {
				b.change = func(passing) {}
			}
			if b.story == "" {
				b.story = "obtain"
			}
			o := visited(servertest.Options{Server: func(c *server.Config) { c.BadSignatures = -1 }})
			cfg := visitors(breakingProxy(t, o, b.before, b.change))
			if b.endless {
				cfg.Patience = 15 * time.Second
			}
			cfg.RSAKey = keys.forOneServer()
			// The server is done when it answers, so no pause is for its sake.
			cfg.NewClock = func() personas.Clock { return personas.Hasty(20 * time.Millisecond) }
			cfg.Match = func(_, story string) bool { return story == b.story }
			report, err := personas.Play(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for name, why := range report.Why {
				persona, _, _ := strings.Cut(name, "/")
				switch {
				case !slices.Contains(b.noticed, persona):
					t.Errorf("%s is not listed, but: %s", persona, why)
				case !strings.HasPrefix(why, persona+" would fail because "):
					t.Errorf("%s: the reason does not begin in the client's name: %s", persona, why)
				case !strings.Contains(why, b.because):
					t.Errorf("%s does not say %q: %s", persona, b.because, why)
				}
			}
			for _, persona := range b.noticed {
				if report.Why[persona+"/"+b.story] == "" {
					t.Errorf("%s did not notice", persona)
				}
			}
		})
	}
}

// counter counts by key, for handlers that run at the same time.
type counter struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *counter) add(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[key]++
	return c.m[key]
}

// TestClientsDocument holds the table of docs/clients.md against the rows above.
func TestClientsDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, b := range breakages()[1:] {
		who := strings.Join(b.noticed, ", ")
		switch len(b.noticed) {
		case 0:
			who = "nobody"
		case len(personas.All()):
			who = "everybody"
		}
		story := ""
		if b.story != "" {
			story = " (" + b.story + ")"
		}
		table.WriteString("| " + b.name + story + " | " + who + " |\n")
	}
	if !strings.Contains(string(document), table.String()) {
		t.Errorf("docs/clients.md does not hold this table:\n%s", table.String())
	}
}
