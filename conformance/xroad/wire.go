package xroad

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// acme4j is the agent of everything but the order flow.
const acme4j = "acme4j/3.5.1 Java/21.0.9"

// Answer is an answer of the server.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	At     time.Time // when it arrived
}

// Problem is the type of the problem document, without its namespace.
func (a *Answer) Problem() (kind, detail string) {
	var p struct{ Type, Detail string }
	if a.mediaType() != "application/problem+json" || json.Unmarshal(a.Body, &p) != nil {
		return "", ""
	}
	return strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:"), p.Detail
}

func (a *Answer) mediaType() string {
	media, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// object reads a JSON answer: the media type has to be right, and the charset
// utf-8 if there is one.
func (a *Answer) object() (o map[string]any, err error) {
	media, parameters, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || parameters["charset"] != "" && !strings.EqualFold(parameters["charset"], "utf-8") {
		return nil, fmt.Errorf("the answer is %q and not JSON", a.Header.Get("Content-Type"))
	}
	return o, json.Unmarshal(a.Body, &o)
}

// Refusal is an answer other than 200 and 201.
type Refusal struct{ *Answer }

func (r *Refusal) Error() string {
	if kind, detail := r.Problem(); kind != "" {
		return fmt.Sprintf("HTTP %d, %s: %s", r.Status, kind, detail)
	}
	return fmt.Sprintf("HTTP %d", r.Status) // all that is left without a problem document
}

func (s *SecurityServer) request(ctx context.Context, method, url, accept string, body []byte, more ...string) (*Answer, error) {
	// Neither limit can be configured.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Accept": accept, "Accept-Charset": "utf-8", "Accept-Language": "en-US,en;q=0.8", "User-Agent": s.agent,
	} {
		r.Header.Set(name, value)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/jose+json")
	}
	if r.URL.Scheme == "http" {
		// Java would rather speak HTTP/2, and asks for it in each request.
		r.Header.Set("Connection", "Upgrade, HTTP2-Settings")
		r.Header.Set("Upgrade", "h2c")
		r.Header.Set("HTTP2-Settings", "AAEAAEAAAAIAAAAAAAMAAABkAAQBAAAAAAUAAEAA")
	}
	got, err := s.cfg.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = got.Body.Close() }() // read to its end or given up
	text, err := io.ReadAll(io.LimitReader(got.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	s.requests++
	a := &Answer{got.StatusCode, got.Header, text, time.Now()}
	if nonce := a.Header.Get("Replay-Nonce"); nonce != "" {
		if !isBase64URL(nonce) {
			return nil, fmt.Errorf("the nonce %q is not base64url", nonce)
		}
		s.session.nonce = nonce
	}
	return a, nil
}

// session is what acme4j knows of a server, and forgets with the next login: the
// directory, and a nonce.
type session struct {
	url       string // of the directory
	directory map[string]any
	keepUntil time.Time
	modified  string // Last-Modified of the directory
	nonce     string
}

// discover reads the directory before each use, unless the server has said for how
// long it may be kept.
func (s *SecurityServer) discover(ctx context.Context) error {
	known := &s.session
	if time.Now().Before(known.keepUntil) {
		return nil
	}
	var unless []string
	if known.modified != "" {
		unless = []string{"If-Modified-Since", known.modified}
	}
	a, err := s.request(ctx, http.MethodGet, known.url, "application/json", nil, unless...)
	if err != nil {
		return err
	}
	s.directories++
	if a.Status == http.StatusNotModified && known.modified != "" {
		return nil
	}
	if a.Status != http.StatusOK {
		return &Refusal{a}
	}
	if known.directory, err = a.object(); err != nil {
		return err
	}
	known.modified, known.keepUntil = a.Header.Get("Last-Modified"), expiration(a)
	return nil
}

// expiration is until when an answer may be kept: by max-age, or else by Expires.
func expiration(a *Answer) (until time.Time) {
	for directive := range strings.SplitSeq(a.Header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-cache", "no-store", "must-revalidate":
			return time.Time{}
		case "max-age":
			if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
				until = a.At.Add(time.Duration(seconds) * time.Second)
			}
		}
	}
	if until.IsZero() {
		until, _ = http.ParseTime(a.Header.Get("Expires")) // one that is no date is none
	}
	return until
}

