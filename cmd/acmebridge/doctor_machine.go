package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"acmebridge/storage"
)

// dataFolder is made by the server; what has to be there is what it is made in.
func (d *doctor) dataFolder() {
	const check = "data folder"
	dir := absolute(d.cfg.DataDir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		above := existing(dir)
		if err := writable(above); err != nil {
			d.report(checkFail, check, "%s is not there and cannot be made: %v; make it, or run this as the user of the server", dir, err)
			return
		}
		d.report(checkOK, check, "%s is made at the first start", dir)
		return
	case err != nil:
		d.report(checkFail, check, "%v", err)
		return
	case !info.IsDir():
		d.report(checkFail, check, "%s is no folder", dir)
		return
	}
	if err := writable(dir); err != nil {
		d.report(checkFail, check, "%v; give it to the user of the server", err)
		return
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		d.report(checkWarn, check, "%s can be entered by others (mode %04o): chmod 700", dir, info.Mode().Perm())
		return
	}
	d.report(checkOK, check, "%s can be written", dir)
}

// existing is the folder itself or the nearest one above it that there is.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// writable tries, because modes do not tell of mounts and of users.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (d *doctor) disk() {
	const check = "disk space"
	const short, low = 100 << 20, 1 << 30
	dir := existing(absolute(d.cfg.DataDir))
	free, err := freeSpace(dir)
	switch {
	case err != nil:
		d.report(checkWarn, check, "cannot be told: %v", err)
	case free < short:
		d.report(checkFail, check, "%d MiB are free in %s: when none is, the server stops; make room", free>>20, dir)
	case free < low:
		d.report(checkWarn, check, "%d MiB are free in %s", free>>20, dir)
	default:
		d.report(checkOK, check, "%d GiB are free", free>>30)
	}
}

// built is a time that the clock cannot be before.
var built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (d *doctor) clock() {
	const check = "clock"
	now := d.now()
	switch synchronized, known := clockSynchronized(); {
	case now.Before(built):
		d.report(checkFail, check, "it says %s; set it", now.UTC().Format(time.RFC3339))
	case known && !synchronized:
		d.report(checkWarn, check, "the kernel does not take it for synchronized; see to NTP: certificates and proofs have exact ends")
	default:
		d.report(checkOK, check, "%s", now.UTC().Format(time.RFC3339))
	}
}

// database opens what is there, as the server would.
func (d *doctor) database(ctx context.Context) {
	const check = "database"
	path := d.cfg.BoltPath()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		d.report(checkOK, check, "%s is made at the first start", path)
		return
	}
	s, err := openStore(ctx, d.cfg, func(error) {})
	if err != nil {
		d.report(checkFail, check, "%v", explainStart(err, d.cfg.DataDir))
		return
	}
	defer func() { _ = s.Close() }() // nothing was written
	complaint, err := checkClock(ctx, s, d.now())
	switch {
	case err != nil:
		d.report(checkFail, check, "%v", err)
		return
	case complaint != "":
		d.report(checkFail, "clock", "%s", complaint)
	}
	parked := 0
	err = s.View(ctx, func(tx storage.Tx) (err error) {
		_, parked, err = tx.Jobs().Count()
		return err
	})
	if err != nil {
		d.report(checkFail, check, "%v", err)
		return
	}
	if parked > 0 {
		d.report(checkWarn, "orders", "%s for a person: 'acmebridge order list --parked' shows why", waits(parked))
	}
	d.report(checkOK, check, "%s can be read; 'acmebridge db check' reads all of it", path)
}
