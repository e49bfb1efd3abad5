package ib1

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// errNoList reports bytes that are no revocation list.
var errNoList = errors.New("it does not parse")

// checkSigned reads a list that was signed and wants it to say what was asked
// for, entry by entry. It shares no code with the writer. The standard library
// would keep all that it reads, which takes as long as to make the list.
func (a *Authority) checkSigned(der []byte, want listContents) error {
	with, err := algorithm(a.cert.PublicKey)
	if err != nil {
		return err
	}
	var list, tbs, id, inner cryptobyte.String
	var signature []byte
	in := cryptobyte.String(der)
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || !list.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!list.ReadASN1Element(&id, cbasn1.SEQUENCE) || !list.ReadASN1BitStringAsBytes(&signature) || !list.Empty() {
		return errNoList
	}
	if err := a.cert.CheckSignature(with, tbs, signature); err != nil {
		return fmt.Errorf("its signature: %w", err)
	}
	var c, issuer cryptobyte.String
	var version int
	if !tbs.ReadASN1(&c, cbasn1.SEQUENCE) || !c.ReadASN1Integer(&version) || !c.ReadASN1Element(&inner, cbasn1.SEQUENCE) || !c.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return errNoList
	}
	if version != 1 || !bytes.Equal(inner, id) || !bytes.Equal(issuer, a.cert.RawSubject) {
		return errors.New("its version, algorithm or issuer is another one")
	}
	var dates dateReader
	if this, next := dates.read(&c), dates.read(&c); !this.Equal(want.this) || !next.Equal(want.next) {
		return fmt.Errorf("it is from %s to %s", stamp(this), stamp(next))
	}
	var entries cryptobyte.String
	if c.PeekASN1Tag(cbasn1.SEQUENCE) && (!c.ReadASN1(&entries, cbasn1.SEQUENCE) || entries.Empty()) {
		return errNoList
	}
	for i, r := range want.entries {
		if !dates.hasEntry(&entries, r) {
			return fmt.Errorf("entry %d is not the one of serial number %x", i, r.Serial)
		}
	}
	if !entries.Empty() {
		return fmt.Errorf("it has more than %d entries", len(want.entries))
	}
	return a.checkListExtensions(c, want)
}

func (a *Authority) checkListExtensions(c cryptobyte.String, want listContents) error {
	var outer, all cryptobyte.String
	if !c.ReadASN1(&outer, cbasn1.Tag(0).ContextSpecific().Constructed()) || !c.Empty() || !outer.ReadASN1(&all, cbasn1.SEQUENCE) || !outer.Empty() {
		return errNoList
	}
	number, count := new(big.Int), 0
	for ; !all.Empty(); count++ {
		var e, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !all.ReadASN1(&e, cbasn1.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&oid) || !e.SkipOptionalASN1(cbasn1.BOOLEAN) ||
			!e.ReadASN1(&value, cbasn1.OCTET_STRING) || !e.Empty() {
			return errNoList
		}
		switch oid.String() {
		case oidAuthorityKeyID:
			if fmt.Sprintf("%x", []byte(value)) != authorityKeyID(a.cert.SubjectKeyId) {
				return errors.New("its authorityKeyIdentifier is another one")
			}
		case "2.5.29.20":
			if !value.ReadASN1Integer(number) || !value.Empty() {
				return errNoList
			}
		}
	}
	if number.Cmp(want.number) != 0 || count != 2+len(want.extensions) {
		return fmt.Errorf("it has the number %s and %d extensions", number, count)
	}
	return nil
}

// dateReader reads dates, of which neighbours in a list are often the same.
type dateReader struct {
	raw  []byte
	date time.Time
}

// read returns a time that nobody asks for when there is none.
func (d *dateReader) read(c *cryptobyte.String) time.Time {
	var raw cryptobyte.String
	var tag cbasn1.Tag
	before := *c
	if !c.ReadAnyASN1Element(&raw, &tag) {
		return time.Time{}
	}
	if bytes.Equal(raw, d.raw) {
		return d.date
	}
	*d = dateReader{raw: raw}
	if ok := tag == cbasn1.UTCTime && before.ReadASN1UTCTime(&d.date) || tag == cbasn1.GeneralizedTime && before.ReadASN1GeneralizedTime(&d.date); !ok {
		*d = dateReader{}
	}
	return d.date
}

// hasEntry reads an entry and says whether it is this one.
func (d *dateReader) hasEntry(entries *cryptobyte.String, want Revocation) bool {
	var e, serial cryptobyte.String
	if !entries.ReadASN1(&e, cbasn1.SEQUENCE) || !e.ReadASN1(&serial, cbasn1.INTEGER) {
		return false
	}
	var number [20]byte // the first bit is not set, so that it is positive
	if len(serial) == 0 || len(serial) > len(number) || serial[0]&0x80 != 0 || len(serial) > 1 && serial[0] == 0 && serial[1]&0x80 == 0 || !bytes.Equal(want.Serial.FillBytes(number[:])[len(number)-len(serial):], serial) ||
		want.Serial.BitLen() > 8*len(serial) || !d.read(&e).Equal(want.At) {
		return false
	}
	reason := 0
	if !e.Empty() {
		var all, extension, value cryptobyte.String
		if !e.ReadASN1(&all, cbasn1.SEQUENCE) || !e.Empty() || !all.ReadASN1(&extension, cbasn1.SEQUENCE) || !all.Empty() ||
			!bytes.HasPrefix(extension, []byte{6, 3, 0x55, 0x1d, 21}) || !extension.Skip(5) ||
			!extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() || !value.ReadASN1Enum(&reason) || !value.Empty() {
			return false
		}
	}
	return reason == want.Reason
}
