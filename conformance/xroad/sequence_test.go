package xroad_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/xroad"
)

// journal is a transport that writes down what passes: when, by which agent, and
// what of the protocol it is.
type journal struct {
	http.RoundTripper
	begun time.Time
	known map[string]string // URLs, by what they are
	lines []string
}

// clear forgets what was written.
func (j *journal) clear() { j.lines, j.begun = nil, time.Now() }

func (j *journal) RoundTrip(r *http.Request) (*http.Response, error) {
	what := j.known[r.URL.String()]
	for url, name := range j.known {
		if name == "renewalInfo" && strings.HasPrefix(r.URL.String(), url+"/") {
			what = name
		}
	}
	agent, _, _ := strings.Cut(r.UserAgent(), "/")
	line := fmt.Sprintf("%s %s %s", agent, r.Method, what)
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		line += members(body)
	}
	j.lines = append(j.lines, line)
	if after := time.Since(j.begun); after >= time.Second {
		j.lines[len(j.lines)-1] += fmt.Sprintf(" after %s", after.Round(time.Second))
	}
	got, err := j.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(got.Body)
	got.Body = io.NopCloser(bytes.NewReader(text))
	var o map[string]any
	if json.Unmarshal(text, &o) != nil {
		return got, err
	}
	learn := func(name string, urls ...any) {
		for _, url := range urls {
			if url, ok := url.(string); ok {
				j.known[url] = name
			}
		}
	}
	switch what {
	case "directory":
		for _, name := range []string{"newNonce", "newAccount", "newOrder", "renewalInfo", "keyChange"} {
			learn(name, o[name])
		}
	case "newOrder", "order":
		learn("order", got.Header.Get("Location"))
		learn("finalize", o["finalize"])
		learn("certificate", o["certificate"])
		authorizations, _ := o["authorizations"].([]any)
		learn("authorization", authorizations...)
	case "authorization":
		all, _ := o["challenges"].([]any)
		for _, c := range all {
			c, _ := c.(map[string]any)
			learn("challenge", c["url"])
		}
	}
	return got, err
}

// members are those of the payload of a request, of which only some have a value
// that anybody knows before.
func members(body []byte) string {
	var jws struct{ Payload string }
	if json.Unmarshal(body, &jws) != nil {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil || len(payload) == 0 {
		return ""
	}
	var o map[string]any
	if json.Unmarshal(payload, &o) != nil {
		return " ?"
	}
	return fmt.Sprint(" ", slices.Sorted(maps.Keys(o)))
}

// follow returns a Security Server at a site, and the journal of what it sends.
func follow(t *testing.T, s *site, usage string) (*xroad.SecurityServer, *journal) {
	t.Helper()
	j := &journal{RoundTripper: s.client.Transport, begun: time.Now(), known: map[string]string{s.directory("xroad"): "directory"}}
	cfg := s.config("xroad")
	cfg.HTTP = &http.Client{Transport: j}
	return with(t, cfg, s.credential(t, "xroad", member, "xroad-"+usage)), j
}

// wantLines is what is documented of a part of the work of a Security Server.
func wantLines(t *testing.T, j *journal, what string, want ...string) {
	t.Helper()
	for i, line := range want {
		if i >= len(j.lines) || j.lines[i] != line {
			t.Errorf("%s: request %d is not %q; all of them:\n%s", what, i+1, line, strings.Join(j.lines, "\n"))
			return
		}
	}
	if len(j.lines) > len(want) {
		t.Errorf("%s: it sends more than is documented:\n%s", what, strings.Join(j.lines[len(want):], "\n"))
	}
}

const (
	// A login of the renewal job: it agrees to nothing, and is bound always.
	login      = "acme4j POST newAccount [contact externalAccountBinding]"
	firstLogin = "X-Road POST newAccount [contact externalAccountBinding termsOfServiceAgreed]"
	discovery  = "acme4j GET directory"
	asks       = "acme4j GET renewalInfo"
)

// ordering is the flow from newOrder to the certificate when nobody has to wait.
func ordering(agent, newOrder string) []string {
	return []string{
		agent + " POST newOrder " + newOrder, agent + " POST authorization", agent + " POST challenge []",
		agent + " POST finalize [csr]", agent + " POST order", agent + " POST certificate",
	}
}

// TestSequence holds what the emulation sends against what a Security Server does:
// each request of 1.2 to 1.8, in order and number. A login is a session of its own:
// it reads the directory, whose nonce is good for newAccount.
func TestSequence(t *testing.T) {
	t.Parallel()
	inBubble(t, bubble{}, func(t *testing.T, s *site) {
		server, j := follow(t, s, "auth")
		const host = "ss1.test"
		key := func() xroad.Key { return xroad.AuthKey(signer(t), authSubject(host), host, host) }
		issued := obtained(t, server, key())
		gate := []string{discovery} // before anybody may click
		planning := []string{discovery, login, discovery, login, asks}
		wantLines(t, j, "the first order", slices.Concat(gate, []string{"X-Road GET directory", firstLogin}, ordering("X-Road", "[identifiers notAfter]"), planning)...)

		j.clear()
		if _, due, err := server.Renew(t.Context(), issued.Leaf, xroad.Key{}); due || err != nil {
			t.Fatal(due, err)
		}
		checks := []string{discovery, login, discovery, login, discovery, login, asks}
		wantLines(t, j, "a cycle with nothing due", slices.Concat(checks, planning)...) // five logins

		// A key of an account that is a year old is changed, and forgotten.
		j.clear()
		server.KeyEnds = time.Now().Add(13 * 24 * time.Hour)
		if _, due, err := server.Renew(t.Context(), issued.Leaf, xroad.Key{}); due || err != nil {
			t.Fatal(due, err)
		}
		wantLines(t, j, "a cycle with an old key", slices.Concat(checks[:2], []string{"acme4j POST keyChange [payload protected signature]"}, checks[2:], planning)...)

		start, err := server.Planned()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start))
		server.KeyEnds = time.Now().AddDate(1, 0, 0)
		j.clear()
		k := key()
		renewed, due, err := server.Renew(t.Context(), issued.Leaf, k)
		if err != nil || !due {
			t.Fatal(due, err)
		}
		imported(t, server, renewed, k)
		wantLines(t, j, "a cycle that renews", slices.Concat(checks, []string{discovery, login}, ordering("acme4j", "[identifiers notAfter replaces]"), planning)...)
	})
}

