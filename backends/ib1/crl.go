package ib1

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Revocation is one entry of a list.
type Revocation struct {
	Serial *big.Int
	At     time.Time
	// Reason is the code of RFC 5280; those of ReasonName are used.
	Reason int
	// NotAfter is the end of the certificate; zero when it is not known.
	NotAfter time.Time
}

type reason struct {
	code int
	name string
}

// reasons are the codes that lists of a framework may have (section 7), by name.
var reasons = []reason{
	{0, "unspecified"}, {1, "keyCompromise"}, {3, "affiliationChanged"}, {4, "superseded"}, {5, "cessationOfOperation"}, {9, "privilegeWithdrawn"},
}

// ErrReason reports a reason that must not stand in a list.
var ErrReason = errors.New("ib1: this reason is not used")

// ReasonUsed reports whether lists may have a reason.
func ReasonUsed(code int) bool {
	return slices.ContainsFunc(reasons, func(r reason) bool { return r.code == code })
}

// ReasonByName returns the code of a reason.
func ReasonByName(name string) (int, error) {
	var names []string
	for _, r := range reasons {
		if r.name == name {
			return r.code, nil
		}
		names = append(names, r.name)
	}
	return 0, fmt.Errorf("%w: %q; use one of %q", ErrReason, name, names)
}

// Retained returns the entries that a new list must still have, given when the
// list before it was made. A certificate stays listed until one list has been
// made after its end; in the Signing tree it stays for ever, because signatures
// are verified long after the certificate has ended.
func (t Tree) Retained(all []Revocation, previous time.Time) []Revocation {
	if t == Signing {
		return slices.Clone(all)
	}
	var kept []Revocation
	for _, r := range all {
		if r.NotAfter.IsZero() || !previous.After(r.NotAfter) {
			kept = append(kept, r)
		}
	}
	return kept
}

// ListRequest says what a revocation list holds.
type ListRequest struct {
	// Number is larger than that of every list of this authority before. It must
	// have been made durable before the list is asked for: after a crash the
	// number is not used again, whether or not the list had been signed.
	Number     *big.Int
	ThisUpdate time.Time
	// NextUpdate is a week after ThisUpdate unless set, a year for a root.
	NextUpdate time.Time
	Revoked    []Revocation
	// Partition is set when the list has a part of what the authority revoked.
	Partition *Partition
}

// Partition describes a list that is one of several.
type Partition struct {
	// URL is where it is published: to the byte that of the certificates whose
	// list it is.
	URL string
	// OnlyUserCerts is set when it lists no CA.
	OnlyUserCerts bool
}

// ListNames are the names below the public URL of the lists of the authority:
// one, or as many as there are parts. Roots have one list.
func (a *Authority) ListNames() []string {
	parts := a.framework.settings.ListParts
	if parts <= 1 || a.IsRoot() {
		return []string{CRLName(a.tree, a.cert)}
	}
	var names []string
	for n := range parts {
		names = append(names, a.partName(n))
	}
	return names
}

// ListOf is the name of the list that a certificate is on when it is revoked. It
// stands in the certificate.
func (a *Authority) ListOf(serial *big.Int) string {
	parts := a.framework.settings.ListParts
	if parts <= 1 || a.IsRoot() || serial == nil {
		return CRLName(a.tree, a.cert)
	}
	return a.partName(int(new(big.Int).Mod(serial, big.NewInt(int64(parts))).Int64()))
}

func (a *Authority) partName(n int) string {
	return fmt.Sprintf("crl/ib1-%s-%s-%d.crl", a.tree, keyName(a.cert), n)
}

// SignListNamed makes the list of that name, which is one of ListNames: of all
// that was revoked it holds what belongs there.
func (a *Authority) SignListNamed(name string, r ListRequest) ([]byte, error) {
	names := a.ListNames()
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("ib1: %s has no list %q", a.cert.Subject, name)
	}
	if len(names) == 1 {
		return a.SignList(r)
	}
	all := r.Revoked
	r.Revoked = nil
	for _, entry := range all {
		if entry.Serial != nil && a.ListOf(entry.Serial) == name {
			r.Revoked = append(r.Revoked, entry)
		}
	}
	r.Partition = &Partition{URL: a.framework.url(name), OnlyUserCerts: true}
	return a.SignList(r)
}

// MaxListInterval is how far apart the lists of an issuer may be, at most.
const MaxListInterval = 10 * day

