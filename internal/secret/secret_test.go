package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v4"

	"acmebridge/internal/secret"
)

const canary = "hunter2-canary"

// TestNothingPrintsIt tries every way out that a value has, alone and within
// other values (SK-1, SK-9).
func TestNothingPrintsIt(t *testing.T) {
	t.Parallel()
	type holder struct {
		Name   string
		Secret secret.Secret
		hidden secret.Secret
		Far    *secret.Secret
		Many   []secret.Secret
		Table  map[string]secret.Secret
	}
	s := secret.New([]byte(canary))
	h := holder{"x", s, s, &s, []secret.Secret{s}, map[string]secret.Secret{"k": s}}
	var out bytes.Buffer
	for _, v := range []any{s, &s, h, &h, []any{s}, fmt.Errorf("with %v", s), reflect.ValueOf(s)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U", "%e", "%t", "%20s", "%.3s", "%p", "%T", "%w"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	type Named struct{ S secret.Secret } // encoding/xml wants a name
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal, "xml": xml.Marshal, "gob": gobBytes} {
		b, err := marshal(Named{s})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(b), "[redacted]") {
			t.Errorf("%s has no placeholder: %q", name, b)
		}
		out.Write(b)
	}
	out.WriteString(s.String() + s.GoString() + s.LogValue().String())
	forms := []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"), "aHVudGVyMi1jYW5hcn"}
	for _, form := range forms {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q leaked", form)
		}
	}
	if got := fmt.Sprintf("%s|%#v|%v|%d|%x", s, s, secret.Secret{}, s, s); got != strings.Repeat("[redacted]|", 4)+"[redacted]" {
		t.Errorf("placeholders: %s", got)
	}
}

func gobBytes(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func TestSecret(t *testing.T) {
	t.Parallel()
	source := []byte(canary)
	s := secret.New(source)
	source[0] = 'X'
	s.Reveal()[1] = 'X'
	if got := string(s.Reveal()); got != canary {
		t.Errorf("a change outside reached the secret: %q", got)
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{{"a", "a", true}, {"a", "b", false}, {"a", "aa", false}, {"", "", true}, {"", "a", false}} {
		if got := secret.New([]byte(test.a)).Equal(secret.New([]byte(test.b))); got != test.want {
			t.Errorf("%q equals %q: %v", test.a, test.b, got)
		}
	}
	if !(secret.Secret{}).Empty() || !secret.New(nil).Empty() || s.Empty() {
		t.Error("Empty is wrong")
	}
}

func TestFromFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		want       string
		fault      string
	}{
		{"plain", canary, 0o600, canary, ""},
		{"line", canary + "\n", 0o600, canary, ""},
		{"windows", canary + "\r\n", 0o600, canary, ""},
		{"inner", " a\nb \n\n", 0o600, " a\nb \n", ""},
		{"readonly", canary, 0o400, canary, ""},
		{"group", canary, 0o640, "", "chmod 600"},
		{"world", canary, 0o604, "", "chmod 600"},
		{"writable", canary, 0o602, "", "chmod 600"},
		{"empty", "\n", 0o600, "", "the file is empty"},
		{"large", strings.Repeat("x", 64<<10+1), 0o600, "", "more than 65536 bytes"},
	} {
		s, err := secret.FromFile(write(test.name, test.text, test.mode))
		switch {
		case test.fault == "" && (err != nil || string(s.Reveal()) != test.want):
			t.Errorf("%s: %q, %v; want %q", test.name, s.Reveal(), err, test.want)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault) || !s.Empty()):
			t.Errorf("%s: %v; want a fault with %q", test.name, err, test.fault)
		case strings.Contains(test.fault, "chmod") && !errors.Is(err, secret.ErrExposed):
			t.Errorf("%s: %v is not ErrExposed", test.name, err)
		case err != nil && strings.Contains(err.Error(), canary):
			t.Errorf("%s: the fault shows the secret: %v", test.name, err)
		}
	}
	if _, err := secret.FromFile(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := secret.FromFile(folder); err == nil {
		t.Error("a folder was read")
	}
	// A pipe without a writer would hold the process for ever.
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.FromFile(pipe); err == nil {
		t.Error("a pipe was read")
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(filepath.Join(folder, "group"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.FromFile(link); !errors.Is(err, secret.ErrExposed) {
		t.Errorf("a link to an exposed file: %v", err)
	}
}
