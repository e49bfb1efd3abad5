package sectigo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// TestOutcomes holds what an error claims to prove against what the CA has in
// its books (SC-3). What is called refused or not sent must not be there.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  sectigotest.Fault
		want   sectigo.Outcome
		bought int
	}{
		"400":             {sectigotest.Fault{Kind: "status", Status: 400}, sectigo.Refused, 0},
		"401 for ever":    {sectigotest.Fault{Kind: "status", Status: 401}, sectigo.NotSent, 0},
		"403":             {sectigotest.Fault{Kind: "status", Status: 403}, sectigo.Refused, 0},
		"404":             {sectigotest.Fault{Kind: "status", Status: 404}, sectigo.Refused, 0},
		"400 of a page":   {sectigotest.Fault{Kind: "html-400"}, sectigo.Unknown, 0},
		"404 of a page":   {sectigotest.Fault{Kind: "html-404"}, sectigo.Unknown, 0},
		"422 of a page":   {sectigotest.Fault{Kind: "html-422"}, sectigo.Unknown, 0},
		"502 of a page":   {sectigotest.Fault{Kind: "html-502"}, sectigo.Unknown, 1},
		"409":             {sectigotest.Fault{Kind: "status", Status: 409}, sectigo.Unknown, 0},
		"429":             {sectigotest.Fault{Kind: "status", Status: 429}, sectigo.NotSent, 0},
		"500":             {sectigotest.Fault{Kind: "status", Status: 500}, sectigo.Unknown, 0},
		"503":             {sectigotest.Fault{Kind: "status", Status: 503, RetryAfter: "5"}, sectigo.Unknown, 0},
		"500 afterwards":  {sectigotest.Fault{Kind: "status-after", Status: 500}, sectigo.Unknown, 1},
		"502 afterwards":  {sectigotest.Fault{Kind: "status-after", Status: 502}, sectigo.Unknown, 1},
		"reset before":    {sectigotest.Fault{Kind: "reset-before"}, sectigo.Unknown, 0},
		"reply lost":      {sectigotest.Fault{Kind: "reset-after"}, sectigo.Unknown, 1},
		"half a reply":    {sectigotest.Fault{Kind: "half-body"}, sectigo.Unknown, 1},
		"no time":         {sectigotest.Fault{Kind: "slow-body", Delay: sectigotest.Duration(time.Hour)}, sectigo.Unknown, 1},
		"redirect":        {sectigotest.Fault{Kind: "redirect"}, sectigo.Unknown, 0},
		"a page":          {sectigotest.Fault{Kind: "html"}, sectigo.Unknown, 1},
		"nothing":         {sectigotest.Fault{Kind: "empty"}, sectigo.Unknown, 1},
		"cut short":       {sectigotest.Fault{Kind: "invalid-json"}, sectigo.Unknown, 1},
		"an error in 200": {sectigotest.Fault{Kind: "json-error"}, sectigo.Unknown, 1},
		"too much":        {sectigotest.Fault{Kind: "huge"}, sectigo.Unknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{}, func(c *sectigo.Config) {
				if name == "no time" {
					c.TransferTimeout = time.Second
				}
			})
			test.fault.Endpoint = "upload"
			w.breaks(t, test.fault)
			o := newOrder(t, "a.example.org")
			_, err := w.client.Upload(t.Context(), sectigo.Upload{ProfileID: profile, BatchName: "acme-1", CSRs: [][]byte{o.csr}})
			if err == nil || sectigo.OutcomeOf(err) != test.want {
				t.Errorf("%v: outcome %s, want %s", err, sectigo.OutcomeOf(err), test.want)
			}
			if n := len(w.ca.Purchases()); n != test.bought {
				t.Errorf("%d purchases, want %d", n, test.bought)
			}
			if n := w.ca.Count("upload"); n != 1 && (name != "401 for ever" || n != 2) {
				t.Errorf("%d uploads arrived", n)
			}
			// What was bought is found by its name, whatever the reply was, and after
			// the pause that it may have asked for.
			w.ca.Advance(time.Minute)
			list, err := w.client.Batches(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, b := range list.Batches {
				if b.Name == "acme-1" {
					found++
				}
			}
			if !list.Complete || found != test.bought {
				t.Errorf("%d batches of that name in the list, want %d", found, test.bought)
			}
		})
	}
}

