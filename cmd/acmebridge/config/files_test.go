package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

// TestLoadAndLook wants each file that is named and not usable to be reported
// at its line, and nothing to be made by looking.
func TestLoadAndLook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	passphrase, empty := put("passphrase", "xyzzy\n"), put("empty", "")
	for _, tt := range []struct {
		name, yaml string
		want       []string
	}{
		{"nothing named", "data_dir: d\n", nil},
		{"passphrase", "backends:\n  local: {type: localca, passphrase_file: " + passphrase + "}\n", nil},
		{"no passphrase", "backends:\n  local:\n    type: localca\n    passphrase_file: " + dir + "/hunter2\n", []string{":4:22: backends.local.passphrase_file: the file does not exist"}},
		{"empty passphrase", "backends:\n  local:\n    type: localca\n    passphrase_file: " + empty + "\n", []string{":4:22: backends.local.passphrase_file: the file cannot be used: the file is empty"}},
		{"a folder", "backends:\n  local:\n    type: localca\n    passphrase_file: " + dir + "\n", []string{"the file cannot be used: it is not a regular file"}},
		{"alternate chains", "backends:\n  local: {type: localca, alternate_chains: [" + passphrase + ", " + dir + "/hunter2]}\n", []string{"backends.local.alternate_chains[1]: the file does not exist"}},
		{"no certificate", "tls:\n  cert: " + dir + "/hunter2\n  key: " + dir + "/hunter2\n", []string{":2:9: tls.cert: the file does not exist", ":3:8: tls.key: the file does not exist"}},
		{"no PEM", "tls:\n  cert: " + passphrase + "\n  key: " + passphrase + "\n", []string{"tls: cert and key cannot be used together: "}},
		{"sealing key to come", "eab_key_file: " + dir + "/hunter2\n", nil},
		{"sealing key without folder", "eab_key_file: " + dir + "/hunter2/eab.key\n", []string{":1:15: eab_key_file: its folder does not exist"}},
		{"no sealing key", "eab_key_file: " + passphrase + "\n", []string{":1:15: eab_key_file: the file cannot be used: it is not 32 bytes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := written(t, tt.yaml)
			if _, err := config.Load(path, nil); err != nil {
				t.Errorf("Load looks at files: %v", err)
			}
			_, err := config.LoadAndLook(path, nil)
			all, _ := config.AsErrors(err)
			if len(all) != len(tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(all[i].Error(), want) {
					t.Errorf("got %v, want %q in it", all[i], want)
				}
				if strings.Contains(all[i].Error(), "hunter2") {
					t.Errorf("a value is repeated: %v", all[i]) // SK-10
				}
			}
		})
	}
	if _, err := os.Lstat(filepath.Join(dir, "hunter2")); err == nil {
		t.Error("looking made a file")
	}
}

func TestOpenDirectories(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		want       int
	}{
		{"standard", "data_dir: d\n", 1},
		{"members only", "directories: {default: {external_account: required, profiles: [tls]}}\n", 0},
		{"off", "directories: {default: {external_account: off, profiles: [tls]}}\n", 1},
		{"names of ours", "profiles: {tls: {backend: local, identifiers: {suffixes: [example.org]}}}\n", 0},
		{"one of two", "directories: {a: {profiles: [tls]}, b: {external_account: required, profiles: [tls]}}\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := parse(t, tt.yaml).OpenDirectories(); len(got) != tt.want {
				t.Errorf("%q, want %d of them", got, tt.want)
			}
		})
	}
}

// written is a configuration in a file.
func written(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantMissing wants check to say of each of those keys of the backend "ca" that its
// file is not there.
func wantMissing(t *testing.T, path string, keys ...string) error {
	t.Helper()
	_, err := config.LoadAndLook(path, nil)
	for _, key := range keys {
		if err == nil || !strings.Contains(err.Error(), "backends.ca."+key+": the file does not exist") {
			t.Errorf("%s: %v", key, err)
		}
	}
	return err
}

// wantWhole wants check to be content when those files are in the folder.
func wantWhole(t *testing.T, path, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := config.LoadAndLook(path, nil); err != nil {
		t.Errorf("with the files: %v", err)
	}
}
