package ocsp

import (
	"crypto"
	_ "crypto/sha1" //nolint:gosec // CertIDs of most clients, X-Road's among them
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What a request may have at most.
const (
	// MaxRequest is in bytes. Signed requests carry certificates, whose
	// signatures nobody needs to look at.
	MaxRequest = 16 << 10
	maxIDs     = 16
	maxSerial  = 64
	maxNonce   = 128 // RFC 9654, section 2.1
)

// ErrMalformed is in the chain of errors about requests that cannot be read.
var ErrMalformed = errors.New("ocsp: malformed request")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// CertID names a certificate by hashes over its issuer, and its serial number.
type CertID struct {
	// Raw is the DER as it was sent. Answers repeat it to the byte: clients
	// compare it with their own.
	Raw []byte
	// Hash is zero when the algorithm is none that is known here.
	Hash     crypto.Hash
	NameHash []byte
	KeyHash  []byte
	// Serial is the content of the INTEGER.
	Serial []byte
}

// Request is what a client asks.
type Request struct {
	// IDs has at least one.
	IDs []CertID
	// Nonce is the DER of the OCTET STRING, nil without one.
	Nonce []byte
}

var (
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

	hashes = []struct {
		oid  asn1.ObjectIdentifier
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
	}
)

// explicit is the tag [n] around something.
func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// ParseRequest reads the DER of an OCSPRequest. A signature is not looked at:
// everybody may ask, and gets the same answer. An error has ErrMalformed in its
// chain.
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxRequest {
		return nil, malformed("it is too long")
	}
	in := cryptobyte.String(der)
	var all, tbs cryptobyte.String
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !in.Empty() || !all.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!all.SkipOptionalASN1(explicit(0)) || !all.Empty() {
		return nil, malformed("it is no OCSPRequest")
	}
	var version int64
	if tbs.PeekASN1Tag(explicit(0)) {
		var v cryptobyte.String
		if !tbs.ReadASN1(&v, explicit(0)) || !v.ReadASN1Integer(&version) || !v.Empty() {
			return nil, malformed("the version cannot be read")
		}
	}
	if version != 0 {
		return nil, malformed("it is of another version than 1")
	}
	var list cryptobyte.String
	if !tbs.SkipOptionalASN1(explicit(1)) || !tbs.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, malformed("there is no list")
	}
	r := &Request{}
	for !list.Empty() {
		if len(r.IDs) == maxIDs {
			return nil, malformed("it asks about too many certificates at once")
		}
		id, err := readEntry(&list)
		if err != nil {
			return nil, err
		}
		r.IDs = append(r.IDs, id)
	}
	if len(r.IDs) == 0 {
		return nil, malformed("it asks about nothing")
	}
	var extensions cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&extensions, &present, explicit(2)) || !tbs.Empty() {
		return nil, malformed("there is something behind the list")
	}
	if present {
		if err := readExtensions(extensions, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func readEntry(list *cryptobyte.String) (CertID, error) {
	var entry, id, extensions cryptobyte.String
	var present bool
	if !list.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1Element(&id, cbasn1.SEQUENCE) ||
		!entry.ReadOptionalASN1(&extensions, &present, explicit(0)) || !entry.Empty() {
		return CertID{}, malformed("an entry cannot be read")
	}
	if present {
		if err := readExtensions(extensions, nil); err != nil {
			return CertID{}, err
		}
	}
	return readCertID(id)
}

func readCertID(raw cryptobyte.String) (CertID, error) {
	id := CertID{Raw: raw}
	var algorithm, name, key, serial cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !raw.ReadASN1(&raw, cbasn1.SEQUENCE) || !raw.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!raw.ReadASN1(&name, cbasn1.OCTET_STRING) || !raw.ReadASN1(&key, cbasn1.OCTET_STRING) ||
		!raw.ReadASN1(&serial, cbasn1.INTEGER) || !raw.Empty() {
		return id, malformed("a CertID cannot be read")
	}
	id.NameHash, id.KeyHash, id.Serial = name, key, serial
	if len(serial) == 0 || len(serial) > maxSerial ||
		len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		return id, malformed("a serial number is no integer of DER")
	}
	for _, h := range hashes {
		if !oid.Equal(h.oid) {
			continue
		}
		// Parameters are absent or NULL. Whatever else there could be would only
		// make more names for one certificate.
		var null cryptobyte.String
		if !algorithm.Empty() && (!algorithm.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !algorithm.Empty()) {
			return id, malformed("the hash of a CertID has parameters")
		}
		if len(name) != h.hash.Size() || len(key) != h.hash.Size() {
			return id, malformed("a hash in a CertID is not as long as its algorithm makes it")
		}
		id.Hash = h.hash
	}
	return id, nil
}

// readExtensions reads those of a request into r, or those of an entry when r
// is nil. Of the ones that exist only the nonce concerns us; one that the client
// calls critical would have to (RFC 6960, section 4.4).
func readExtensions(in cryptobyte.String, r *Request) error {
	var all cryptobyte.String
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !in.Empty() {
		return malformed("the extensions cannot be read")
	}
	for !all.Empty() {
		var extension, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !all.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) ||
			!extension.ReadOptionalASN1Boolean(&critical, cbasn1.BOOLEAN, false) ||
			!extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() {
			return malformed("an extension cannot be read")
		}
		switch {
		case r != nil && oid.Equal(oidNonce):
			if r.Nonce != nil {
				return malformed("there are two nonces")
			}
			raw, nonce := value, cryptobyte.String(nil)
			if !value.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !value.Empty() || len(nonce) == 0 || len(nonce) > maxNonce {
				return malformed("the nonce is not of 1 to 128 octets")
			}
			r.Nonce = raw
		case critical:
			return malformed("it has a critical extension that is not known here")
		}
	}
	return nil
}
