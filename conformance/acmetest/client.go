package acmetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// directory is the object of RFC 8555 section 7.1.1.
type directory struct {
	NewNonce    string `json:"newNonce"`
	NewAccount  string `json:"newAccount"`
	NewOrder    string `json:"newOrder"`
	NewAuthz    string `json:"newAuthz"`
	RevokeCert  string `json:"revokeCert"`
	KeyChange   string `json:"keyChange"`
	RenewalInfo string `json:"renewalInfo"`
	Meta        struct {
		TermsOfService          string            `json:"termsOfService"`
		ExternalAccountRequired bool              `json:"externalAccountRequired"`
		Profiles                map[string]string `json:"profiles"`
	} `json:"meta"`
}

// endpoint is one directory and the nonces it has handed out to us.
type endpoint struct {
	url  string
	dir  directory
	bind *ExternalAccountKey // attached to every newAccount

	mu     sync.Mutex
	nonces []string
}

// suite is what all cases of one run share.
type suite struct {
	cfg     Config
	main    *endpoint
	bound   *endpoint // requires external accounts; nil when not configured
	limited *endpoint // has small limits; nil when not configured
	http01  *responder
	named   atomic.Int64
	runID   string // makes the names of two runs differ

	certificate shared[*certificate]
	failures    shared[*failedOrder]
	offer       shared[map[string]bool]
	rsaKey      shared[*key]
}

func newSuite(ctx context.Context, cfg Config) (*suite, error) {
	s := &suite{cfg: cfg}
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	s.runID = hex.EncodeToString(random[:])

	var err error
	if s.main, err = s.discover(ctx, cfg.DirectoryURL); err != nil {
		return nil, err
	}
	s.main.bind = cfg.ExternalAccountKey
	if cfg.ExternalAccounts != nil {
		if s.bound, err = s.discover(ctx, cfg.ExternalAccounts.DirectoryURL); err != nil {
			return nil, err
		}
	}
	if cfg.Limited != nil {
		if s.limited, err = s.discover(ctx, cfg.Limited.DirectoryURL); err != nil {
			return nil, err
		}
	}
	ln := cfg.HTTP01Listener
	if ln == nil {
		if ln, err = net.Listen("tcp", cfg.HTTP01Addr); err != nil {
			return nil, fmt.Errorf("listen for http-01 validations (set HTTP01Addr): %w", err)
		}
	}
	s.http01 = newResponder(ln)
	return s, nil
}

func (s *suite) close() {
	// Nothing depends on how the responder ended; the port is free either way.
	_ = s.http01.close()
	s.cfg.HTTPClient.CloseIdleConnections()
}

func (s *suite) discover(ctx context.Context, url string) (*endpoint, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := s.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the directory at %s: status %d: %s", url, resp.StatusCode, clip(string(body)))
	}
	e := &endpoint{url: url}
	if err := json.Unmarshal(body, &e.dir); err != nil {
		return nil, fmt.Errorf("decode the directory at %s: %w", url, err)
	}
	if e.dir.NewNonce == "" || e.dir.NewAccount == "" || e.dir.NewOrder == "" {
		return nil, fmt.Errorf("the directory at %s lacks newNonce, newAccount or newOrder: %s", url, clip(string(body)))
	}
	return e, nil
}

const (
	userAgent   = "acmetest/1 (ACME conformance suite)"
	contentType = "application/jose+json"
)

// newName makes an identifier no other case and no other run uses.
func (t *T) newName() string {
	s := t.suite
	if s.cfg.NewName != nil {
		return s.cfg.NewName()
	}
	return fmt.Sprintf("n%d-%s.%s", s.named.Add(1), s.runID, s.cfg.NameSuffix)
}

// keep remembers a nonce for later: R8555-6.5-9 lets any request use it.
func (e *endpoint) keep(nonce string) {
	if nonce == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.nonces) < 64 {
		e.nonces = append(e.nonces, nonce)
	}
}

func (e *endpoint) pooled() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.nonces) == 0 {
		return ""
	}
	n := e.nonces[len(e.nonces)-1]
	e.nonces = e.nonces[:len(e.nonces)-1]
	return n
}

// newNonce asks the server for a nonce nobody else holds.
func (t *T) newNonce(e *endpoint) string {
	resp := t.request(http.MethodHead, e.dir.NewNonce)
	nonce := resp.header.Get("Replay-Nonce")
	if nonce == "" {
		t.Fatalf("newNonce gave no Replay-Nonce\n%s", resp)
	}
	return nonce
}

// request sends a bare HTTP request.
func (t *T) request(method, url string) *response {
	req, err := http.NewRequestWithContext(t.ctx, method, url, nil)
	if err != nil {
		t.Fatalf("make a request to %q: %v", url, err)
	}
	return t.do(req, "")
}

// send posts m. A badNonce on a request that is not about nonces is answered by
// trying again with a fresh one, as R8555-6.5-5 expects of clients; there is no
// pause, because some test servers refuse one nonce in twenty on purpose.
func (t *T) send(e *endpoint, m message) *response {
	for attempt := 1; ; attempt++ {
		nonce := m.nonce
		if nonce == "" {
			if nonce = e.pooled(); nonce == "" {
				nonce = t.newNonce(e)
			}
		}
		resp := t.sendWith(m, nonce)
		if resp.problemType() == "badNonce" && m.nonce == "" && !m.once && attempt < 10 {
			continue
		}
		if m.nonce == "" {
			e.keep(resp.header.Get("Replay-Nonce"))
		}
		return resp
	}
}

func (t *T) sendWith(m message, nonce string) *response {
	body, header, err := m.encode(nonce)
	if err != nil {
		t.Fatalf("%v", err)
	}
	req, err := http.NewRequestWithContext(t.ctx, http.MethodPost, m.url, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("make a request to %q: %v", m.url, err)
	}
	req.Header.Set("Content-Type", contentType)
	if m.http != nil {
		m.http(req)
	}
	return t.do(req, fmt.Sprintf("protected %s payload %s body %s", clip(header), clip(string(m.payload)), clip(string(body))))
}

func (t *T) do(req *http.Request, sent string) *response {
	req.Header.Set("User-Agent", userAgent)
	resp, err := t.suite.cfg.HTTPClient.Do(req)
	if err != nil {
		t.Fatalf("no answer: %v\n  sent: %s %s %s", err, req.Method, req.URL, sent)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		t.Fatalf("answer cut off: %v\n  sent: %s %s %s", err, req.Method, req.URL, sent)
	}
	return &response{
		t: t, status: resp.StatusCode, header: resp.Header, body: body,
		sent: strings.TrimSpace(req.Method + " " + req.URL.String() + " " + sent),
	}
}

// clip keeps failure messages readable when a case sends or gets a lot.
func clip(s string) string {
	const limit = 600
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d octets)", s[:limit], len(s))
}

// poll calls fn until it reports done, with growing pauses and one before the first
// call: the answer that made the case wait is how things stood just now. When the
// time is up the case fails with what was waited for and how things stood.
func (t *T) poll(what string, fn func() (done bool, state string)) {
	deadline := time.Now().Add(t.suite.cfg.PollTimeout)
	pause := t.suite.cfg.PollInterval
	for {
		t.pause(pause)
		done, state := fn()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; still: %s", t.suite.cfg.PollTimeout, what, state)
		}
		pause = min(pause*3/2, 10*t.suite.cfg.PollInterval)
	}
}

func (t *T) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
		t.Fatalf("the case ran out of time: %v", t.ctx.Err())
	}
}