// TestRefusals are those that the CA makes of itself.
func TestRefusals(t *testing.T) {
	t.Parallel()
	o, nameless := newOrder(t, "a.example.org"), newOrder(t)
	for name, test := range map[string]struct {
		cfg    sectigotest.Config
		upload sectigo.Upload
		says   string
	}{
		"unknown profile": {upload: sectigo.Upload{ProfileID: 17, CSRs: [][]byte{o.csr}}, says: "Profile not found"},
		"wrong parameter": {upload: sectigo.Upload{ProfileID: profile, CSRs: [][]byte{o.csr}, Params: map[string]string{"x": "y"}}, says: "unknown"},
		"bad parameter":   {upload: sectigo.Upload{ProfileID: 489, CSRs: [][]byte{o.csr}, Params: map[string]string{"countryName": "u"}}, says: ""},
		"duplicates": {cfg: sectigotest.Config{RefuseDuplicates: true}, says: "Duplicates found: a.example.org",
			upload: sectigo.Upload{ProfileID: profile, CSRs: [][]byte{o.csr, o.csr}}},
		"no balance": {cfg: sectigotest.Config{Balance: 1}, says: "balance", upload: sectigo.Upload{ProfileID: profile, CSRs: [][]byte{o.csr, nameless.csr}}},
		"not a CSR":  {upload: sectigo.Upload{ProfileID: profile, CSRs: [][]byte{{1, 2, 3}}}, says: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.cfg)
			if name == "bad parameter" { // it is one of other requests only
				if _, err := w.client.Upload(t.Context(), test.upload); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := w.client.Upload(t.Context(), test.upload)
			if sectigo.OutcomeOf(err) != sectigo.Refused || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v (%s)", err, sectigo.OutcomeOf(err))
			}
			if n := len(w.ca.Purchases()); n != 0 {
				t.Errorf("%d purchases", n)
			}
		})
	}
}

// TestNotSent: whatever goes wrong before the first octet proves that nothing
// was bought.
func TestNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	o := newOrder(t, "a.example.org")
	good := sectigo.Upload{ProfileID: profile, BatchName: "acme-1", CSRs: [][]byte{o.csr}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		client *sectigo.Client
		upload sectigo.Upload
	}{
		"no profile":      {upload: sectigo.Upload{CSRs: good.CSRs}},
		"no CSR":          {upload: sectigo.Upload{ProfileID: profile}},
		"a name too bad":  {upload: sectigo.Upload{ProfileID: profile, CSRs: good.CSRs, BatchName: "my batch (2)"}},
		"a name too long": {upload: sectigo.Upload{ProfileID: profile, CSRs: good.CSRs, BatchName: strings.Repeat("n", 63)}},
		"a key":           {upload: sectigo.Upload{ProfileID: profile, File: &sectigo.File{Name: "f", Content: []byte("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE REQUEST-----\n")}}},
		"no PEM":          {upload: sectigo.Upload{ProfileID: profile, File: &sectigo.File{Name: "f", Content: []byte("hello")}}},
		"too many":        {upload: sectigo.Upload{ProfileID: profile, CSRs: make([][]byte, 101)}},
		"ended":           {ctx: ended, upload: good},
		"nobody there": {upload: good, client: w.connect(t, func(c *sectigo.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
		})},
		"no login": {upload: good, client: w.connect(t, func(c *sectigo.Config) { c.Password = secret.New([]byte("wrong")) })},
		"only the upload cannot connect": {upload: good, client: w.connect(t, func(c *sectigo.Config) {
			var n atomic.Int32
			c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if n.Add(1) > 1 {
					return nil, errors.New("connection refused")
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
		})},
	} {
		ctx, client := test.ctx, test.client
		if ctx == nil {
			ctx = t.Context()
		}
		if client == nil {
			client = w.client
		}
		if _, err := client.Upload(ctx, test.upload); err == nil || sectigo.OutcomeOf(err) != sectigo.NotSent {
			t.Errorf("%s: %v (%s)", name, err, sectigo.OutcomeOf(err))
		}
	}
	if n := w.ca.Count("upload"); n != 0 {
		t.Errorf("%d uploads arrived", n)
	}
}

