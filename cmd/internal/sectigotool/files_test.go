package sectigotool

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"acmebridge/backends/sectigo"
)

// TestUnpackTwins: of members with one name none is lost, also where capitals
// do not count.
func TestUnpackTwins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	members := []sectigo.Member{{Name: "a.pem", Content: []byte("1")}, {Name: "A.pem", Content: []byte("2")}, {Name: "a.pem", Content: []byte("3")}, {Name: "a-1.pem", Content: []byte("4")}}
	files, err := unpack(dir, members, false)
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
	if _, err := unpack(dir, members[:1], false); err == nil {
		t.Error("a file was overwritten without force")
	}
	if _, err := unpack(dir, members[:1], true); err != nil {
		t.Errorf("by force: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".sectigo-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%q is left behind, %v", left, err)
	}
}
