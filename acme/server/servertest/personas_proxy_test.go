package servertest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
)

// passing is one answer on its way through the proxy.
type passing struct {
	path    string // "order", "finalize", "authz" and so on
	payload string // of the request; "" is POST-as-GET
	*http.Response
}

func (p passing) text() string {
	body, _ := io.ReadAll(p.Body)
	p.set(string(body))
	return string(body)
}

func (p passing) set(body string) {
	p.Body = io.NopCloser(strings.NewReader(body))
	p.ContentLength = int64(len(body))
	p.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// replace changes the body of a success; it fails nobody when nothing matches.
func (p passing) replace(pairs ...string) {
	if p.StatusCode < 300 {
		p.set(strings.NewReplacer(pairs...).Replace(p.text()))
	}
}

// unfinished makes an order look as if its CA took time.
func (p passing) unfinished() {
	var o map[string]any
	if json.Unmarshal([]byte(p.text()), &o) != nil || o["status"] != "valid" {
		return
	}
	o["status"] = "processing"
	delete(o, "certificate")
	body, _ := json.Marshal(o)
	p.set(string(body))
}

// pathOf names a resource by its URL.
func pathOf(u *url.URL) string {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	last := parts[len(parts)-1]
	for _, known := range []string{"authz", "challenge", "certificate", "order", "account"} {
		for _, part := range parts {
			if part == known && last != "finalize" && last != "orders" {
				return known
			}
		}
	}
	return last
}

// breakingProxy starts a server behind a proxy that spoils what passes: change
// sees each answer, before sees each request and may answer it itself.
func breakingProxy(t *testing.T, o servertest.Options, before func(http.Handler) http.Handler, change func(passing)) *servertest.Server {
	t.Helper()
	front := httptest.NewUnstartedServer(nil)
	front.EnableHTTP2 = true
	base := "https://" + front.Listener.Addr().String()
	also := o.Server
	o.Server = func(c *server.Config) {
		c.BaseURL = base
		if also != nil {
			also(c)
		}
	}
	s := servertest.Start(t, o)
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := s.Client().Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12, ServerName: target.Hostname()}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			body, _ := io.ReadAll(r.In.Body)
			r.Out.Body = io.NopCloser(bytes.NewReader(body))
			r.Out.Header.Set("X-Payload", payloadOf(body))
		},
		ModifyResponse: func(resp *http.Response) error {
			change(passing{pathOf(resp.Request.URL), resp.Request.Header.Get("X-Payload"), resp})
			return nil
		},
	}
	front.Config.Handler = proxy
	if before != nil {
		front.Config.Handler = before(proxy)
	}
	front.StartTLS()
	t.Cleanup(front.Close)
	return s
}

func payloadOf(body []byte) string {
	var jws struct{ Payload string }
	if json.Unmarshal(body, &jws) != nil {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	return strings.Join(strings.Fields(string(payload)), " ")
}

// refuseNonces sends each newOrder twice, so that the server itself refuses the
// second one's nonce, for the first times requests of each client.
func refuseNonces(times int, spoil func(http.Header, string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		seen := counter{m: map[string]int{}}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if pathOf(r.URL) != "new-order" || seen.add(r.UserAgent()) > times {
				next.ServeHTTP(w, r)
				return
			}
			body, _ := io.ReadAll(r.Body)
			var answer *httptest.ResponseRecorder
			for range 2 {
				answer = httptest.NewRecorder()
				r.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(answer, r)
			}
			text := spoil(answer.Header(), answer.Body.String())
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			w.WriteHeader(answer.Code)
			_, _ = io.WriteString(w, text)
		})
	}
}
