package caclient_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

func client(t *testing.T, url string, change ...func(*caclient.Config)) *caclient.Client {
	t.Helper()
	cfg := caclient.Config{Name: "example", Like: "https://HOST/v2", URL: url, Dial: new(net.Dialer).DialContext}
	for _, c := range change {
		c(&cfg)
	}
	c, err := caclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/v2"
}

var purchase = caclient.Call{Op: "order", Method: http.MethodPost, Path: "orders", Body: map[string]int{"n": 1}, Purchase: true}

// TestPurchaseOnce: whatever happens to the reply, a purchase arrives once; on a
// connection that the server keeps open and then breaks, too (SC-5).
func TestPurchaseOnce(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	var kept atomic.Value // the connection that stays open
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			kept.Store(r.RemoteAddr)
			return
		}
		if r.RemoteAddr == kept.Load() {
			t.Error("the connection of the purchase was used before")
		}
		_, _ = io.Copy(io.Discard, r.Body)
		arrived.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_ = conn.Close()
	})
	c := client(t, url)
	if _, err := c.Do(t.Context(), caclient.Call{Op: "look", Method: http.MethodGet, Path: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), purchase); caclient.OutcomeOf(err) != caclient.Unknown || err == nil {
		t.Errorf("%v", err)
	}
	if n := arrived.Load(); n != 1 {
		t.Errorf("it arrived %d times", n)
	}
}

// TestPurchaseFresh: one purchase does not use the connection of another.
func TestPurchaseFresh(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connections := map[string]bool{}
	c := client(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr] = true
	}))
	for range 3 {
		if _, err := c.Do(t.Context(), purchase); err != nil {
			t.Fatal(err)
		}
	}
	if len(connections) != 3 {
		t.Errorf("3 purchases on %d connections", len(connections))
	}
}

// TestOutcomes: what each status proves (SC-3), when it comes with an error of the
// service. Only what is documented as a no is one, and a redirect is not followed
// (SC-10).
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		outcome caclient.Outcome
		is      error
	}{
		301: {caclient.Unknown, nil}, 400: {caclient.Refused, caclient.ErrBadRequest}, 401: {caclient.NotSent, backends.ErrCredentials},
		403: {caclient.NotSent, backends.ErrCredentials}, 404: {caclient.Refused, caclient.ErrNotFound}, 409: {caclient.Unknown, nil},
		422: {caclient.Refused, caclient.ErrBadRequest}, 429: {caclient.NotSent, caclient.ErrThrottled}, 500: {caclient.Unknown, nil},
		502: {caclient.Unknown, nil}, 503: {caclient.Unknown, caclient.ErrThrottled},
	} {
		var arrived atomic.Int64
		c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			arrived.Add(1)
			w.Header().Set("Location", "/v2/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no")
		}), understands("no"))
		_, err := c.Do(t.Context(), purchase)
		if caclient.OutcomeOf(err) != want.outcome || caclient.StatusOf(err) != status || want.is != nil && !errors.Is(err, want.is) {
			t.Errorf("%d: %s, %v", status, caclient.OutcomeOf(err), err)
		}
		if n := arrived.Load(); n != 1 {
			t.Errorf("%d: arrived %d times", status, n)
		}
	}
	c := client(t, "http://127.0.0.1:1/v2", func(c *caclient.Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	})
	if _, err := c.Do(t.Context(), purchase); caclient.OutcomeOf(err) != caclient.NotSent {
		t.Errorf("no connection: %v", err)
	}
}

// understands reads one word as an error of the service, and nothing else.
func understands(word string) func(*caclient.Config) {
	return func(c *caclient.Config) {
		c.Complaint = func(body []byte) (code, message string) {
			if string(body) == word {
				return "", "the CA says " + word
			}
			return "", ""
		}
	}
}

// TestPageInFront: a no without a word of the service is of something in front of
// it, which knows nothing of orders: it refuses no purchase, and nothing is missing
// because of it (SC-3, SC-10).
func TestPageInFront(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 422} {
		for _, body := range []string{"", "<html>not here</html>", `{"message":"no route"}`} {
			c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}), understands("no"))
			_, err := c.Do(t.Context(), purchase)
			if err == nil || caclient.OutcomeOf(err) != caclient.Unknown || caclient.StatusOf(err) != status ||
				errors.Is(err, caclient.ErrNotFound) || errors.Is(err, caclient.ErrBadRequest) {
				t.Errorf("%d with %q: %s, %v", status, body, caclient.OutcomeOf(err), err)
			}
		}
	}
}

