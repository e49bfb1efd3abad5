package sectigotool

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"acmebridge/backends/sectigo"
	"acmebridge/internal/secret"
)

// TestUnpackTwins: of members with one name none is lost, also where capitals
// do not count.
func TestUnpackTwins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	members := []sectigo.Member{{Name: "a.pem", Content: []byte("1")}, {Name: "A.pem", Content: []byte("2")}, {Name: "a.pem", Content: []byte("3")}, {Name: "a-1.pem", Content: []byte("4")}}
	files, err := unpack(dir, members, false, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.pem", "A-1.pem", "a-2.pem", "a-1-1.pem"}
	for i := range want {
		want[i] = filepath.Join(dir, want[i])
	}
	if !slices.Equal(files, want) {
		t.Fatalf("wrote %q, want %q", files, want)
	}
	for i, name := range files {
		content, err := os.ReadFile(name)
		if err != nil || string(content) != string(members[i].Content) {
			t.Errorf("%s has %q, %v", name, content, err)
		}
	}
	if _, err := unpack(dir, members[:1], false, map[string]bool{}); err == nil {
		t.Error("a file was overwritten without force")
	}
	if _, err := unpack(dir, members[:1], true, map[string]bool{}); err != nil {
		t.Errorf("by force: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".sectigo-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%q is left behind, %v", left, err)
	}
}

// TestDownloadKeepsAll: a member with the name of its archive and an opened key
// store with the name of a member take nobody's place, also not by force: what
// was just written may be the only copy.
func TestDownloadKeepsAll(t *testing.T) {
	t.Parallel()
	key, leaf := selfSigned(t, "leaf.example")
	store, err := pkcs12.Modern2023.Encode(key, leaf, nil, "right")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, m := range []sectigo.Member{{Name: "24.ZIP", Content: []byte("member")}, {Name: "leaf.pem", Content: []byte("leaf alone")}, {Name: "leaf.p12", Content: store}} {
		w, err := z.Create(m.Name)
		if err == nil {
			_, err = w.Write(m.Content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		dir := t.TempDir()
		tool := &tool{Env: Env{Stdout: io.Discard, Stderr: io.Discard}}
		err := tool.keep(fetching{id: 24, dir: dir, extract: true, decrypt: true, force: force},
			sectigo.Download{Name: "24.zip", Content: archive.Bytes()}, secret.New([]byte("right")))
		if err != nil {
			t.Errorf("force %t: %v", force, err)
		}
		for name, want := range map[string]string{"24.zip": archive.String(), "24-1.ZIP": "member", "leaf.pem": "leaf alone", "leaf.p12": string(store), "leaf-1.pem": "PRIVATE KEY"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !strings.Contains(string(content), want) {
				t.Errorf("force %t: %s has %.20q, %v", force, name, content, err)
			}
		}
	}
}

// TestWholeOrNothing: whoever sees a file under its name sees all of it, also one
// that looks while it is being written.
func TestWholeOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := bytes.Repeat([]byte("a certificate "), 1<<19)
	for n := range 5 {
		path := filepath.Join(dir, strconv.Itoa(n))
		done := make(chan error, 1)
		go func() { done <- writeFile(path, content, false) }()
		for seen, written := false, false; !written; {
			select {
			case err := <-done:
				if written = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
			info, err := os.Stat(path)
			if err == nil && info.Size() != int64(len(content)) && !seen {
				t.Errorf("%d of %d octets are to be seen", info.Size(), len(content))
				seen = true
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 5 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
