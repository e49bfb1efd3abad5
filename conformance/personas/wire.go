package personas

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exchange is one request and its answer.
type exchange struct {
	sent   string
	proto  string
	status int
	header http.Header
	body   []byte
}

// String shows the exchange.
func (x *exchange) String() string {
	return fmt.Sprintf("  sent: %s\n  got:  %s %d %s\n        %s", clip(x.sent), x.proto, x.status, strings.Join(x.lines(), " | "), clip(string(x.body)))
}

func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
	if len(s) > 600 {
		s = s[:600] + "..."
	}
	return s
}

// lines are the header as a client of curl sees it, which is in lower case over
// HTTP/2: whoever searches it has to ignore case.
func (x *exchange) lines() (lines []string) {
	for name, values := range x.header {
		if x.proto == "HTTP/2.0" {
			name = strings.ToLower(name)
		}
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	return lines
}

// line returns the value of the first header line of that name, the way grep -i
// and cut find it.
func (x *exchange) line(name string) string {
	for _, l := range x.lines() {
		if n, v, found := strings.Cut(l, ":"); found && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// mediaType is Content-Type without parameters.
func (x *exchange) mediaType() string {
	media, _, err := mime.ParseMediaType(x.header.Get("Content-Type"))
	if err != nil {
		return x.header.Get("Content-Type")
	}
	return media
}

func (x *exchange) ok() bool { return x.status >= 200 && x.status < 300 }

// links returns the targets of a link relation the way lego and acmez look for
// them: the quotes around rel are needed, and what is not the first parameter is
// found by lego alone.
func (x *exchange) links(rel string) (targets []string) {
	for _, value := range x.header.Values("Link") {
		for _, m := range strictLink.FindAllStringSubmatch(value, -1) {
			if m[2] == rel {
				targets = append(targets, m[1])
			}
		}
	}
	return targets
}

var strictLink = regexp.MustCompile(`<(.+?)>;\s*rel="(.+?)"`)

// problemType is the type of a problem document, also without its media type:
// some clients look only at the text.
func (x *exchange) problemType() string {
	var p struct {
		Type string `json:"type"`
	}
	if x.status < 400 || json.Unmarshal(x.body, &p) != nil {
		return ""
	}
	return p.Type
}

const errorNamespace = "urn:ietf:params:acme:error:"

// retryAfter reads Retry-After as seconds or as an HTTP date.
func (x *exchange) retryAfter(now time.Time) (d time.Duration, present bool, err error) {
	value := x.header.Get("Retry-After")
	if value == "" {
		return 0, false, nil
	}
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(seconds) * time.Second, true, nil
	}
	when, err := http.ParseTime(value)
	return when.Sub(now), true, err
}

// nonceHabit is where a client gets its nonces from.
type nonceHabit struct {
	method     string        // of newNonce
	kind       string        // Content-Type of that request, if it has one
	status     int           // that newNonce has to answer with; zero is any 2xx
	keep       int           // how many of the answers' nonces are kept; the youngest goes first
	fromErrors bool          // also those of error answers
	retries    int           // after a refused nonce
	pause      time.Duration // before each
	fresh      bool          // asks newNonce for the retry although the refusal brought one
	refused    func(*exchange) bool
	// otherwise asks elsewhere when newNonce brought nothing; nil is none.
	otherwise func() *exchange
}

// wire is one client on the wire.
type wire struct {
	t      *T
	http   *http.Client
	agent  string
	header map[string]string // sent with every request
	accept string            // Accept of the next requests
	nonces nonceHabit
	// protect writes the protected header; who is `"kid":...` or `"jwk":...`. Nil is
	// the usual order.
	protect func(alg, who, nonce, url string) string
	// envelope writes the request body around the three parts; nil is compact JSON.
	envelope func(protected, payload, signature string) string

	dir  map[string]any
	key  *key
	kid  string
	held []string // nonces
}

func (t *T) newWire(agent string, habit connections, nonces nonceHabit) *wire {
	client, err := t.suite.cfg.httpClient(habit)
	if err != nil {
		t.broken("%v", err)
	}
	if nonces.refused == nil {
		nonces.refused = func(x *exchange) bool {
			return x.status == http.StatusBadRequest && x.problemType() == errorNamespace+"badNonce"
		}
	}
	return &wire{t: t, http: client, agent: agent, accept: "*/*", nonces: nonces}
}

// do sends one request.
func (w *wire) do(method, url, contentType, body, note string) *exchange {
	var reader io.Reader
	if method == http.MethodPost {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.t.ctx, method, url, reader)
	w.t.need(err == nil, nil, "R8555-7.1-1", "%q is no URL it can ask: %v", url, err)
	req.Header.Set("User-Agent", w.agent)
	if w.accept != "" {
		req.Header.Set("Accept", w.accept)
	}
	for name, value := range w.header {
		req.Header.Set(name, value)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	sent := strings.TrimSpace(method + " " + url + " " + note)
	resp, err := w.http.Do(req)
	w.t.need(err == nil, nil, "R8555-6.1-1", "%s was not answered: %v", sent, err)
	defer resp.Body.Close()
	content := io.Reader(resp.Body)
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" {
		w.t.need(strings.Contains(w.header["Accept-Encoding"], encoding), nil, "R8555-6.1-6", "the answer to %s comes in %s, for which it did not ask", sent, encoding)
		content, err = gzip.NewReader(resp.Body)
		w.t.need(err == nil, nil, "R8555-6.1-6", "the answer to %s is no %s: %v", sent, encoding, err)
	}
	got, err := io.ReadAll(io.LimitReader(content, 4<<20))
	w.t.need(err == nil, nil, "R8555-6.1-1", "the answer to %s was cut off: %v", sent, err)
	if w.http.Transport.(*http.Transport).DisableKeepAlives {
		w.http.CloseIdleConnections()
	}
	return &exchange{sent: sent, proto: resp.Proto, status: resp.StatusCode, header: resp.Header, body: got}
}

// take keeps the nonce of an answer, if the client does.
func (w *wire) take(x *exchange) {
	nonce := x.header.Get("Replay-Nonce")
	if nonce == "" || w.nonces.keep == 0 || (!w.nonces.fromErrors && x.status >= 400) {
		return
	}
	w.held = append(w.held, nonce)
	if len(w.held) > w.nonces.keep {
		w.held = w.held[1:]
	}
}

// nonce is one kept or, when none is, asked for.
func (w *wire) nonce() string {
	if n := len(w.held); n > 0 {
		nonce := w.held[n-1]
		w.held = w.held[:n-1]
		return nonce
	}
	url := text(w.dir, "newNonce")
	w.t.need(url != "", nil, "R8555-7.1-1", "the directory has no newNonce")
	x := w.do(w.nonces.method, url, w.nonces.kind, "", "")
	if x.header.Get("Replay-Nonce") == "" && w.nonces.otherwise != nil {
		x = w.nonces.otherwise()
	}
	if want := w.nonces.status; want != 0 {
		w.t.need(x.status == want, x, "R8555-7.2-2", "newNonce answered %d and it accepts %d alone", x.status, want)
	}
	w.t.need(x.ok(), x, "R8555-7.2-1", "newNonce answered %d", x.status)
	nonce := x.header.Get("Replay-Nonce")
	w.t.need(nonce != "", x, "R8555-7.2-1", "newNonce brought no Replay-Nonce")
	return nonce
}

const joseJSON = "application/jose+json"

// post signs payload and posts it; an empty payload is POST-as-GET. A refused
// nonce is answered as the client does.
func (w *wire) post(url, payload string) *exchange {
	return w.postBy(w.key, w.kid, url, payload)
}

func (w *wire) postBy(k *key, kid, url, payload string) *exchange {
	w.t.need(url != "", nil, "R8555-7.1-1", "it has no URL to post %q to", payload)
	for attempt := 0; ; attempt++ {
		nonce := w.nonce()
		who := `"jwk":` + k.jwk
		if kid != "" {
			who = `"kid":"` + kid + `"`
		}
		protect, envelope := w.protect, w.envelope
		if protect == nil {
			protect = usualHeader
		}
		if envelope == nil {
			envelope = usualEnvelope
		}
		protected, content := b64([]byte(protect(k.alg, who, nonce, url))), b64([]byte(payload))
		signature := b64(k.sign([]byte(protected + "." + content)))
		x := w.do(http.MethodPost, url, joseJSON, envelope(protected, content, signature), payload)
		if w.nonces.refused(x) && attempt < w.nonces.retries {
			if w.nonces.fresh {
				w.held = nil
			} else {
				w.take(x)
			}
			w.t.sleep(w.nonces.pause)
			continue
		}
		w.take(x)
		return x
	}
}

func usualHeader(alg, who, nonce, url string) string {
	return fmt.Sprintf(`{"alg":"%s",%s,"nonce":"%s","url":"%s"}`, alg, who, nonce, url)
}

func usualEnvelope(protected, payload, signature string) string {
	return fmt.Sprintf(`{"protected":"%s","payload":"%s","signature":"%s"}`, protected, payload, signature)
}

// object decodes a JSON object.
func (w *wire) object(x *exchange) map[string]any {
	var o map[string]any
	err := json.Unmarshal(x.body, &o)
	w.t.need(err == nil && o != nil, x, "R8555-6.1-6", "the body is no JSON object: %v", err)
	return o
}

// text returns a member that is a string, "" when it is absent or something else.
func text(o map[string]any, name string) string {
	s, _ := o[name].(string)
	return s
}

func list(o map[string]any, name string) (values []string) {
	items, _ := o[name].([]any)
	for _, v := range items {
		if s, ok := v.(string); ok {
			values = append(values, s)
		}
	}
	return values
}

func objects(o map[string]any, name string) (values []map[string]any) {
	items, _ := o[name].([]any)
	for _, v := range items {
		if m, ok := v.(map[string]any); ok {
			values = append(values, m)
		}
	}
	return values
}

// canonical reports whether decoding and encoding a base64url text gives it back.
// Clients that keep the octets sign with another text otherwise.
func canonical(s string) bool {
	octets, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && b64(octets) == s
}

// rfc3339 reports whether a member is absent or a time every parser reads.
func rfc3339(o map[string]any, name string) bool {
	v, present := o[name]
	if !present {
		return true
	}
	s, isText := v.(string)
	_, err := time.Parse(time.RFC3339, s)
	return isText && err == nil
}
