package caclient_test

import (
	"testing"
	"time"

	"acmebridge/internal/caclient"
	"acmebridge/internal/secret"
)

// TestRefusals: for a day of tries, each minute one, credentials that are refused go
// out a few times only, and others that replace them at once (SC-13).
func TestRefusals(t *testing.T) {
	t.Parallel()
	var r caclient.Refusals
	begin := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	key, wrong, right := secret.New([]byte("key")), secret.New([]byte("wrong")), secret.New([]byte("right"))
	var sent []time.Duration
	for now := begin; now.Before(begin.Add(24 * time.Hour)); now = now.Add(time.Minute) {
		if r.Hold(now, key, wrong) {
			continue
		}
		sent = append(sent, now.Sub(begin))
		r.Refused(now, key, wrong)
		r.Refused(now.Add(time.Second), key, wrong) // of a call at the same time
	}
	if len(sent) < 4 || sent[1] != time.Minute || sent[2] != 3*time.Minute || len(sent) > 30 {
		t.Errorf("sent %d times: %v", len(sent), sent)
	}
	now := begin.Add(24 * time.Hour)
	if r.Hold(now, key, right) || r.Hold(now, right) {
		t.Error("others are held back")
	}
	r.LetIn()
	if r.Hold(now, key, wrong) {
		t.Error("held back after the CA has let somebody in")
	}
}
