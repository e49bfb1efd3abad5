package digicert_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// TestPageInFront: a page for people in place of the service says nothing of an
// order, whatever its status. What was paid for is not ended by it, and what it
// answers a purchase with is no refusal (SC-3, SC-10).
func TestPageInFront(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"html-404", "html-400"} {
		w := newWorld(t, digicerttest.Config{Processing: time.Minute})
		b := w.backend(t, w.client(t))
		ticket, err := b.Submit(t.Context(), w.request())
		if err != nil {
			t.Fatal(err)
		}
		w.ca.Advance(time.Hour)
		for _, at := range []string{"info", "download", "reissues"} {
			w.breaks(t, digicerttest.Fault{Endpoint: at, Kind: kind})
			if _, err := b.Poll(t.Context(), ticket); err == nil && at == "info" {
				t.Errorf("%s at %s: no error", kind, at)
			} else if detail, over := backends.RefusalDetail(err); over {
				t.Errorf("%s at %s ended the order: %s", kind, at, detail)
			}
			w.ca.Mend()
		}
		if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain == nil {
			t.Errorf("%s: afterwards %+v, %v", kind, got, err)
		}
		w.breaks(t, digicerttest.Fault{Endpoint: "order", Kind: kind, Count: 1})
		_, err = b.Submit(t.Context(), w.request())
		if _, over := backends.RefusalDetail(err); err == nil || over {
			t.Errorf("%s: a purchase was refused by it: %v", kind, err)
		}
		// A reissue that it meets is asked for again.
		taken, err := b.Submit(t.Context(), w.again(w.request(), ticket))
		if err != nil {
			t.Fatal(err)
		}
		w.breaks(t, digicerttest.Fault{Endpoint: "reissue", Kind: kind})
		if _, err := b.Poll(t.Context(), taken); err == nil {
			t.Errorf("%s at a reissue: no error", kind)
		} else if _, over := backends.RefusalDetail(err); over {
			t.Errorf("%s at a reissue ended the order: %v", kind, err)
		}
	}
}

// TestYoungOrderShowsLate: a CA may take a moment to show an order that it has
// just sold.
func TestYoungOrderShowsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, digicerttest.Config{Processing: time.Minute})
	b := w.backend(t, w.client(t))
	ticket, err := b.Submit(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.breaks(t, digicerttest.Fault{Endpoint: "info", Kind: "status", Status: http.StatusNotFound, Code: "not_found|order"})
	if got, err := b.Poll(t.Context(), ticket); err != nil || got.Chain != nil || got.After <= 0 {
		t.Errorf("at first %+v, %v", got, err)
	}
	w.ca.Advance(time.Hour)
	if _, err := b.Poll(t.Context(), ticket); err == nil {
		t.Error("an order that is not there for an hour is waited for")
	} else if _, over := backends.RefusalDetail(err); !over {
		t.Errorf("an hour later: %v", err)
	}
}

// scripted is a service that answers every request with the same.
func scripted(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *digicert.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	client, err := digicert.New(digicert.Config{
		URL: server.URL, Key: func() (secret.Secret, error) { return secret.New([]byte(apiKey)), nil }, Dial: new(net.Dialer).DialContext,
		Short: 1 << 20, Long: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestHostileAnswers: what a CA writes into numbers and errors does not fill our
// logs, and the key does not come back in them.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\\u001b[2J", 1<<14)
	for name, body := range map[string]string{
		"a long number": `{"id":"` + long + `"}`, "a huge number": `{"id":` + strings.Repeat("9", 1<<16) + `}`,
		"a fraction": `{"id":1.5}`, "none": `{"id":0}`, "a negative one": `{"id":-7}`, "deep": strings.Repeat("[", 1<<20), "null": `null`,
	} {
		client := scripted(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := client.Place(t.Context(), digicert.X9, digicert.Purchase{})
		if err == nil || caclient.OutcomeOf(err) != caclient.Unknown || len(err.Error()) > 300 {
			t.Errorf("%s: %.400v", name, err)
		}
	}
	client := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":[{"code":"bad|`+r.Header.Get("X-DC-DEVKEY")+`","message":"you sent `+r.Header.Get("X-DC-DEVKEY")+`"}]}`)
	})
	if _, err := client.Order(t.Context(), 1); err == nil || strings.Contains(err.Error(), apiKey) {
		t.Errorf("the key comes back: %v", err)
	}
}

// TestListWithoutTotal: a full page that does not say how much there is may be a
// part, and nothing that is missing from a part is missing.
func TestListWithoutTotal(t *testing.T) {
	t.Parallel()
	type row struct {
		ID int `json:"id"`
	}
	for total, want := range map[int]int{0: 0, 3: 3, 1000: 1000, 2500: 2500} {
		client := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			var from int
			_ = json.Unmarshal([]byte(r.URL.Query().Get("offset")), &from)
			rows := []row{}
			for i := from; i < min(from+1000, total); i++ {
				rows = append(rows, row{i + 1})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"orders": rows})
		})
		if all, complete, err := client.Orders(t.Context(), nil); err != nil || !complete || len(all) != want {
			t.Errorf("%d of %d, complete %t, %v", len(all), total, complete, err)
		}
	}
}