// TestPurchaseIsSentOnce: a server that takes requests and closes instead of
// answering gets each purchase once, also when the connection of an earlier
// call would have been at hand (SC-5).
func TestPurchaseIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	var uploads, reused, marked atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	// In front of the stand-in sits something that passes everything on but
	// every second upload: it reads that one, counts and hangs up.
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				r := bufio.NewReader(conn)
				for turn := 0; ; turn++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					body, err := io.ReadAll(req.Body)
					if err != nil {
						return
					}
					if strings.HasSuffix(req.URL.Path, "/upload") {
						if turn > 0 {
							reused.Add(1)
						}
						if req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != "" {
							marked.Add(1)
						}
						if uploads.Add(1)%2 == 0 {
							return
						}
					}
					out, err := http.NewRequestWithContext(t.Context(), req.Method, w.url+req.URL.Path, bytes.NewReader(body))
					if err != nil {
						return
					}
					out.Header = req.Header
					res, err := http.DefaultTransport.RoundTrip(out)
					if err != nil {
						return
					}
					err = res.Write(conn)
					_ = res.Body.Close()
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	client := w.connect(t, func(c *sectigo.Config) { c.URL = "http://" + l.Addr().String() })
	o := newOrder(t, "a.example.org")
	for i := int32(1); i <= 6; i++ {
		if _, err := client.Licenses(t.Context()); err != nil { // leaves a connection behind
			t.Fatal(err)
		}
		_, err := client.Upload(t.Context(), sectigo.Upload{ProfileID: profile, BatchName: "acme-1", CSRs: [][]byte{o.csr}})
		if (err == nil) != (i%2 == 1) || sectigo.OutcomeOf(err) != sectigo.Unknown {
			t.Errorf("%v (%s)", err, sectigo.OutcomeOf(err))
		}
		if got := uploads.Load(); got != i {
			t.Fatalf("%d uploads arrived, want %d", got, i)
		}
	}
	if reused.Load() != 0 || marked.Load() != 0 {
		t.Errorf("%d uploads came on a used connection, %d with a header that makes package net/http repeat them", reused.Load(), marked.Load())
	}
}

// TestUploadForm looks at the octets of an upload (section 3.1 of the notes on
// the interface).
func TestUploadForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	o := newOrder(t, "a.example.org")
	w.uploads(t, "acme-1", o, newOrder(t, "b.example.org"))
	raw := w.ca.LastUpload()
	kind, params, err := mime.ParseMediaType(raw.ContentType)
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("%q: %v", raw.ContentType, err)
	}
	r := multipart.NewReader(bytes.NewReader(raw.Body), params["boundary"])
	var names, kinds, bodies []string
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		names, kinds, bodies = append(names, p.FormName()), append(kinds, p.Header.Get("Content-Type")), append(bodies, string(body))
	}
	if strings.Join(names, " ") != "profileId csrBatchRequest files" || strings.Join(kinds, " ") != " application/json application/octet-stream" {
		t.Errorf("parts %q of types %q", names, kinds)
	}
	if bodies[0] != "423" || bodies[1] != `{"profileId":423,"batchType":"BATCH","batchName":"acme-1","profileParams":{}}` ||
		strings.Count(bodies[2], "-----BEGIN CERTIFICATE REQUEST-----") != 2 {
		t.Errorf("bodies %q", bodies)
	}
}
