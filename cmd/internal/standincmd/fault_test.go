package standincmd

import (
	"strings"
	"testing"
	"time"

	"acmebridge/internal/standin"
)

// TestParseFault: what the help says can be written is read, and nothing else.
func TestParseFault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]standin.Fault{
		"order:html":                           {Endpoint: "order", Kind: "html"},
		"*:status:status=503,probability=0.25": {Kind: "status", Status: 503, Probability: 0.25},
		"order:status-after:status=429,code=busy,message=later,retry-after=7,skip=1,count=2": {
			Endpoint: "order", Kind: "status-after", Status: 429, Code: "busy", Message: "later", RetryAfter: "7", Skip: 1, Count: 2,
		},
		"order:slow-body:delay=1m30s": {Endpoint: "order", Kind: "slow-body", Delay: standin.Duration(90 * time.Second)},
	} {
		if got, err := parseFault(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"order": "reset-after", "order:html:count": "no value", "order:html:count=x": "count", "order:html:bogus=1": "bogus", "order:slow-body:delay=1": "delay",
	} {
		if _, err := parseFault(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestWrapped: all names, in lines that terminals have room for.
func TestWrapped(t *testing.T) {
	t.Parallel()
	names := strings.Fields(strings.Repeat("a-name-of-some-length ", 30))
	got := Wrapped(names)
	if strings.Join(strings.Fields(got), " ") != strings.Join(names, " ") {
		t.Errorf("%q", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > 100 {
			t.Errorf("a line of %d", len(line))
		}
	}
}
