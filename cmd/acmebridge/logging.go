package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"acmebridge/cmd/acmebridge/config"
)

// newLogger returns the logger of this program (LG-1): text for people on a
// terminal, one JSON object a line for everybody else.
func newLogger(w io.Writer, cfg config.Log) *slog.Logger {
	o := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return tame(a) }}
	switch cfg.Level {
	case "debug":
		o.Level = slog.LevelDebug
	case "warn":
		o.Level = slog.LevelWarn
	case "error":
		o.Level = slog.LevelError
	}
	if cfg.Format == "text" || cfg.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// maxField bounds one value in a log line (SL-27).
const maxField = 1024

// tame makes a value harmless: part of it may come from a client or a CA, and
// must neither look like a line of ours nor drive a terminal.
func tame(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(clean(a.Value.String(), maxField))
	case slog.KindAny:
		v := a.Value.Any()
		if _, level := v.(slog.Level); level || v == nil {
			return a
		}
		switch reflect.TypeOf(v).Kind() {
		case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Bool:
			if _, named := v.(fmt.Stringer); !named {
				return a
			}
		}
		if _, source := v.(*slog.Source); source {
			return a
		}
		a.Value = slog.StringValue(clean(fmt.Sprint(v), maxField))
	}
	return a
}

// clean cuts s to limit bytes and spells out whatever a reader would not see,
// or see in another place: control characters, directions, broken UTF-8.
func clean(s string, limit int) string {
	if len(s) <= limit && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= limit {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden reports what is not simply printed: C0, C1, bidi controls and other
// format characters, and the line separators of Unicode.
func hidden(r rune) bool {
	return r == utf8.RuneError || unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029'
}

// httpErrors turns the lines of net/http's servers into log lines. They quote
// clients, so the text goes into a value.
type httpErrors struct {
	log      *slog.Logger
	listener string
}

func (h httpErrors) Write(b []byte) (int, error) {
	text := strings.TrimSpace(string(b))
	level := slog.LevelWarn
	if strings.Contains(text, "TLS handshake error") {
		// Every port scan and every client without our root makes one.
		level = slog.LevelDebug
	}
	h.log.Log(nil, level, "connection failed", "event", "http.error", "listener", h.listener, "cause", text) //nolint:staticcheck // there is no context for a connection that never was a request
	return len(b), nil
}
