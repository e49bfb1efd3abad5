package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStatLineOfACommandWithParentheses(t *testing.T) {
	t.Parallel()
	tail := " S 1 2 3 4 5 6 7 8 9 10 1234 66 0 0 20 0 9 0 100"
	for _, name := range []string{"(acmebridge)", "(a) b (c)", "())"} {
		user, system, err := parseStat("42 " + name + tail)
		if err != nil || user != 12340*time.Millisecond || system != 660*time.Millisecond {
			t.Errorf("%s: user %s, system %s, %v", name, user, system, err)
		}
	}
	for _, bad := range []string{"", "42 (x) S 1 2", "42 (x) S 1 2 3 4 5 6 7 8 9 10 u 66 0"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// writeProc lays out the three files that are read of a process.
func writeProc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	statText   = "42 (server) S 1 2 3 4 5 6 7 8 9 10 200 100 0 0 20 0 9 0 100"
	statusText = "Name:\tserver\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\n"
	ioText     = "rchar: 1\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n"
)

func TestUsageOfAProcess(t *testing.T) {
	t.Parallel()
	got, err := readUsage(writeProc(t, map[string]string{"stat": statText, "status": statusText, "io": ioText}))
	want := usage{UserCPU: 2 * time.Second, SystemCPU: time.Second, RSS: 2 << 20, AnonRSS: 1 << 20, WriteBytes: 8192}
	if err != nil || got != want {
		t.Errorf("usage %+v, %v, want %+v", got, err, want)
	}
	got, err = readUsage(writeProc(t, map[string]string{"stat": statText, "status": statusText}))
	if err != nil || got.WriteBytes != -1 || got.RSS != 2<<20 {
		t.Errorf("without io: %+v, %v", got, err)
	}
	if _, err := readUsage(t.TempDir()); err == nil || !strings.Contains(err.Error(), "-pid") {
		t.Errorf("a process that is not there: %v", err)
	}
}

// The real files of this very process are in the form that the parser expects.
func TestWatchThisProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cost, err := watch(ctx, filepath.Join("/proc", strconv.Itoa(os.Getpid())), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if cost.End.RSS == 0 || cost.End.AnonRSS == 0 || cost.Peak.RSS < cost.Start.RSS || cost.End.cpu() < cost.Start.cpu() {
		t.Errorf("cost %+v", cost)
	}
}

func TestCostIsDividedAmongFinishedOrders(t *testing.T) {
	t.Parallel()
	c := processCost{
		Start: usage{UserCPU: time.Second, WriteBytes: 1000},
		End:   usage{UserCPU: 2 * time.Second, SystemCPU: time.Second, WriteBytes: 41000},
	}
	s := costOf(c, 10, 4*time.Second)
	if s.CPUPerOrder != 200 || s.UserPerOrder != 100 || s.SystemPerOrder != 100 || s.Cores != 0.5 || s.WritesPerOrder != 4000 {
		t.Errorf("cost %+v", s)
	}
	c.End.WriteBytes = -1
	if s := costOf(c, 0, time.Second); s.WritesPerOrder != -1 || s.CPUPerOrder != 0 {
		t.Errorf("cost of no orders %+v", s)
	}
}
