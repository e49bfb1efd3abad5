package standin_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/standin"
)

// shop is an imitation with one thing to buy.
func shop(t *testing.T) (s *standin.Server, buy func() (int, string, error)) {
	t.Helper()
	s = standin.New(standin.Config{
		Name: "shop", Base: "/v1/", Clock: standin.Stopped(time.Unix(1_800_000_000, 0)), Seed: 7,
		Fail: func(c *standin.Call, status int, code, message string) {
			c.JSON(status, map[string]string{"code": code, "message": message})
		},
		Endpoints: []standin.Endpoint{{Name: "order", Method: "POST", Pattern: "orders", Serve: func(c *standin.Call) {
			s.Log(standin.Event{Kind: "purchase"})
			c.JSON(http.StatusCreated, map[string]string{"id": "1"})
		}}},
	})
	url, stop, err := s.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, func() (int, string, error) {
		res, err := web.Post(url+"/orders", "application/json", strings.NewReader("{}"))
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		return res.StatusCode, string(body), err
	}
}

// TestFaults: each fault does what it says, and those that are after the deed are
// after it.
func TestFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		done, broken bool
		status       int
		body         string
	}{
		"":             {done: true, status: 201, body: `{"id":"1"}`},
		"status":       {status: 418, body: `"code":"fault"`},
		"status-after": {done: true, status: 418, body: `"code":"fault"`},
		"reset-before": {broken: true},
		"reset-after":  {done: true, broken: true},
		"half-body":    {done: true, broken: true},
		"slow-body":    {done: true, status: 201, body: `{"id":"1"}`},
		"redirect":     {status: 302},
		"html":         {done: true, status: 200, body: "<!DOCTYPE html>"},
		"html-502":     {done: true, status: 502, body: "<!DOCTYPE html>"},
		"html-400":     {status: 400, body: "<!DOCTYPE html>"},
		"html-404":     {status: 404, body: "<!DOCTYPE html>"},
		"html-422":     {status: 422, body: "<!DOCTYPE html>"},
		"empty":        {done: true, status: 201},
		"invalid-json": {done: true, status: 201, body: `{"id"`},
		"huge":         {done: true, status: 200, body: "AAAA"},
	} {
		s, buy := shop(t)
		if kind != "" {
			if err := s.Break(standin.Fault{Endpoint: "order", Kind: kind, Status: 418, Count: 1}); err != nil {
				t.Fatal(err)
			}
		}
		status, body, err := buy()
		if (err != nil) != want.broken || !want.broken && (status != want.status || !strings.Contains(body, want.body)) {
			t.Errorf("%s: %d %.40q %v", kind, status, body, err)
		}
		if done := len(s.Purchases()) == 1; done != want.done {
			t.Errorf("%s: done: %t", kind, done)
		}
		if status, _, err := buy(); err != nil || status != http.StatusCreated {
			t.Errorf("%s happens once: %d, %v", kind, status, err)
		}
	}
}

// TestWhen: a fault can let some through, and come by a chance that is the same
// each time.
func TestWhen(t *testing.T) {
	t.Parallel()
	pattern := func(f standin.Fault) (all string) {
		s, buy := shop(t)
		if err := s.Break(f); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			if _, _, err := buy(); err != nil {
				all += "x"
			} else {
				all += "."
			}
		}
		return all
	}
	if got := pattern(standin.Fault{Kind: "reset-after", Skip: 2, Count: 3}); got != "..xxx......." {
		t.Errorf("skip and count: %s", got)
	}
	by := standin.Fault{Kind: "reset-after", Probability: 0.5}
	if one, other := pattern(by), pattern(by); one != other || !strings.Contains(one, "x") || !strings.Contains(one, ".") {
		t.Errorf("by chance: %s and %s", one, other)
	}
	s, _ := shop(t)
	for _, f := range []standin.Fault{{Kind: "nonsense"}, {Endpoint: "nowhere", Kind: "html"}, {Kind: "status"}, {Kind: "html", Probability: 2}, {Kind: "html", Skip: -1}} {
		if err := s.Break(f); err == nil || !strings.HasPrefix(err.Error(), "shop: ") {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// failing is a journal on a disk that is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestFullDisk: what cannot be written down goes on all the same.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := standin.New(standin.Config{Name: "shop", Journal: failing{}})
	s.Lock()
	s.Log(standin.Event{Kind: "purchase"})
	s.Unlock()
	if s.Count("purchase") != 1 {
		t.Error("it is not counted")
	}
}
