package sectigo_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
	"acmebridge/internal/standin"
)

// TestPauseOfTheClient: a CA that asks one request for a pause has it from all
// requests, and none of them is sent meanwhile (SC-14, SC-15).
func TestPauseOfTheClient(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sectigotest.Fault{
		"429": {Kind: "status", Status: 429, RetryAfter: "120"}, "503": {Kind: "status", Status: 503, RetryAfter: "120"},
		"503 afterwards": {Kind: "status-after", Status: 503, RetryAfter: "120"},
	} {
		w := newWorld(t, sectigotest.Config{})
		b := w.backend(t, w.client)
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		fault.Endpoint, fault.Count = "batch", 1
		w.breaks(t, fault)
		if _, err := b.Poll(t.Context(), ticket); backends.PauseAsked(err) != 2*time.Minute {
			t.Errorf("%s: %v", name, err)
		}
		w.ca.Advance(time.Minute)
		before := len(w.ca.Journal("request"))
		for what, do := range map[string]func() error{
			"poll":   func() error { _, err := b.Poll(t.Context(), ticket); return err },
			"submit": func() error { _, err := b.Submit(t.Context(), w.request()); return err },
			"survey": func() error { _, err := b.Survey(t.Context()); return err },
			"count":  func() error { _, err := w.client.Licenses(t.Context()); return err },
		} {
			err := do()
			if !errors.Is(err, sectigo.ErrThrottled) || backends.PauseAsked(err) != time.Minute || sectigo.OutcomeOf(err) != sectigo.NotSent {
				t.Errorf("%s: %s: %v, a pause of %s", name, what, err, backends.PauseAsked(err))
			}
			if what == "submit" && !backends.IsNotSent(err) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		if n := len(w.ca.Journal("request")) - before; n != 0 {
			t.Errorf("%s: %d requests in the pause", name, n)
		}
		w.ca.Advance(time.Minute)
		if _, err := b.Poll(t.Context(), ticket); err != nil {
			t.Errorf("%s: after the pause: %v", name, err)
		}
		if _, err := b.Submit(t.Context(), w.request()); err != nil {
			t.Errorf("%s: after the pause: %v", name, err)
		}
	}
}

// TestPace: a few requests at once, then two a second, however many want to go;
// and no more while it is quiet than at the start (SC-14).
func TestPace(t *testing.T) {
	t.Parallel()
	ca, err := sectigotest.New(sectigotest.Config{Clock: sectigotest.Stopped(begin)})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := standin.NewPipes()
		server := &http.Server{Handler: ca.Handler()}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		since := time.Now()
		client, err := sectigo.New(sectigo.Config{
			URL: "http://127.0.0.1:1", Username: username, Password: secret.New([]byte(password)), Pace: 500 * time.Millisecond,
			Now: func() time.Time { return begin.Add(time.Since(since)) }, Dial: network.Dial,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, quiet := range []time.Duration{0, time.Hour} {
			time.Sleep(quiet)
			begun := time.Now()
			done := make(chan time.Duration, 100)
			for range 100 {
				go func() {
					if _, err := client.Licenses(t.Context()); err != nil {
						t.Error(err)
					}
					done <- time.Since(begun)
				}()
			}
			passed := map[time.Duration]int{}
			for range 100 {
				passed[(<-done).Truncate(5*time.Second)]++
			}
			for second, n := range passed {
				if n > 10 {
					t.Errorf("%d passed from second %s on", n, second)
				}
			}
			if len(passed) < 10 {
				t.Errorf("all passed within %d times 5 s", len(passed))
			}
		}
		client.Close()
		_ = server.Close()
		<-served
	})
}
