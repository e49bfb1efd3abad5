package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"acmebridge/backends/ib1"
	"acmebridge/internal/keyfile"
)

// Event is what a record of the log is about.
type Event string

// The events. One that ends in "signing" is the intention, written before
// anything is signed.
const (
	RootSigning     Event = "root.signing"
	RootCreated     Event = "root.created"
	RootImported    Event = "root.imported"
	IssuerRequested Event = "issuer.requested"
	IssuerSigning   Event = "issuer.signing"
	IssuerSigned    Event = "issuer.signed"
	IssuerImported  Event = "issuer.imported"
	Revoked         Event = "revoked"
	ListSigning     Event = "list.signing"
	ListSigned      Event = "list.signed"
)

// Record is one line of the log.
type Record struct {
	Seq   int       `json:"seq"`
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Event Event     `json:"event"`
	Tree  ib1.Tree  `json:"tree"`
	// Key is the hash of the key that the record is about: that of the new CA,
	// or that of the authority that revokes or signs a list.
	Key string `json:"key,omitempty"`
	// Serial is a serial number, Number that of a list; both decimal.
	Serial string `json:"serial,omitempty"`
	Number string `json:"number,omitempty"`
	// SHA256 is that of what was signed or imported.
	SHA256 string `json:"sha256,omitempty"`
	// Of a revocation: from when on, why, and when the certificate ends.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Reason    int       `json:"reason,omitempty"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	// Previous is the SHA-256 of the line before.
	Previous string `json:"previous"`
}

// ErrLog reports a log that is not as it was written.
var ErrLog = errors.New("the ceremony log was changed or damaged: compare it with a copy, and restore the folder from a backup")

const logFile = "log.jsonl"

// journal is the open log. It is held by one process at a time.
type journal struct {
	file    *os.File
	records []Record
	last    [sha256.Size]byte // of the last line
	broken  error             // a write failed, so nothing more is written
}

func openJournal(dir string) (j *journal, err error) {
	path := filepath.Join(dir, logFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	free, err := tryLock(file)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !free {
		return nil, fmt.Errorf("another process works in %s: wait until it is done", dir)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	// A line without an end was cut off by a crash. Nothing was done on the
	// strength of it, because that would have waited for the line.
	if whole := bytes.LastIndexByte(data, '\n') + 1; whole < len(data) {
		if err := errors.Join(file.Truncate(int64(whole)), file.Sync()); err != nil {
			return nil, fmt.Errorf("drop the unfinished end of %s: %w", path, err)
		}
	}
	if j, err = readJournal(path, data); err != nil {
		return nil, err
	}
	j.file = file
	return j, keyfile.Sync(dir)
}

// lookAtJournal reads the log without holding it. It can be written meanwhile,
// so a line without an end is one that is not there yet.
func lookAtJournal(dir string) (*journal, error) {
	path := filepath.Join(dir, logFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	j, err := readJournal(path, data)
	if err != nil {
		return nil, err
	}
	j.broken = errors.New("the folder was opened to be looked at, so nothing can be done in it")
	return j, nil
}

// readJournal takes the whole lines.
func readJournal(path string, data []byte) (*journal, error) {
	j := &journal{}
	for line := range bytes.Lines(data[:bytes.LastIndexByte(data, '\n')+1]) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		var r Record
		if err := json.Unmarshal(line, &r); err != nil || r.Seq != len(j.records)+1 || r.Previous != hex.EncodeToString(j.last[:]) {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(j.records)+1, ErrLog)
		}
		j.records, j.last = append(j.records, r), sha256.Sum256(line)
	}
	return j, nil
}

// append makes a record durable.
func (j *journal) append(r Record) error {
	if j.broken != nil {
		return j.broken
	}
	r.Seq, r.Previous = len(j.records)+1, hex.EncodeToString(j.last[:])
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the ceremony log: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		j.broken = fmt.Errorf("write the ceremony log: %w", err)
		return j.broken
	}
	// A failed sync is final: what a second one reports is not to be believed.
	if err := j.file.Sync(); err != nil {
		j.broken = fmt.Errorf("write the ceremony log: %w", err)
		return j.broken
	}
	j.records, j.last = append(j.records, r), sha256.Sum256(line)
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
