package ocsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"sync"
	"time"
)

// maxList is the largest revocation list that is read.
const maxList = 64 << 20

// List is a revocation list in a file that somebody else keeps up to date.
// Whoever is not on it is good. It only goes forward: a list that is older than
// the one in hand, by number or time, is not used.
type List struct {
	path   string
	issuer *x509.Certificate
	now    func() time.Time

	mu      sync.Mutex
	looked  time.Time // when the file was last looked at
	tried   time.Time // when it was last read
	size    int64
	at      time.Time // when it was last written
	since   time.Time // thisUpdate of the list in hand
	until   time.Time // its nextUpdate
	number  *big.Int  // nil when it has none
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

// tryAgain is how often a file that could not be used is read again, although it
// has not changed: who may read it, and what time it is, change without that.
const tryAgain = time.Minute

// look reads the file when it has changed. The entries of the list before stay
// until one that can be used is there, or it ends.
func (l *List) look() {
	l.looked = l.now()
	info, err := os.Stat(l.path)
	if err == nil && info.Size() == l.size && info.ModTime().Equal(l.at) {
		if since := l.looked.Sub(l.tried); l.err == nil || since >= 0 && since < tryAgain {
			return
		}
	}
	if err != nil {
		l.size = -1 // it is read when it is back, also unchanged
		l.err = fmt.Errorf("ocsp: look at the revocation list: %w", err)
		return
	}
	l.size, l.at, l.tried = info.Size(), info.ModTime(), l.looked
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
	if err := l.follows(list); err != nil {
		return err
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
	l.entries, l.since, l.until, l.number = entries, list.ThisUpdate, list.NextUpdate, list.Number
	return nil
}

// clockSkew is how far ahead the clock of the CA may be.
const clockSkew = 5 * time.Minute

// follows refuses a list that is older than the one in hand: it is genuine, and
// certificates that were revoked since would be good again.
func (l *List) follows(next *x509.RevocationList) error {
	switch {
	case next.ThisUpdate.After(l.now().Add(clockSkew)):
		return fmt.Errorf("it is of %s, which is in future: look at the clocks", next.ThisUpdate.Format(time.RFC3339))
	case l.entries == nil:
		return nil
	case next.ThisUpdate.Before(l.since):
		return fmt.Errorf("it is of %s, and older than the one in hand, of %s: fetch the newest one", next.ThisUpdate.Format(time.RFC3339), l.since.Format(time.RFC3339))
	case next.Number != nil && l.number != nil && next.Number.Cmp(l.number) < 0:
		return fmt.Errorf("it has number %d, and is older than the one in hand, number %d: fetch the newest one; if the CA numbers its lists anew, start this server again", next.Number, l.number)
	default:
		return nil
	}
}

// Trouble says why what the file has now is not used; nil when it is.
func (l *List) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
