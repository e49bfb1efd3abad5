//go:build linux

package bolt

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// event is one thing that happened, in the order it happened in.
type event struct {
	kind   eventKind
	offset int64
	data   []byte
	size   int64 // of the file, after a resize
	ack    int
}

type eventKind int

const (
	fileWrite  eventKind = iota // on its way to the disk, in no order
	fileResize                  // likewise
	fileSync                    // all before it is on the disk
	fileNamed                   // the file got its name
	dirSync                     // and the name is on the disk
	acked                       // somebody was told that an update is safe
)

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	writeArgs   = regexp.MustCompile(`^\d+<([^>]*)>, "((?:\\x[0-9a-f]{2})*)", (\d+)(?:, (\d+))?`)
	resizeArgs  = regexp.MustCompile(`^\d+<([^>]*)>, (\d+)`)
	syncArgs    = regexp.MustCompile(`^\d+<([^>]*)>`)
	ackText     = regexp.MustCompile(`ack (\d+)`)
)

// readTrace turns what strace wrote into events. A call that was interrupted by
// that of another thread is written in two halves: what it does to the file
// counts from the first, what it promises from the second.
func readTrace(t *testing.T, path string) (events []event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begun := map[string]string{} // the arguments of what each thread is doing
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		var pid, call, args string
		finished := !strings.HasSuffix(line, "<unfinished ...>")
		if m := callLine.FindStringSubmatch(line); m != nil {
			pid, call, args = m[1], m[2], m[3]
			if !finished {
				begun[pid] = args
			}
			if call != "pwrite64" && call != "write" && call != "ftruncate" && !finished {
				continue
			}
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			pid, call = m[1], m[2]
			args = begun[pid] + m[3]
			if call == "pwrite64" || call == "write" || call == "ftruncate" {
				continue // counted when it began
			}
		} else {
			continue
		}
		e, ok, err := parseCall(call, args)
		if err != nil {
			t.Fatalf("%v in the trace: %.200s", err, line)
		}
		if ok {
			events = append(events, e)
		}
	}
	return events
}

func parseCall(call, args string) (e event, ok bool, err error) {
	switch call {
	case "pwrite64", "write":
		m := writeArgs.FindStringSubmatch(args)
		if m == nil {
			return e, false, fmt.Errorf("a write that cannot be read")
		}
		data, err := hex.DecodeString(strings.ReplaceAll(m[2], `\x`, ""))
		if err != nil {
			return e, false, err
		}
		switch name := unescape(m[1]); {
		case call == "write" && strings.HasSuffix(name, "/"+workerAcks):
			if a := ackText.FindSubmatch(data); a != nil {
				n, err := strconv.Atoi(string(a[1]))
				return event{kind: acked, ack: n}, true, err
			}
		case call == "pwrite64" && strings.Contains(name, "/test.db"):
			if strconv.Itoa(len(data)) != m[3] {
				return e, false, fmt.Errorf("a write that was cut off after %d bytes", len(data))
			}
			offset, err := strconv.ParseInt(m[4], 10, 64)
			return event{kind: fileWrite, offset: offset, data: data}, true, err
		}
	case "ftruncate":
		if m := resizeArgs.FindStringSubmatch(args); m != nil && strings.Contains(unescape(m[1]), "/test.db") {
			size, err := strconv.ParseInt(m[2], 10, 64)
			return event{kind: fileResize, size: size}, true, err
		}
	case "fdatasync", "fsync":
		m := syncArgs.FindStringSubmatch(args)
		switch {
		case m == nil:
			return e, false, fmt.Errorf("a sync that cannot be read")
		case strings.Contains(unescape(m[1]), "/test.db"):
			return event{kind: fileSync}, true, nil
		}
		return event{kind: dirSync}, true, nil
	case "link", "linkat", "rename", "renameat", "renameat2":
		return event{kind: fileNamed}, true, nil
	}
	return e, false, nil
}

// unescape reads a path as strace -xx writes it.
func unescape(s string) string {
	if b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, "")); err == nil && strings.HasPrefix(s, `\x`) {
		return string(b)
	}
	return s
}

const sector = 512

// image returns what may be on the disk when the power goes after the first
// events: all that was synced, and of what came after it any part of it, torn
// between sectors. It is nil when the file has no name yet.
func image(events []event, r *rand.Rand) (b []byte) {
	synced := 0
	hasName, nameSynced := false, false
	for i, e := range events {
		switch e.kind {
		case fileSync:
			synced = i
		case fileNamed:
			hasName = true
		case dirSync:
			nameSynced = hasName
		}
	}
	for i, e := range events {
		switch e.kind {
		case fileResize:
			if i < synced || r.IntN(2) == 0 {
				b = resize(b, e.size)
			}
		case fileWrite:
			if i < synced {
				b = store(b, e.offset, e.data)
				continue
			}
			fate := r.IntN(3) // lost, whole, torn
			for at := 0; at < len(e.data); at += sector {
				if fate == 1 || fate == 2 && r.IntN(2) == 0 {
					b = store(b, e.offset+int64(at), e.data[at:min(at+sector, len(e.data))])
				}
			}
		}
	}
	if !nameSynced && (!hasName || r.IntN(2) == 0) {
		return nil
	}
	return b
}

func store(b []byte, offset int64, data []byte) []byte {
	if end := offset + int64(len(data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[offset:], data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	return append(b, bytes.Repeat([]byte{0}, int(size)-len(b))...)
}
