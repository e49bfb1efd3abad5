//go:build linux

package bolt

import (
	"os"
	"path/filepath"
	"testing"

	"acmebridge/conformance/storagetest"
	"acmebridge/storage"
)

func TestMain(m *testing.M) {
	ProbeMain()
	if os.Getenv(workerEnv) != "" {
		workerMain()
	}
	// A child of a test with the race detector would sleep for a second before
	// it ends, and there are many of them.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// open opens the store in a directory with settings of the test's.
func open(t testing.TB, dir string, settings ...func(*Config)) *Store {
	t.Helper()
	cfg := Config{Path: filepath.Join(dir, "test.db")}
	for _, set := range settings {
		set(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// unsynced is for tests that nobody cuts the power of: thousands of syncs take
// minutes on a disk that others are using. TestPowerLoss is about the syncs.
func unsynced(c *Config) { c.noSync = true }

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir(), unsynced) })
}

// TestStoreThatFoldsAllTheTime runs the suite with the indexes now in memory,
// now in the bucket, and mostly half in each.
func TestStoreThatFoldsAllTheTime(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return open(t, t.TempDir(), unsynced, func(c *Config) { c.foldAt = 7 })
	})
}

func TestDurable(t *testing.T) {
	t.Parallel()
	for _, foldAt := range []int{1, 20, foldAt} {
		storagetest.RunDurable(t, func(t *testing.T, dir string) storage.Store {
			return open(t, dir, func(c *Config) { c.foldAt = foldAt })
		})
	}
}