// TestHostileReplies: too much, too little and something else are errors of the
// outcome Unknown, and secrets that are repeated go no further.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("a", 2000)) }),
		func(c *caclient.Config) { c.MaxReply = 1000 })
	if _, err := c.Do(t.Context(), purchase); !errors.Is(err, caclient.ErrUndecodable) || caclient.OutcomeOf(err) != caclient.Unknown {
		t.Errorf("too much: %v", err)
	}
	c = client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	reply, err := c.Do(t.Context(), purchase)
	if err == nil {
		err = reply.JSON(&struct{}{})
	}
	if !errors.Is(err, caclient.ErrUndecodable) || caclient.OutcomeOf(err) != caclient.Unknown {
		t.Errorf("a page: %v", err)
	}
	c = client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization")+"\nline two\u202e")
	}), func(c *caclient.Config) { c.Complaint = func(b []byte) (string, string) { return "X", string(b) } })
	call := purchase
	call.Header = http.Header{"Authorization": {"hunter2"}}
	call.Secrets = []secret.Secret{secret.New([]byte("hunter2"))}
	if _, err := c.Do(t.Context(), call); err == nil || strings.Contains(err.Error(), "hunter2") || strings.ContainsAny(err.Error(), "\n\u202e") || caclient.CodeOf(err) != "X" {
		t.Errorf("%v", err)
	}
}

// TestPauseAsked: a CA that wants a pause has it, up to an hour (SC-15).
func TestPauseAsked(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for header, want := range map[string]time.Duration{"": 5 * time.Second, "40": 40 * time.Second, "999999": time.Hour, "soon": 5 * time.Second, now.Add(time.Minute).UTC().Format(http.TimeFormat): time.Minute} {
		var arrived atomic.Int64
		c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			arrived.Add(1)
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}), func(c *caclient.Config) { c.Now = func() time.Time { return now } })
		for range 2 {
			if _, err := c.Do(t.Context(), purchase); backends.PauseAsked(err) != want || caclient.OutcomeOf(err) != caclient.NotSent {
				t.Errorf("%q: %v", header, err)
			}
		}
		if n := arrived.Load(); n != 1 {
			t.Errorf("%q: arrived %d times", header, n)
		}
	}
}

// TestPauseStays: an answer to a request that was under way does not shorten the
// pause that the CA asked for before (SC-15).
func TestPauseStays(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "slow") {
			close(arrived)
			<-answer
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := client(t, url, func(cfg *caclient.Config) { cfg.Now = func() time.Time { return now } })
	look := func(path string) error {
		_, err := c.Do(t.Context(), caclient.Call{Op: "look", Method: http.MethodGet, Path: path})
		return err
	}
	slow := make(chan error, 1)
	go func() { slow <- look("slow") }()
	<-arrived
	if err := look("quick"); backends.PauseAsked(err) != 10*time.Minute {
		t.Errorf("%v", err)
	}
	close(answer)
	if err := <-slow; !errors.Is(err, caclient.ErrThrottled) {
		t.Errorf("%v", err)
	}
	if err := look("next"); backends.PauseAsked(err) != 10*time.Minute || caclient.StatusOf(err) != 0 {
		t.Errorf("%v, with a pause of %s", err, backends.PauseAsked(err))
	}
}

// TestBelow: no address of the CA leads away from it (SC-11).
func TestBelow(t *testing.T) {
	t.Parallel()
	c := client(t, "https://ca.example.org/v2")
	for location, want := range map[string]string{
		"certificates/1": "certificates/1", "/v2/certificates/1": "certificates/1", "https://ca.example.org/v2/certificates/1": "certificates/1",
		"": "", "/v3/certificates/1": "", "https://evil.example.org/v2/certificates/1": "", "http://ca.example.org/v2/certificates/1": "",
		"//evil.example.org/v2/x": "", "/v2/../admin": "", "https://ca.example.org:8443/v2/x": "", "%zz": "", "/v2/%2e%2e/x": "",
	} {
		if got, err := c.Below(location); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", location, got, err)
		}
	}
}