// TestSequenceWithoutCaching: of a server that says nothing of how long its
// directory is good, it is read before each use, and nonces are fetched.
func TestSequenceWithoutCaching(t *testing.T) {
	t.Parallel()
	inBubble(t, bubble{plain: true}, func(t *testing.T, s *site) {
		server, j := follow(t, s, "sign")
		const host = "ss1.test"
		issued := obtained(t, server, xroad.SignKey(signer(t), signSubject(), host, host))
		j.clear()
		if _, due, err := server.Renew(t.Context(), issued.Leaf, xroad.Key{}); due || err != nil {
			t.Fatal(due, err)
		}
		again := []string{discovery, discovery, "acme4j HEAD newNonce", login} // newAccount, newNonce
		wantLines(t, j, "a cycle with nothing due", slices.Concat(
			again,
			again, []string{discovery},
			again, []string{discovery, asks},
			again, []string{discovery},
			again, []string{discovery, asks},
		)...)
	})
}

// TestSequenceOfWaiting: a challenge and an order are looked at five times, and an
// order once before that. Finalize is sent in the moment in which the challenge
// reads valid, and nothing looks at authorizations again.
func TestSequenceOfWaiting(t *testing.T) {
	t.Parallel()
	inBubble(t, bubble{takes: 24 * time.Hour, retryAfter: 20 * time.Second, proving: 9 * time.Second}, func(t *testing.T, s *site) {
		server, j := follow(t, s, "auth")
		const host = "ss1.test"
		_, err := server.Order(t.Context(), xroad.AuthKey(signer(t), authSubject(host), host, host))
		if err == nil || !strings.Contains(err.Error(), "certificate_failure") {
			t.Fatal(err)
		}
		flow := slices.DeleteFunc(slices.Clone(j.lines), func(line string) bool {
			return strings.Contains(line, "directory") || strings.Contains(line, "newAccount")
		})
		j.lines = flow
		// The answers to challenge and finalize are held for three seconds. It sleeps
		// as long as it is told to, and five seconds after the look that ends it.
		wantLines(t, j, "an order at a CA that takes a day",
			"X-Road POST newOrder [identifiers notAfter]", "X-Road POST authorization", "X-Road POST challenge []",
			"X-Road POST challenge after 3s", "X-Road POST challenge after 23s", "X-Road POST finalize [csr] after 28s",
			"X-Road POST order after 31s", "X-Road POST order after 31s", "X-Road POST order after 51s", "X-Road POST order after 1m11s",
			"X-Road POST order after 1m31s", "X-Road POST order after 1m51s",
		)
	})
}
