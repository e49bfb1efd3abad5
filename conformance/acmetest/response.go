package acmetest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// response is an answer together with what was sent, so that a failure shows both.
type response struct {
	t      *T
	sent   string
	status int
	header http.Header
	body   []byte
}

// problem is RFC 7807 with the members of RFC 8555 section 6.7.
type problem struct {
	Type        string          `json:"type"`
	Status      int             `json:"status"`
	Detail      string          `json:"detail"`
	Instance    string          `json:"instance"`
	Identifier  json.RawMessage `json:"identifier"`
	Algorithms  []string        `json:"algorithms"`
	Subproblems []struct {
		Type       string `json:"type"`
		Detail     string `json:"detail"`
		Identifier *struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"identifier"`
	} `json:"subproblems"`
}

const errorNamespace = "urn:ietf:params:acme:error:"

// registered are the error types of the IANA registry; R8555-6.7-2 forbids
// inventing others inside the namespace.
func registered() []string {
	return []string{
		"accountDoesNotExist", "alreadyRevoked", "badCSR", "badNonce", "badPublicKey",
		"badRevocationReason", "badSignatureAlgorithm", "caa", "compound", "connection",
		"dns", "externalAccountRequired", "incorrectResponse", "invalidContact", "malformed",
		"orderNotReady", "rateLimited", "rejectedIdentifier", "serverInternal", "tls",
		"unauthorized", "unsupportedContact", "unsupportedIdentifier", "userActionRequired",
		"autoRenewalCanceled", "autoRenewalExpired", "autoRenewalCancellationInvalid",
		"autoRenewalRevocationNotSupported", "unknownDelegation", "onionCAARequired",
		"alreadyReplaced", "invalidProfile",
	}
}

// String shows the exchange.
func (r *response) String() string {
	var headers []string
	for _, name := range []string{"Content-Type", "Location", "Link", "Retry-After", "Allow", "Cache-Control", "Replay-Nonce"} {
		for _, v := range r.header.Values(name) {
			headers = append(headers, name+": "+v)
		}
	}
	return fmt.Sprintf("  sent: %s\n  got:  %d %s\n        %s",
		r.sent, r.status, strings.Join(headers, " | "), clip(strings.Join(strings.Fields(string(r.body)), " ")))
}

func (r *response) fail(format string, args ...any) *response {
	r.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), r)
	return r
}

// must ends the case unless the status is as wanted: what follows needs the body.
func (r *response) must(status int) *response {
	if r.status != status {
		r.t.Fatalf("status %d, want %d\n%s", r.status, status, r)
	}
	return r
}

func (r *response) want(status int) *response {
	if r.status != status {
		r.fail("status %d, want %d", r.status, status)
	}
	return r
}

// decode reads the body of a success.
func (r *response) decode(v any) {
	if got := r.mediaType(); got != "application/json" {
		r.fail("Content-Type %q, want application/json", got)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("body is not the expected JSON: %v\n%s", err, r)
	}
}

func (r *response) mediaType() string {
	media, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		return r.header.Get("Content-Type")
	}
	return media
}

func (r *response) parsed() (p problem, err error) {
	err = json.Unmarshal(r.body, &p)
	return p, err
}

// problemType is the type without the namespace, empty on a success.
func (r *response) problemType() string {
	if r.status < 400 {
		return ""
	}
	p, err := r.parsed()
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(p.Type, errorNamespace)
}

// refused checks a whole error answer: the status, one of the types, the media
// type (R8555-6.7-1), a registered type (R8555-6.7-2) and a status member equal to
// the HTTP status, by which lego decides what to do.
func (r *response) refused(status int, types ...string) problem {
	if r.status != status {
		r.fail("status %d, want %d %s", r.status, status, strings.Join(types, " or "))
		return problem{}
	}
	return r.refusedWith([]int{status}, types...)
}

// refusedWith is refused where several statuses are right.
func (r *response) refusedWith(statuses []int, types ...string) problem {
	if !slices.Contains(statuses, r.status) {
		r.fail("status %d, want one of %v with %s", r.status, statuses, strings.Join(types, " or "))
		return problem{}
	}
	if got := r.mediaType(); got != "application/problem+json" {
		r.fail("Content-Type of an error is %q, want application/problem+json", got)
	}
	p, err := r.parsed()
	if err != nil {
		r.fail("error body is no problem document: %v", err)
		return p
	}
	if p.Status != r.status {
		r.fail("member status is %d, want the HTTP status %d", p.Status, r.status)
	}
	short, inNamespace := strings.CutPrefix(p.Type, errorNamespace)
	if inNamespace && !slices.Contains(registered(), short) {
		r.fail("type %q is not registered", p.Type)
	}
	if !inNamespace || !slices.Contains(types, short) {
		r.fail("type %q, want %s", p.Type, strings.Join(types, " or "))
	}
	if p.Detail == "" {
		r.fail("the problem has no detail")
	}
	if len(p.Identifier) > 0 {
		r.fail("identifier at the top level of a problem (R8555-6.7-4)")
	}
	return p
}

var linkForm = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?([a-z-]+)"?`)

// links returns the targets of a link relation.
func (r *response) links(rel string) (targets []string) {
	for _, value := range r.header.Values("Link") {
		for _, m := range linkForm.FindAllStringSubmatch(value, -1) {
			if m[2] == rel {
				targets = append(targets, m[1])
			}
		}
	}
	return targets
}

// wantNonce checks R8555-6.5-1 and R8555-6.5-7.
func (r *response) wantNonce() *response {
	nonce := r.header.Get("Replay-Nonce")
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(nonce) {
		r.fail("Replay-Nonce is %q, want base64url characters", nonce)
	}
	return r
}

// wantIndex checks R8555-7.1-2.
func (r *response) wantIndex(directoryURL string) *response {
	if got := r.links("index"); !slices.Contains(got, directoryURL) {
		r.fail(`Link rel="index" is %q, want %s`, got, directoryURL)
	}
	return r
}

// location returns the Location header, which has to be there.
func (r *response) location() string {
	loc := r.header.Get("Location")
	if loc == "" {
		r.t.Fatalf("no Location header\n%s", r)
	}
	return loc
}
