package globalsign_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/globalsign"
	"acmebridge/backends/globalsign/globalsigntest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
)

// TestPageInFront: a page for people in place of the service says nothing of an
// order, whatever its status. What was paid for is not ended by it, what is looked
// for is not missing because of it, and what it answers a purchase with is no
// refusal (SC-3, SC-10).
func TestPageInFront(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"html-400", "html-404", "html-422"} {
		w := newWorld(t, globalsigntest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t), func(c *globalsign.BackendConfig) { c.Intermediates = nil })
		r := w.request()
		ticket, err := b.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		w.ca.Advance(time.Hour)
		for _, at := range []string{"fetch", "chain"} {
			w.breaks(t, standin.Fault{Endpoint: at, Kind: kind})
			if _, err := b.Poll(t.Context(), ticket); err == nil {
				t.Errorf("%s at %s: no error", kind, at)
			} else if detail, over := backends.RefusalDetail(err); over || errors.Is(err, caclient.ErrNotFound) {
				t.Errorf("%s at %s ended the order: %q, %v", kind, at, detail, err)
			}
			w.ca.Mend()
		}
		for _, at := range []string{"issued", "fetch"} {
			w.breaks(t, standin.Fault{Endpoint: at, Kind: kind})
			if _, found, err := b.Find(t.Context(), r); err == nil || found {
				t.Errorf("%s at %s proves that nothing was bought: found %t, %v", kind, at, found, err)
			}
			w.ca.Mend()
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
			t.Errorf("%s: afterwards %+v, %v", kind, got, err)
		}
		w.breaks(t, standin.Fault{Endpoint: "order", Kind: kind, Count: 1})
		_, err = b.Submit(t.Context(), w.request())
		if _, over := backends.RefusalDetail(err); err == nil || over || backends.IsNotSent(err) {
			t.Errorf("%s: a purchase was decided by it: %v", kind, err)
		}
	}
}

// TestYoungOrderShowsLate: a CA may take a moment to show what it has just sold, and
// what it never shows is for a person to see, and not over.
func TestYoungOrderShowsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, globalsigntest.Config{Processing: time.Minute})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.breaks(t, standin.Fault{Endpoint: "fetch", Kind: "status", Status: http.StatusNotFound, Code: "not-found"})
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || got.After <= 0 {
		t.Errorf("at first %+v, %v", got, err)
	}
	w.ca.Advance(time.Hour)
	_, err = b.Poll(t.Context(), ticket)
	if _, over := backends.RefusalDetail(err); !errors.Is(err, caclient.ErrNotFound) || over {
		t.Errorf("an hour later: %v", err)
	}
}

// TestErrorsOfTheService: a problem document that says no more than its status may be
// anybody's; one with a description, or with a type, is the service's.
func TestErrorsOfTheService(t *testing.T) {
	t.Parallel()
	for body, ours := range map[string]bool{
		`{"description":"no such certificate"}`:                       true,
		`{"type":"https://ca.example/not-found","title":"Not Found"}`: true,
		`{"type":"about:blank","title":"Not Found","status":404}`:     false,
		`{"title":"Not Found"}`:                                       false, `{"message":"no route"}`: false, `null`: false, `{"description":`: false, "": false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/login" {
				_, _ = io.WriteString(w, `{"access_token":"token"}`)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		client, err := globalsign.New(globalsign.Config{
			URL: server.URL + "/v2", Dial: new(net.Dialer).DialContext,
			Login: func() (globalsign.Login, error) {
				return globalsign.Login{Key: secret.New([]byte("key")), Secret: secret.New([]byte("secret"))}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		if _, err := client.Certificate(t.Context(), "00"); err == nil || errors.Is(err, caclient.ErrNotFound) != ours {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestPolicyInOurWords: what a policy calls a kind of key or a usage may be anything,
// and clients hear nothing of it but what has a name here (SC-18).
func TestPolicyInOurWords(t *testing.T) {
	t.Parallel()
	_, root := newWorld(t, globalsigntest.Config{}).ca.Roots()
	for what, test := range map[string]struct{ policy, says string }{
		"key":         {`{"extended_key_usages":{"ekus":{"list":[],"maxcount":5}},"san":{"dns_names":{"list":[],"maxcount":5}},"public_key":{"key_type":"see https://ca.example/why"}}`, "does not take keys of this kind"},
		"usages":      {`{"extended_key_usages":{"ekus":{"static":true,"list":["see https://ca.example/why","1.3.6.1.5.5.7.3.1"]}}}`, "serverAuth and another usage"},
		"key of ours": {`{"extended_key_usages":{"ekus":{"list":[],"maxcount":5}},"san":{"dns_names":{"list":[],"maxcount":5}},"public_key":{"key_type":"RSA"}}`, "it takes RSA"},
	} {
		mux := http.NewServeMux()
		for path, answer := range map[string]string{"POST /v2/login": `{"access_token":"x"}`, "GET /v2/validationpolicy": test.policy} {
			mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		}
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		client, err := globalsign.New(globalsign.Config{URL: server.URL + "/v2", Login: login(apiKey, apiSecret), Dial: new(net.Dialer).DialContext})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		b, err := globalsign.NewBackend(globalsign.BackendConfig{Client: client, AnyDomain: true, Roots: [][]byte{root}})
		if err != nil {
			t.Fatal(err)
		}
		r := backendtest.NewRequest(time.Now(), backends.Traits{})
		r.Contract.Subject = acme.SubjectByCA
		_, err = b.Submit(t.Context(), r)
		if detail, no := backends.RefusalDetail(err); !no || strings.Contains(detail, "ca.example") || !strings.Contains(detail, test.says) {
			t.Errorf("%s: the client is told %q, %v", what, detail, err)
		}
	}
}
