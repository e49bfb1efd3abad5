package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

// TestHostileFilesAreCheap: files made to use up memory or time are refused
// before anything is expanded. The bound is far above what a slow machine
// needs and far below what an expansion would take.
func TestHostileFilesAreCheap(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for name, text := range map[string]string{
		"billion laughs":   laughs.String(),
		"laughs in place":  "validation: {allow: " + strings.ReplaceAll(strings.ReplaceAll(laughs.String(), "\n", ""), ": ", " ") + "}",
		"open brackets":    strings.Repeat("[", 1<<17),
		"open braces":      strings.Repeat("{", 1<<17),
		"block nesting":    nested(3000),
		"many keys":        strings.Repeat("a: 1\n", 1<<15),
		"many new keys":    numbered(1 << 14),
		"one long key":     strings.Repeat("k", 1<<17) + ": 1\n",
		"one long scalar":  "listen: " + strings.Repeat("k", 1<<17),
		"too large":        strings.Repeat("# a\n", 1<<17),
		"merge of a merge": "a: &a {<<: *a}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := config.Parse("f", []byte(text), nil)
			if err == nil {
				t.Error("accepted")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if err != nil && len(err.Error()) > 1<<14 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", min(i, 200)) + "a:\n")
	}
	return b.String()
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

// TestErrors: each error can be had alone, with its place.
func TestErrors(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("f", []byte("log:\n  level: loud\nzzzzz: 1\n"), nil)
	var first config.Error
	if !errors.As(err, &first) {
		t.Fatalf("no Error in %v", err)
	}
	want := config.Error{File: "f", Line: 2, Column: 10, Key: "log.level", Message: "must be debug, info, warn or error"}
	if first != want {
		t.Errorf("first error %+v, want %+v", first, want)
	}
	if all, ok := config.AsErrors(fmt.Errorf("start: %w", err)); !ok || len(all) != 2 {
		t.Errorf("AsErrors: %v, %v; want two", all, ok)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, test := range []struct {
		text string
		want time.Duration
		form string // how it is written back, when differently
	}{
		{"90d", 90 * day, ""},
		{"12h30m", 12*time.Hour + 30*time.Minute, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"36h", 36 * time.Hour, "1d12h"},
		{"1d1h0m1s", day + time.Hour + time.Second, ""},
		{"0", 0, "0s"},
		{"0d", 0, "0s"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"250ms", 250 * time.Millisecond, ""},
		{"60s", time.Minute, "1m"},
		{"10m", 10 * time.Minute, ""},
		{"1h0m5s", time.Hour + 5*time.Second, ""},
		{"106751d", 106751 * day, ""},
	} {
		got, err := config.ParseDuration(test.text)
		if err != nil || got != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", test.text, got, err, test.want)
		}
		want := test.form
		if want == "" {
			want = test.text
		}
		if form := config.FormatDuration(got); form != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", got, form, want)
		}
	}
	for _, text := range []string{"", "d", "90", "1d1", "-1d", "1d-1h", "+1h", "1.5d", "1h1d", "106752d", "9999999d", "106751d24h", "1d1d", "1 d", "١d", "1w"} {
		if d, err := config.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90d", "12h30m", "1d1h0m1s", "0", "1.5h", "9999999d", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := config.ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := config.ParseDuration(config.FormatDuration(d)); d < 0 || err != nil || again != d {
			t.Errorf("%q is %v, written %q, read as %v, %v", text, d, config.FormatDuration(d), again, err)
		}
	})
}

// FuzzLoad: nothing makes the reader panic, every refusal has a reason, and
// what is accepted prints as a file that reads as the same configuration.
func FuzzLoad(f *testing.F) {
	f.Add(example)
	f.Add("")
	for _, b := range bad {
		f.Add(b.text)
	}
	f.Add("directories: {a: {profiles: [p], host: h.example}}\nprofiles: {p: {backend: b, hold: 0, identifiers: {types: [ip]}}}\nbackends: {b: {type: localca, dir: \"\\u00e9: #\"}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("f", []byte(text), nil)
		if err != nil {
			if all, ok := config.AsErrors(err); !ok || len(all) == 0 || strings.Count(err.Error(), "\n") >= len(all) {
				t.Errorf("refused with %q", err)
			}
			return
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse("printed", b.Bytes(), nil)
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, &b)
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("reads as something else:\n%+v\n%+v\n%s", c, again, &b)
		}
	})
}
