package caclient_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// TestCredentials: each call is made with what there is at the moment. What was
// refused is not sent again for a minute, unless it was replaced (SC-13), and is in
// no error although the CA repeats it.
func TestCredentials(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		if key := r.Header.Get("X-Key"); key != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who is "+key)
		}
	})
	now, key, broken := time.Now(), "wrong", errors.New("no such file")
	var unreadable error
	c := client(t, url, func(cfg *caclient.Config) {
		cfg.Now = func() time.Time { return now }
		cfg.Complaint = func(body []byte) (string, string) { return "1", string(body) }
		cfg.Credentials = func() (caclient.Credentials, error) {
			return caclient.Credentials{Header: http.Header{"X-Key": {key}}, Secrets: []secret.Secret{secret.New([]byte(key))}}, unreadable
		}
	})
	look := func(arrives int64, good bool) error {
		t.Helper()
		before := arrived.Load()
		_, err := c.Do(t.Context(), caclient.Call{Op: "look", Method: http.MethodGet, Path: "x"})
		if n := arrived.Load() - before; n != arrives || (err == nil) != good {
			t.Errorf("%d requests arrived, want %d: %v", n, arrives, err)
		}
		if err != nil && (caclient.OutcomeOf(err) != caclient.NotSent || strings.Contains(err.Error(), "wrong")) {
			t.Errorf("%s: %v", caclient.OutcomeOf(err), err)
		}
		return err
	}
	for _, arrives := range []int64{1, 0} {
		if err := look(arrives, false); !errors.Is(err, backends.ErrCredentials) {
			t.Errorf("it is %v", err)
		}
	}
	now = now.Add(time.Minute)
	_ = look(1, false)
	_ = look(0, false)
	key = "right"
	_ = look(1, true)
	unreadable = broken
	if err := look(0, false); !errors.Is(err, broken) {
		t.Errorf("it is %v", err)
	}
}
