package suiteflags_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/conformance/suiteflags"
)

func parse(t *testing.T, args ...string) *suiteflags.Flags {
	t.Helper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	f := suiteflags.Add(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRead: flags name files, and each key in one is handed out once.
func TestRead(t *testing.T) {
	t.Parallel()
	keys := fmt.Sprintf("kid-1 %s\n\nkid-2 not base64!\n", base64.RawURLEncoding.EncodeToString([]byte("one")))
	f := parse(t, "-directory", "https://ca.example/directory", "-ca", write(t, "PEM"), "-suffix", "s.example", "-http01", "127.0.0.1:1",
		"-differences", write(t, `{"uacme/bind":"known"}`), "-eab-directory", "https://ca.example/eab", "-eab-keys", write(t, keys))
	if f.Directory != "https://ca.example/directory" || f.Suffix != "s.example" || f.HTTP01 != "127.0.0.1:1" || f.ExternalDirectory != "https://ca.example/eab" {
		t.Errorf("flags %+v", f)
	}
	v, err := f.Read()
	if err != nil || string(v.RootCAs) != "PEM" || v.Differences["uacme/bind"] != "known" {
		t.Fatalf("%+v, %v", v, err)
	}
	if kid, secret, err := v.NewKey(); kid != "kid-1" || string(secret) != "one" || err != nil {
		t.Errorf("first key: %q %q %v", kid, secret, err)
	}
	for _, want := range []string{"kid-2", "no unused"} {
		if _, _, err := v.NewKey(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	if v, err := parse(t).Read(); err != nil || v.NewKey != nil || v.RootCAs != nil || v.Differences != nil {
		t.Errorf("without flags: %+v, %v", v, err)
	}
}

// TestReadRefused: an error names the file.
func TestReadRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{{"-ca", "absent.pem"}, {"-differences", "absent.json"}, {"-eab-directory", "https://x/", "-eab-keys", "absent"}} {
		if _, err := parse(t, bad...).Read(); err == nil || !strings.Contains(err.Error(), "absent") {
			t.Errorf("%q: %v, want an error that names the file", bad, err)
		}
	}
	if _, err := parse(t, "-differences", write(t, "[]")).Read(); err == nil || !strings.Contains(err.Error(), "-differences") {
		t.Errorf("a list: %v", err)
	}
}
