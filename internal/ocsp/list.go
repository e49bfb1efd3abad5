package ocsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// maxList is the largest revocation list that is read.
const maxList = 64 << 20

// List is a revocation list in a file that somebody else keeps up to date.
// Whoever is not on it is good.
type List struct {
	path   string
	issuer *x509.Certificate
	now    func() time.Time

	mu      sync.Mutex
	looked  time.Time // when the file was last looked at
	size    int64
	at      time.Time // when it was last written
	until   time.Time
	entries map[string]Status
	err     error // why what the file has cannot be used
}

// NewList reads the list of an issuer, DER or PEM. The file is read again when it
// has changed.
func NewList(path string, issuer *x509.Certificate, now func() time.Time) (*List, error) {
	l := &List{path: path, issuer: issuer, now: now}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return l, l.err
}

// Status is what the list says of a serial number. A list that has ended says
// nothing.
func (l *List) Status(_ context.Context, serial []byte) (Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.looked) >= time.Second || now.Before(l.looked) {
		l.look()
	}
	if !now.Before(l.until) {
		if l.err != nil {
			return Status{}, l.err
		}
		return Status{}, fmt.Errorf("ocsp: the revocation list %s ended at %s: fetch the next one", l.path, l.until.Format(time.RFC3339))
	}
	if s, ok := l.entries[string(bytes.TrimLeft(serial, "\x00"))]; ok {
		return s, nil
	}
	return Status{State: Good}, nil
}

// look reads the file when it has changed. The entries of the list before stay
// until one that can be used is there, or it ends.
func (l *List) look() {
	l.looked = l.now()
	info, err := os.Stat(l.path)
	if err == nil && info.Size() == l.size && info.ModTime().Equal(l.at) {
		return
	}
	if err != nil {
		l.err = fmt.Errorf("ocsp: look at the revocation list: %w", err)
		return
	}
	l.size, l.at = info.Size(), info.ModTime()
	if l.err = l.read(); l.err != nil {
		l.err = fmt.Errorf("ocsp: use the revocation list %s: %w", l.path, l.err)
	}
}

func (l *List) read() error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	der, err := io.ReadAll(io.LimitReader(f, maxList+1))
	switch {
	case err != nil:
		return err
	case len(der) > maxList:
		return fmt.Errorf("it is larger than %d MiB", maxList>>20)
	}
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if err := list.CheckSignatureFrom(l.issuer); err != nil {
		return fmt.Errorf("it is not of the CA %q: %w", l.issuer.Subject, err)
	}
	if list.NextUpdate.IsZero() {
		return errors.New("it does not say when it ends")
	}
	// Critical are those by which a list is one of a part, of changes, or of
	// other CAs' certificates (RFC 5280, sections 5.2 and 5.3).
	for _, x := range list.Extensions {
		if x.Critical {
			return fmt.Errorf("it has the critical extension %s: only the whole list of one CA will do", x.Id)
		}
	}
	entries := make(map[string]Status, len(list.RevokedCertificateEntries))
	for _, e := range list.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				return fmt.Errorf("an entry has the critical extension %s: only the whole list of one CA will do", x.Id)
			}
		}
		entries[string(e.SerialNumber.Bytes())] = Status{State: Revoked, At: e.RevocationTime, Reason: e.ReasonCode}
	}
	l.entries, l.until = entries, list.NextUpdate
	return nil
}