// SignList makes the revocation list of the authority, in DER. Entries of one
// serial number become one, the earliest.
func (a *Authority) SignList(r ListRequest) ([]byte, error) {
	if err := a.maySign(a.IsRoot()); err != nil {
		return nil, err
	}
	contents, err := a.list(r)
	if err != nil {
		return nil, fmt.Errorf("ib1: make the revocation list of %s: %w", a.cert.Subject, err)
	}
	der, err := a.signContents(contents)
	if err != nil {
		return nil, fmt.Errorf("ib1: sign the revocation list of %s: %w", a.cert.Subject, err)
	}
	if err := a.checkSigned(der, contents); err != nil {
		return nil, fmt.Errorf("ib1: the revocation list that was signed is not what was asked for: %w", err)
	}
	return der, nil
}

func (a *Authority) list(r ListRequest) (l listContents, err error) {
	this := r.ThisUpdate.UTC().Truncate(time.Second)
	next := r.NextUpdate.UTC().Truncate(time.Second)
	if r.NextUpdate.IsZero() {
		next = this.Add(7 * day)
		if a.IsRoot() {
			next = last(this, 365*day)
		}
	}
	latest := last(this, MaxListInterval)
	if a.IsRoot() {
		latest = this.AddDate(1, 0, 0).Add(-time.Second)
	}
	switch {
	case r.Number == nil || r.Number.Sign() < 1 || r.Number.BitLen() > 159:
		return l, errors.New("its number is not positive and below 2^159")
	case this.Before(a.cert.NotBefore):
		return l, fmt.Errorf("the authority begins only on %s: look at the clock", stamp(a.cert.NotBefore))
	case this.After(a.cert.NotAfter):
		return l, fmt.Errorf("the authority ended on %s: its last list stays as it is", stamp(a.cert.NotAfter))
	case !next.After(this) || next.After(latest):
		return l, fmt.Errorf("the next list is due on %s; after %s and not after %s is right", stamp(next), stamp(this), stamp(latest))
	}
	l = listContents{number: r.Number, this: this, next: next, entries: make([]Revocation, 0, len(r.Revoked))}
	for _, revoked := range r.Revoked {
		entry, err := a.entry(revoked, this)
		if err != nil {
			return l, fmt.Errorf("serial number %x: %w", revoked.Serial, err)
		}
		l.entries = append(l.entries, entry)
	}
	slices.SortFunc(l.entries, func(a, b Revocation) int {
		if d := a.Serial.Cmp(b.Serial); d != 0 {
			return d
		}
		return a.At.Compare(b.At)
	})
	l.entries = slices.CompactFunc(l.entries, func(a, b Revocation) bool { return a.Serial.Cmp(b.Serial) == 0 })
	if r.Partition != nil {
		e, err := r.Partition.extension()
		if err != nil {
			return l, err
		}
		l.extensions = []pkix.Extension{e}
	}
	return l, nil
}

// CheckRevocation says whether a list of the authority could hold an entry.
func (a *Authority) CheckRevocation(r Revocation, now time.Time) error {
	if _, err := a.entry(r, now.UTC()); err != nil {
		return fmt.Errorf("ib1: serial number %x: %w", r.Serial, err)
	}
	return nil
}

func (a *Authority) entry(r Revocation, this time.Time) (Revocation, error) {
	r.At = r.At.UTC().Truncate(time.Second)
	switch {
	case r.Serial == nil || r.Serial.Sign() < 1 || r.Serial.BitLen() > 159:
		return r, errors.New("it is not positive and below 2^159")
	case r.At.After(this):
		return r, fmt.Errorf("it is revoked from %s on, after the list", stamp(r.At))
	case r.At.Year() < 1950:
		return r, fmt.Errorf("it is revoked from %s on, before there were computers", stamp(r.At))
	case a.IsRoot() && r.Reason == 0:
		return r, fmt.Errorf("%w: the list of a root gives a reason other than unspecified", ErrReason)
	case !ReasonUsed(r.Reason):
		return r, fmt.Errorf("%w: code %d", ErrReason, r.Reason)
	}
	return r, nil
}

// extension is the issuingDistributionPoint. It is critical: who takes a part
// for the whole would trust what the other parts revoke.
func (p Partition) extension() (pkix.Extension, error) {
	if !ascii(p.URL) || !bytes.HasPrefix([]byte(p.URL), []byte("http://")) {
		return pkix.Extension{}, fmt.Errorf("the URL %q of the partition is not an http URL", p.URL)
	}
	context := func(n int) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { // distributionPoint
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { // fullName
				b.AddASN1(context(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.URL)) })
			})
		})
		if p.OnlyUserCerts {
			b.AddASN1(context(1), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
	})
	value, err := b.Bytes()
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value}, err
}

// Bundle returns lists in PEM in one file. Who checks whole chains needs the
// list of the root as well as that of the issuer (section 7).
func Bundle(lists ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range lists {
		_ = pem.Encode(&b, &pem.Block{Type: "X509 CRL", Bytes: der}) // a buffer takes everything
	}
	return b.Bytes()
}
