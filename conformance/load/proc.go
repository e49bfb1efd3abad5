package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of the CPU times in /proc: Linux has fixed it at 100 for
// user space on all architectures that Go supports, whatever the kernel's own tick.
const ticksPerSecond = 100

// usage is what a process has used at one moment. Bytes written are those that
// reached the storage layer, which is where a database's durability is paid.
type usage struct {
	UserCPU    time.Duration
	SystemCPU  time.Duration
	RSS        int64 // bytes
	AnonRSS    int64 // bytes of it that no file backs: heap and stacks, without the mapped database
	WriteBytes int64 // -1 when the kernel does not let us see it
}

func (u usage) cpu() time.Duration { return u.UserCPU + u.SystemCPU }

func readUsage(procDir string) (usage, error) {
	var u usage
	stat, err := os.ReadFile(filepath.Join(procDir, "stat"))
	if err != nil {
		return u, fmt.Errorf("read the server's CPU time (is -pid a running process?): %w", err)
	}
	if u.UserCPU, u.SystemCPU, err = parseStat(string(stat)); err != nil {
		return u, err
	}
	status, err := os.Open(filepath.Join(procDir, "status"))
	if err != nil {
		return u, fmt.Errorf("read the server's memory: %w", err)
	}
	defer func() { _ = status.Close() }() // only read
	fields := parseFields(status)
	u.RSS, u.AnonRSS = kilobytes(fields["VmRSS"]), kilobytes(fields["RssAnon"])

	// Another user's io file is unreadable; the rest of the report is still worth having.
	u.WriteBytes = -1
	if counters, err := os.Open(filepath.Join(procDir, "io")); err == nil {
		defer func() { _ = counters.Close() }() // only read
		if n, err := strconv.ParseInt(parseFields(counters)["write_bytes"], 10, 64); err == nil {
			u.WriteBytes = n
		}
	}
	return u, nil
}

// parseStat finds user and system time. The command name comes before them in
// parentheses and may itself hold spaces and parentheses, so counting starts at the last one.
func parseStat(stat string) (user, system time.Duration, err error) {
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest)
	const utime, stime = 14 - 3, 15 - 3 // proc(5) numbers from 1; two fields are cut off
	if !ok || len(fields) <= stime {
		return 0, 0, fmt.Errorf("no CPU times in the stat line %q", stat)
	}
	u, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("user time in the stat line: %w", err)
	}
	s, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("system time in the stat line: %w", err)
	}
	const tick = time.Second / ticksPerSecond
	return time.Duration(u) * tick, time.Duration(s) * tick, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// parseFields reads the "name: value" lines of status and io.
func parseFields(r io.Reader) map[string]string {
	fields := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

func kilobytes(value string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// processCost is what the run cost the server.
type processCost struct {
	Start, Peak, End usage
}

// watch samples the process until the context ends; the peak is that of the samples.
func watch(ctx context.Context, procDir string, every time.Duration) (processCost, error) {
	start, err := readUsage(procDir)
	if err != nil {
		return processCost{}, err
	}
	cost := processCost{Start: start, Peak: start, End: start}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		now, err := readUsage(procDir)
		if err != nil {
			return cost, fmt.Errorf("the server went away during the run: %w", err)
		}
		cost.End = now
		cost.Peak.RSS = max(cost.Peak.RSS, now.RSS)
		cost.Peak.AnonRSS = max(cost.Peak.AnonRSS, now.AnonRSS)
		if ended {
			return cost, nil
		}
	}
}
