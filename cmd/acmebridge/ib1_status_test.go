package main

import (
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
	"acmebridge/storage"
)

// TestListAction: a list that nothing has followed for days is something to do,
// before everybody refuses the certificates of its issuer.
func TestListAction(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for left, due := range map[time.Duration]bool{7 * 24 * time.Hour: false, 3 * 24 * time.Hour: false, 47 * time.Hour: true, -time.Hour: true} {
		got := listAction(ib1.Client, storage.Publication{Name: "crl/ib1-client-aa.crl", Next: now.Add(left)}, now)
		if due != (len(got) == 1) {
			t.Errorf("%s before the end: %+v", left, got)
			continue
		}
		if due && (!got[0].Urgent || !got[0].Due.Equal(now.Add(left)) || !strings.Contains(got[0].Text, "crl/ib1-client-aa.crl")) {
			t.Errorf("%s before the end: %+v", left, got[0])
		}
	}
}