// resource is an entry of the directory.
func (s *SecurityServer) resource(ctx context.Context, name string) (string, error) {
	if err := s.discover(ctx); err != nil {
		return "", err
	}
	url, _ := s.session.directory[name].(string)
	if url == "" {
		return "", fmt.Errorf("the directory has no %s", name)
	}
	return url, nil
}

func (s *SecurityServer) takeNonce(ctx context.Context) (string, error) {
	if s.session.nonce == "" {
		url, err := s.resource(ctx, "newNonce")
		if err != nil {
			return "", err
		}
		a, err := s.request(ctx, http.MethodHead, url, "application/json", nil)
		if err != nil {
			return "", err
		}
		if a.Status != http.StatusOK && a.Status != http.StatusNoContent || s.session.nonce == "" {
			return "", fmt.Errorf("newNonce: HTTP %d without a nonce", a.Status)
		}
	}
	nonce := s.session.nonce
	s.session.nonce = ""
	return nonce, nil
}

// Post signs a request by the account, or by the key alone before there is one,
// and wants 200 or 201. An empty payload reads.
func (s *SecurityServer) Post(ctx context.Context, url, payload, accept string) (*Answer, error) {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		nonce, err := s.takeNonce(ctx)
		if err != nil {
			return nil, err
		}
		who := fmt.Sprintf(`"kid":%q`, s.account)
		if s.account == "" {
			who = `"jwk":` + jwk(&s.Key.PublicKey)
		}
		protected := fmt.Sprintf(`{"nonce":%q,"url":%q,"alg":"RS256",%s}`, nonce, url, who)
		body, err := s.sign(s.Key, protected, payload)
		if err != nil {
			return nil, err
		}
		a, err := s.request(ctx, http.MethodPost, url, accept, []byte(body))
		if err != nil {
			return nil, err
		}
		if kind, _ := a.Problem(); kind == "badNonce" && attempt < attempts {
			continue
		}
		if a.Status != http.StatusOK && a.Status != http.StatusCreated {
			return nil, &Refusal{a}
		}
		return a, nil
	}
}

func (s *SecurityServer) post(ctx context.Context, url, payload string) (*Answer, map[string]any, error) {
	a, err := s.Post(ctx, url, payload, "application/json")
	if err != nil {
		return nil, nil, err
	}
	o, err := a.object()
	return a, o, err
}

func (s *SecurityServer) sign(key *rsa.PrivateKey, protected, payload string) (string, error) {
	input := b64([]byte(protected)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, b64([]byte(protected)), b64([]byte(payload)), b64(signature)), nil
}

func jwk(k *rsa.PublicKey) string {
	return fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, b64(big.NewInt(int64(k.E)).Bytes()), b64(k.N.Bytes()))
}

// binding is always HS256, however long the key is.
func binding(c Credential, url string, k *rsa.PublicKey) string {
	protected, payload := b64(fmt.Appendf(nil, `{"url":%q,"kid":%q,"alg":"HS256"}`, url, c.KID)), b64([]byte(jwk(k)))
	mac := hmac.New(sha256.New, c.MAC)
	mac.Write([]byte(protected + "." + payload))
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, protected, payload, b64(mac.Sum(nil)))
}

// DecodeMAC reads a mac-key with mac-key-base64-encoded: true. The Security Server
// pads it to a multiple of four itself.
func DecodeMAC(text string) ([]byte, error) {
	if strings.ContainsAny(text, "+/") {
		return nil, errors.New("the key is not base64url")
	}
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func isBase64URL(s string) bool {
	_, err := base64.RawURLEncoding.DecodeString(s)
	return s != "" && err == nil
}