// TestOfACall: what a call says of its content, its bounds and its time goes before
// what is said of all.
func TestOfACall(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if string(body) == "wait" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, r.Header.Get("Content-Type")+" "+r.Header.Get("Accept")+" "+string(body))
	}))
	call := caclient.Call{
		Op: "upload", Method: http.MethodPost, Path: "files", Content: []byte("as it is"),
		Header: http.Header{"Content-Type": {"text/plain"}, "Accept": {"text/html"}},
	}
	if r, err := c.Do(t.Context(), call); err != nil || string(r.Body) != "text/plain text/html as it is" {
		t.Errorf("%q, %v", r.Body, err)
	}
	call.MaxReply = 10
	if _, err := c.Do(t.Context(), call); !errors.Is(err, caclient.ErrUndecodable) || !strings.Contains(err.Error(), "10 octets") {
		t.Errorf("more than wanted: %v", err)
	}
	call.Content, call.Timeout = []byte("wait"), 50*time.Millisecond
	if _, err := c.Do(t.Context(), call); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("longer than wanted: %v", err)
	}
	if r, err := c.Do(t.Context(), purchase); err != nil || string(r.Body) != `application/json application/json {"n":1}` {
		t.Errorf("%q, %v", r.Body, err)
	}
}

// TestVerdicts: a CA may mean something else by a status than most; the cause of an
// error may be named anew, and a pause that is asked for is not lost by that.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	no := errors.New("not this one")
	for status, want := range map[int]caclient.Outcome{403: caclient.Refused, 422: caclient.Unknown, 400: caclient.Unknown, 401: caclient.NotSent} {
		c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), func(c *caclient.Config) {
			c.Verdicts = map[int]caclient.Verdict{403: {Outcome: caclient.Refused, Error: no}, 422: {}}
		})
		if _, err := c.Do(t.Context(), purchase); caclient.OutcomeOf(err) != want || errors.Is(err, no) != (status == 403) {
			t.Errorf("%d: %s, %v", status, caclient.OutcomeOf(err), err)
		}
	}
	inner := caclient.Error{CA: "example", Op: "log in", RetryAfter: time.Minute}.Because(no)
	err := caclient.Error{CA: "example", Op: "order", Outcome: caclient.NotSent}.Because(inner)
	if backends.PauseAsked(err) != time.Minute || caclient.OutcomeOf(err) != caclient.NotSent || !errors.Is(err, no) {
		t.Errorf("%v, a pause of %s", err, backends.PauseAsked(err))
	}
}

// TestRates: requests wait for their turn as long as that is soon, and are not sent
// beyond that.
func TestRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, "http://127.0.0.1:1/v2", func(c *caclient.Config) {
			c.Rates = []caclient.Rate{{Requests: 1, Within: time.Second}, {Requests: 4, Within: time.Minute}}
			c.Patience = 5 * time.Second
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
		})
		begin := time.Now()
		for i := range 4 {
			if _, err := c.Do(t.Context(), purchase); errors.Is(err, caclient.ErrThrottled) {
				t.Fatal(err)
			}
			if took := time.Since(begin); took != time.Duration(i)*time.Second {
				t.Errorf("the turn of request %d came after %s", i, took)
			}
		}
		_, err := c.Do(t.Context(), purchase)
		if !errors.Is(err, caclient.ErrThrottled) || backends.PauseAsked(err) != 57*time.Second || caclient.OutcomeOf(err) != caclient.NotSent {
			t.Errorf("the fifth: %v, %s", err, backends.PauseAsked(err))
		}
		time.Sleep(57 * time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Do(t.Context(), purchase); errors.Is(err, caclient.ErrThrottled) {
			t.Errorf("a minute later: %v", err)
		}
		if _, err := c.Do(ended, purchase); caclient.OutcomeOf(err) != caclient.NotSent {
			t.Errorf("given up while it waited: %v", err)
		}
	})
}

// TestNew: what cannot work is said at once.
func TestNew(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "ca.example.org", "http://ca.example.org/v2", "https://u:p@ca.example.org/v2", "https://ca.example.org/v2#x", "ftp://ca.example.org", "\x00"} {
		if _, err := caclient.New(caclient.Config{Name: "example", URL: url, Dial: new(net.Dialer).DialContext}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// FuzzReadPEM: whatever a CA sends is certificates or an error.
func FuzzReadPEM(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		certs, err := caclient.ReadPEM(content)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates and %v", len(certs), err)
		}
		if len(certs) > 0 && len(caclient.Chain(certs[0], certs)) == 0 {
			t.Error("a chain without its leaf")
		}
	})
}
