package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
)

// containsAny looks for a base64url value in the forms in which it could leak.
func containsAny(content []byte, value string) bool {
	forms := []string{value}
	if raw, err := base64.RawURLEncoding.DecodeString(value); err == nil {
		forms = append(forms, string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
	}
	for _, f := range forms {
		if bytes.Contains(content, []byte(f)) {
			return true
		}
	}
	return false
}

var payloads = []string{
	"", "plain", "two\nlines", "\r\n{\"level\":\"ERROR\"}", "\x1b[2J\x1b]0;title\x07", "nul\x00", "\u202egnp.exe", "\u2028\u2029",
	"\u0085\u009b31m", "\xff\xfe broken", "\ufffd itself", strings.Repeat("long ", 1000), strings.Repeat("é", 600), "\"quoted\" \\", "‮\u200b",
}

// LG-1, SL-27: whatever a client sends, a log line is one line, parses and shows
// everything.
func TestLogLines(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		for _, payload := range payloads {
			var out bytes.Buffer
			log := newLogger(&out, config.Log{Format: format, Level: "info"})
			log.Info("event", "event", "test", "value", payload, "cause", errors.New(payload), "id", acme.OrderID(payload), "list", []string{payload},
				slog.Group("nested", "value", payload), "count", 7)
			line := strings.TrimSuffix(out.String(), "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' }) || !utf8.ValidString(line) {
				t.Errorf("%s: %q gives a line with something hidden: %q", format, payload, line)
			}
			if len(line) > 8<<10 {
				t.Errorf("%s: a line of %d bytes", format, len(line))
			}
			if format != "json" {
				continue
			}
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Errorf("%q: %v", payload, err)
			}
			if fields["msg"] != "event" || fields["level"] != "INFO" || fields["count"] != 7.0 {
				t.Errorf("%q: %v", payload, fields)
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, 100)
		if strings.ContainsFunc(strings.ReplaceAll(got, "�", ""), hidden) || !utf8.ValidString(got) || len(got) > 100+16 {
			t.Errorf("%q became %q", s, got)
		}
		if clean(got, 200) != got && !strings.Contains(got, "�") {
			t.Errorf("%q is not settled", got)
		}
	})
}

func TestHTTPErrors(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := httpErrors{newLogger(&out, config.Log{Format: "json", Level: "info"}), "acme"}
	_, _ = w.Write([]byte("http: TLS handshake error from 192.0.2.1:1: EOF\n"))
	if out.Len() != 0 {
		t.Errorf("a port scan is logged at info: %s", &out)
	}
	_, _ = w.Write([]byte("http: panic serving \x1b[2J\n"))
	if !strings.Contains(out.String(), `"cause":"http: panic serving \\u001b[2J"`) || !strings.Contains(out.String(), `"level":"WARN"`) {
		t.Errorf("%s", &out)
	}
}
