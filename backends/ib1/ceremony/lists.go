package ceremony

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path"
	"strings"
	"time"

	"acmebridge/backends/ib1"
	"acmebridge/internal/keyfile"
)

// Authority finds the authority of a tree that signed a certificate, by its key
// identifier: all generations have one name. Number 0 is the root.
func (f *Folder) Authority(t ib1.Tree, below *x509.Certificate) (number int, err error) {
	numbers, err := f.numbers(t, ".pem")
	if err != nil {
		return 0, err
	}
	for _, n := range append([]int{0}, numbers...) {
		a, err := f.authority(t, n, false)
		if err != nil {
			return 0, err
		}
		if below.CheckSignatureFrom(a.Certificate()) == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("ceremony: no CA of the %s tree here signed %s: look in the folder of the machine that did", t, below.Subject)
}

// Revoke notes that a certificate of an authority is revoked. It takes effect
// with the next list.
func (f *Folder) Revoke(t ib1.Tree, number int, r ib1.Revocation) error {
	if err := f.revoke(t, number, r); err != nil {
		return fmt.Errorf("ceremony: revoke a certificate of the %s tree: %w", t, err)
	}
	return nil
}

func (f *Folder) revoke(t ib1.Tree, number int, r ib1.Revocation) error {
	a, err := f.authority(t, number, false)
	if err != nil {
		return err
	}
	// What no list could hold is refused now and not when the list is due.
	if err := a.CheckRevocation(r, f.cfg.Now()); err != nil {
		return err
	}
	key := keySum(a.Certificate().RawSubjectPublicKeyInfo)
	for _, have := range f.log.records {
		if have.Event == Revoked && have.Key == key && have.Serial == r.Serial.String() {
			return fmt.Errorf("the certificate with the serial number %s is revoked since %s", r.Serial, have.RevokedAt.Format(time.RFC3339))
		}
	}
	record := Record{Event: Revoked, Tree: t, Key: key, Serial: r.Serial.String(), RevokedAt: r.At.UTC().Truncate(time.Second), Reason: r.Reason}
	if !r.NotAfter.IsZero() {
		record.NotAfter = r.NotAfter.UTC()
	}
	return f.record(record)
}

// SignedList is a revocation list that was signed.
type SignedList struct {
	Number  *big.Int
	DER     []byte
	Entries int
	// File is where it is to be served from.
	File string
	Next time.Time
}

// SignList makes the next revocation list of an authority and puts it where it
// is served from, together with the bundle of the tree.
func (f *Folder) SignList(t ib1.Tree, number int) (SignedList, error) {
	l, err := f.signList(t, number)
	if err != nil {
		return l, fmt.Errorf("ceremony: sign the revocation list of %s: %w", label(t, number), err)
	}
	return l, nil
}

func (f *Folder) signList(t ib1.Tree, number int) (l SignedList, err error) {
	a, err := f.authority(t, number, true)
	if err != nil {
		return l, err
	}
	if !a.IsRoot() {
		if err := f.served(); err != nil {
			return l, err
		}
	}
	if parts := len(a.ListNames()); parts > 1 {
		return l, fmt.Errorf("its revocations are in %d lists, which a server with a backend of type ib1 signs", parts)
	}
	key := keySum(a.Certificate().RawSubjectPublicKeyInfo)
	revoked, last, previous, err := f.noted(t, a.Certificate())
	if err != nil {
		return l, err
	}
	l.Number = last.Add(last, big.NewInt(1))
	now := f.cfg.Now()
	if !previous.IsZero() && now.Before(previous) {
		return l, fmt.Errorf("the list before is of %s, which is in future: look at the clock", previous.Format(time.RFC3339))
	}
	// The number is durable before anything is signed under it.
	if err := f.record(Record{Event: ListSigning, Tree: t, Key: key, Number: l.Number.String()}); err != nil {
		return l, err
	}
	kept := t.Retained(revoked, previous)
	if l.DER, err = a.SignList(ib1.ListRequest{Number: l.Number, ThisUpdate: now, Revoked: kept}); err != nil {
		return l, err
	}
	list, err := x509.ParseRevocationList(l.DER)
	if err != nil {
		return l, err
	}
	l.Entries, l.Next = len(list.RevokedCertificateEntries), list.NextUpdate
	name := ib1.CRLName(t, a.Certificate())
	if t == ib1.Signing {
		if err := f.keep(t, name, l.Number.String(), l.DER); err != nil {
			return l, err
		}
	}
	if err := f.publish(name, l.DER); err != nil {
		return l, err
	}
	l.File = f.path("public/" + name)
	if err := f.record(Record{Event: ListSigned, Tree: t, Key: key, Number: l.Number.String(), SHA256: sum(l.DER)}); err != nil {
		return l, err
	}
	_, err = f.Bundle(t)
	return l, err
}

// keptPrefix begins the names of lists that are kept for ever.
const keptPrefix = "list-"

// KeptList says of the name of a file in the folder of a tree that it is a list
// which is kept for ever. Servers add such, too, and it is served from elsewhere.
func KeptList(name string) bool { return strings.HasPrefix(name, keptPrefix) }

// keep stores a list for ever under its number, which no other list has.
func (f *Folder) keep(t ib1.Tree, list, number string, der []byte) error {
	name := fmt.Sprintf(keptPrefix+"%s-%s.crl", strings.TrimPrefix(strings.TrimSuffix(path.Base(list), ".crl"), "ib1-"+string(t)+"-"), number)
	err := keyfile.Create(f.path(string(t)), name, der)
	if errors.Is(err, fs.ErrExist) {
		have, readErr := os.ReadFile(f.path(string(t) + "/" + name))
		if readErr == nil && bytes.Equal(have, der) {
			return nil
		}
	}
	return err
}

// noted reads what was revoked under an authority, the last number of its lists,
// and when the last one was signed.
func (f *Folder) noted(t ib1.Tree, authority *x509.Certificate) (revoked []ib1.Revocation, last *big.Int, previous time.Time, err error) {
	key := keySum(authority.RawSubjectPublicKeyInfo)
	last = new(big.Int)
	for _, r := range f.log.records {
		if r.Key != key {
			continue
		}
		switch r.Event {
		case Revoked:
			serial, ok := new(big.Int).SetString(r.Serial, 10)
			if !ok {
				return nil, nil, previous, fmt.Errorf("record %d: %w", r.Seq, ErrLog)
			}
			revoked = append(revoked, ib1.Revocation{Serial: serial, At: r.RevokedAt, Reason: r.Reason, NotAfter: r.NotAfter})
		case ListSigning:
			n, ok := new(big.Int).SetString(r.Number, 10)
			if !ok || n.Cmp(last) <= 0 {
				return nil, nil, previous, fmt.Errorf("record %d: %w", r.Seq, ErrLog)
			}
			last = n
		case ListSigned:
			previous = r.At
		case RootSigning, RootCreated, RootImported, IssuerRequested, IssuerSigning, IssuerSigned, IssuerImported:
		}
	}
	// A folder that was restored may know less than what it has published.
	published, err := f.published(t, authority)
	if err == nil && published != nil && published.Cmp(last) > 0 {
		last = published
	}
	return revoked, last, previous, err
}

// published returns the number of the list that is published of an authority, or
// nil when there is none.
func (f *Folder) published(t ib1.Tree, authority *x509.Certificate) (*big.Int, error) {
	name := f.path("public/" + ib1.CRLName(t, authority))
	der, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || list.Number == nil {
		return nil, fmt.Errorf("%s is no revocation list with a number: restore it from a backup", name)
	}
	return list.Number, nil
}

// Bundle writes the current lists of all CAs of a tree into one PEM file, and
// returns where it is. Who checks every list of a chain needs that of the root
// as well, which nginx does.
func (f *Folder) Bundle(t ib1.Tree) (string, error) {
	numbers, err := f.numbers(t, ".pem")
	if err != nil {
		return "", fmt.Errorf("ceremony: bundle the lists of the %s tree: %w", t, err)
	}
	var lists [][]byte
	for _, n := range append([]int{0}, numbers...) {
		a, err := f.authority(t, n, false)
		if err != nil {
			return "", fmt.Errorf("ceremony: bundle the lists of the %s tree: %w", t, err)
		}
		der, err := os.ReadFile(f.path("public/" + ib1.CRLName(t, a.Certificate())))
		if errors.Is(err, fs.ErrNotExist) {
			continue // of a root that is elsewhere it has to be copied here
		}
		if err != nil {
			return "", fmt.Errorf("ceremony: bundle the lists of the %s tree: %w", t, err)
		}
		lists = append(lists, der)
	}
	name := fmt.Sprintf("crl/ib1-%s.pem", t)
	if err := f.publish(name, ib1.Bundle(lists...)); err != nil {
		return "", fmt.Errorf("ceremony: bundle the lists of the %s tree: %w", t, err)
	}
	return f.path("public/" + name), nil
}

// ImportList takes a list that was signed elsewhere, such as that of the root,
// to be published from here. It must be of a CA of the tree, and not older than
// the one that is there.
func (f *Folder) ImportList(t ib1.Tree, der []byte) (file string, err error) {
	if file, err = f.importList(t, der); err != nil {
		return "", fmt.Errorf("ceremony: import a revocation list of the %s tree: %w", t, err)
	}
	return file, nil
}

func (f *Folder) importList(t ib1.Tree, der []byte) (string, error) {
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return "", err
	}
	numbers, err := f.numbers(t, ".pem")
	if err != nil {
		return "", err
	}
	for _, n := range append([]int{0}, numbers...) {
		a, err := f.authority(t, n, false)
		if err != nil {
			return "", err
		}
		if list.CheckSignatureFrom(a.Certificate()) != nil {
			continue
		}
		if list.Number == nil || f.cfg.Now().After(list.NextUpdate) {
			return "", errors.New("it has no number, or its time is over")
		}
		before, err := f.published(t, a.Certificate())
		if err != nil {
			return "", err
		}
		if before != nil && before.Cmp(list.Number) > 0 {
			return "", fmt.Errorf("list %s is there already, which is newer", before)
		}
		name := ib1.CRLName(t, a.Certificate())
		if err := f.publish(name, der); err != nil {
			return "", err
		}
		_, err = f.Bundle(t)
		return f.path("public/" + name), err
	}
	return "", errors.New("no CA of the tree here signed it")
}
