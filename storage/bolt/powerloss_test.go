//go:build linux

package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"acmebridge/storage"
)

// record has the child work and returns what it did to the file.
func record(t *testing.T, w work) []event {
	t.Helper()
	w.Dir = t.TempDir()
	trace, out := traced(t, w, "-y", "-xx", "-s", "4194304", "-e", "trace=pwrite64,write,fdatasync,fsync,ftruncate,link,linkat,rename,renameat,renameat2", "-e", "signal=none")
	if out.Failed != "" {
		t.Fatalf("the child: %s", out.Failed)
	}
	events := readTrace(t, trace)
	counts, synced := map[eventKind]int{}, false
	for _, e := range events {
		counts[e.kind]++
		synced = synced || e.kind == fileSync && counts[fileNamed] > 0
	}
	if counts[acked] != w.Clients*w.Updates || counts[fileWrite] < w.Updates || counts[fileNamed] == 0 || synced == w.NoSync || (counts[fileResize] == 0) != w.NoSync {
		t.Fatalf("the trace is not whole: %v", counts)
	}
	return events
}

// reopen looks at an image and returns what is wrong with it.
func reopen(ctx context.Context, dir string, b []byte, w work, acks []int) error {
	path := filepath.Join(dir, "test.db")
	if err := writeSparse(path, b); err != nil {
		return err
	}
	report, err := Check(ctx, path)
	if err != nil {
		return fmt.Errorf("the check: %w", err)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("the check: %d problems: %s", len(report.Problems), report.Problems[0])
	}
	s, err := Open(ctx, Config{Path: path, noSync: true}) // nobody cuts the power on the test
	if err != nil {
		return err
	}
	defer s.Close()
	return s.View(ctx, func(tx storage.Tx) error {
		for _, n := range acks {
			switch there, err := w.has(tx, n); {
			case err != nil:
				return err
			case !there:
				return fmt.Errorf("update %d was acknowledged and is gone", n)
			}
		}
		for n := range w.Clients * w.Updates { // the others are there or not, but not in part
			if _, err := w.has(tx, n+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeSparse writes a file but for its pages of zeros, which are most of it.
func writeSparse(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(int64(len(b)))
	zeros := make([]byte, 4096)
	for at := 0; at < len(b) && err == nil; at += len(zeros) {
		if page := b[at:min(at+len(zeros), len(b))]; !bytes.HasPrefix(zeros, page) {
			_, err = f.WriteAt(page, int64(at))
		}
	}
	return errors.Join(err, f.Close())
}

// cutAt looks at one image of the power going after n events.
func cutAt(t *testing.T, events []event, n int, w work, seed uint64) error {
	b := image(events[:n], rand.New(rand.NewPCG(seed, uint64(n))))
	var acks []int
	for _, e := range events[:n] {
		if e.kind == acked {
			acks = append(acks, e.ack)
		}
	}
	if b == nil {
		if len(acks) > 0 {
			return fmt.Errorf("%d updates were acknowledged and the file has no name", len(acks))
		}
		return nil // the next start makes the file
	}
	return reopen(t.Context(), t.TempDir(), b, w, acks)
}

// TestPowerLoss cuts the power at random moments of a busy store's life, its
// creation among them (SS-1, SS-6). Writes that were not synced are lost,
// kept or torn. Every image opens, is whole, and has every update that anybody
// was told of.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	w := work{Clients: 8, Updates: 12}
	events := record(t, w)
	r := rand.New(rand.NewPCG(1, 1))
	firstAck := 0
	for events[firstAck].kind != acked {
		firstAck++
	}
	cuts := []int{0, firstAck, len(events)}
	for range 20 {
		cuts = append(cuts, r.IntN(firstAck), firstAck+r.IntN(len(events)-firstAck), firstAck+r.IntN(len(events)-firstAck))
	}
	for i, n := range cuts {
		if err := cutAt(t, events, n, w, uint64(i)); err != nil {
			t.Errorf("the power went after %d of %d events (seed %d): %v", n, len(events), i, err)
		}
	}
}

// TestPowerLossWithoutSync is the control: without syncs the same cuts must
// lose updates or spoil files, or TestPowerLoss shows nothing.
func TestPowerLossWithoutSync(t *testing.T) {
	t.Parallel()
	w := work{Clients: 4, Updates: 6, NoSync: true}
	events := record(t, w)
	lost := 0
	for i := range 6 {
		if err := cutAt(t, events, len(events)-i, w, uint64(i)); err != nil {
			t.Logf("cut %d: %v", i, err)
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost although nothing was synced: the test of power loss proves nothing")
	}
}

// TestFailingDisk has the system fail a call of a commit (SS-4). The caller is
// told that the outcome is unknown, the store stops, and what was acknowledged
// before is there after a restart.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, inject string
		prefill      int
	}{
		{"sync of the pages", "fdatasync:error=EIO:when=9", 0},
		{"sync of the meta page", "fdatasync:error=EIO:when=10", 0},
		{"disk full while writing pages", "pwrite64:error=ENOSPC:when=60", 0},
		{"meta page cannot be written", "pwrite64:error=EIO:when=75+", 0},
		{"disk full while growing", "ftruncate:error=ENOSPC:when=1", 0},
		{"sync while growing", "fsync:error=EIO:when=1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			shut(t, open(t, dir))
			w := work{Dir: dir, Clients: 3, Updates: 40}
			path := filepath.Join(dir, "test.db")
			_, out := traced(t, w, "-P", path, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate", "-e", "inject="+c.inject)
			if !out.Unknown || out.Calls != 1 || !out.UpdateAfter || !out.ViewAfter || out.FnRanAfter {
				t.Errorf("the child saw %+v; want ErrUnknown, told once, and everything refused after it", out)
			}
			acks := readAcks(t, dir)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := reopen(t.Context(), t.TempDir(), b, w, acks); err != nil {
				t.Errorf("after %d acknowledged updates: %v", len(acks), err)
			}
			t.Logf("%d updates were acknowledged before: %s", len(acks), out.Failed)
		})
	}
}

func readAcks(t *testing.T, dir string) (acks []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, workerAcks))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ackText.FindAllStringSubmatch(string(b), -1) {
		var n int
		if _, err := fmt.Sscan(m[1], &n); err != nil {
			t.Fatal(err)
		}
		acks = append(acks, n)
	}
	return acks
}
