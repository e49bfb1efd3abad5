package sectigotool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"acmebridge/backends/sectigo"
	"acmebridge/internal/secret"
)

func TestNewPassword(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		p := string(newPassword().Reveal())
		if len(p) != 24 || strings.ContainsAny(p, "IOl01 \"'$\\") {
			t.Fatalf("%q is no password to copy by hand", p)
		}
		if seen[p] {
			t.Fatalf("%q came twice", p)
		}
		seen[p] = true
	}
}

// TestUniqueName: the service has refused long names and odd characters.
func TestUniqueName(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"certs-for-example.com", "certs-for-" + strings.Repeat("a.", 60)} {
		a, b := uniqueName(kind), uniqueName(kind)
		if a == b {
			t.Errorf("%s came twice", a)
		}
		if err := sectigo.CheckBatchName(a); err != nil {
			t.Error(err)
		}
	}
}

// TestYAML: values that look like something else in YAML stay what they are,
// and the order of fields does.
func TestYAML(t *testing.T) {
	t.Parallel()
	type shape struct {
		Zulu  string   `json:"zulu" yaml:"zulu"`
		Alpha int64    `json:"alpha" yaml:"alpha"`
		Words []string `json:"words" yaml:"words"`
		None  []string `json:"none" yaml:"none"`
	}
	want := shape{"yes", 241001, []string{"true", "12", "null", "~", "a: b", "two\nlines", "CipherTrace EE_#17", " x", "", "2026-01-01", "- y"}, []string{}}
	var out bytes.Buffer
	tl := &tool{Env: Env{Stdout: &out}, output: asYAML}
	if err := tl.print(want, nil); err != nil {
		t.Fatal(err)
	}
	var got shape
	if err := yaml.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	if got.Zulu != want.Zulu || got.Alpha != want.Alpha || !slices.Equal(got.Words, want.Words) || len(got.None) != 0 {
		t.Errorf("got %+v\nfrom\n%s", got, out.String())
	}
	if strings.Index(out.String(), "zulu") > strings.Index(out.String(), "alpha") || !strings.Contains(out.String(), "alpha: 241001\n") {
		t.Errorf("another order or number:\n%s", out.String())
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "-", "plain": "plain", "a\x1b[31mred": "a [31mred", "two\nlines": "two lines", "turn\u202earound": "turn around", "bad\xff": "bad?", "\t": "-",
	} {
		if got := show(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := show(strings.Repeat("x", 300)); len(got) > 210 {
		t.Errorf("%d octets on a terminal", len(got))
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	all := variables([]byte("# comment=1\n\n A = one \nexport B=\"two words\"\nC='x=y'\nbroken\nA=last\nD=\"half\n"))
	for name, want := range map[string]string{"A": "last", "B": "two words", "C": "x=y", "D": "\"half", "broken": "", "comment": ""} {
		if got := lookup(all, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestExposedVariables: a file of variables that others can read may say where
// the service is, and no password (SK-2).
func TestExposedVariables(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "vars.env")
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o644: secret.ErrExposed} {
		if err := errors.Join(os.WriteFile(file, []byte("SECTIGO_USERNAME=alice\nSECTIGO_PASSWORD=hunter2\n"), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		tool := &tool{account: account{envFile: file}}
		if name, err := tool.setting("", "SECTIGO_USERNAME"); err != nil || name != "alice" {
			t.Errorf("mode %04o: the username is %q, %v", mode, name, err)
		}
		got, err := tool.password("", "SECTIGO_PASSWORD")
		if !errors.Is(err, want) || (want == nil) == got.Empty() {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

// FuzzVariables: whatever a file holds, names have no blanks around them and
// what was found can be looked up.
func FuzzVariables(f *testing.F) {
	f.Add([]byte("A=1\nexport B='2'\n"))
	f.Add([]byte("=\n==\n\"=\"\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, entry := range variables(content) {
			name, value, ok := strings.Cut(entry, "=")
			if !ok || name != strings.TrimSpace(name) || strings.ContainsAny(entry, "\n") {
				t.Errorf("%q of %q", entry, content)
			}
			if lookup([]string{entry}, name) != value {
				t.Errorf("%q is not found by its name", entry)
			}
		}
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 30 * time.Second: 15 * time.Second, time.Hour: time.Minute} {
		if got := (waiting{}).pause(age); got != want {
			t.Errorf("after %s: %s, want %s", age, got, want)
		}
	}
	if got := (waiting{interval: time.Second}).pause(time.Hour); got != time.Second {
		t.Errorf("an interval of one second has become %s", got)
	}
}

// TestRedact: a secret that the service echoes is not shown, and what the
// error means is kept.
func TestRedact(t *testing.T) {
	t.Parallel()
	cause := errors.New("the password hunter2 is too short")
	err := redact(cause, secret.New([]byte("hunter2")))
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "is too short") || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if redact(nil, secret.New([]byte("x"))) != nil || !errors.Is(redact(cause, secret.Secret{}), cause) {
		t.Error("something was made of nothing")
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"one\ntwo\n": "one", "last": "last", "dos\r\n": "dos", "\n": ""} {
		got, err := readLine(strings.NewReader(in))
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", strings.Repeat("x", 5000)} {
		if got, err := readLine(strings.NewReader(in)); err == nil {
			t.Errorf("%d octets: %q", len(in), got)
		}
	}
	r := strings.NewReader("first\nsecond\n")
	if _, err := readLine(r); err != nil {
		t.Fatal(err)
	}
	if second, err := readLine(r); err != nil || second != "second" {
		t.Errorf("%q, %v is left for the next", second, err)
	}
}
