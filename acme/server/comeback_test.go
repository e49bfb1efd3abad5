package server_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"acmebridge/acme/server"
)

// TestComeBack: whole seconds, rounded up (R8555-6.6-2), never less than two for what
// is on its way (C-XR-10), and nothing for what is done.
func TestComeBack(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "", -time.Second: "", time.Millisecond: "2", time.Second: "2", 2 * time.Second: "2",
		2*time.Second + 1: "3", 10 * time.Minute: "600",
	} {
		w := httptest.NewRecorder()
		server.ComeBack(w, d)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After is %q, want %q", d, got, want)
		}
	}
}
