package localca

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// leaf is a checked request, in the terms of a certificate.
type leaf struct {
	requestKey string
	publicKey  []byte // SubjectPublicKeyInfo
	keyID      []byte
	keyUsage   []byte // the value of the extension
	usages     []asn1.ObjectIdentifier
	names      []name
	commonName string
	subject    []byte // in DER, instead of a common name
	begin, end time.Time
}

// name is one GeneralName, encoded.
type name struct {
	tag   cbasn1.Tag
	value []byte
}

var usageOIDs = map[acme.Usage]asn1.ObjectIdentifier{
	acme.ServerAuth:      {1, 3, 6, 1, 5, 5, 7, 3, 1},
	acme.ClientAuth:      {1, 3, 6, 1, 5, 5, 7, 3, 2},
	acme.CodeSigning:     {1, 3, 6, 1, 5, 5, 7, 3, 3},
	acme.EmailProtection: {1, 3, 6, 1, 5, 5, 7, 3, 4},
}

var (
	signOnly        = []byte{byte(cbasn1.BIT_STRING), 2, 7, 0x80}
	signAndEncipher = []byte{byte(cbasn1.BIT_STRING), 2, 5, 0xa0}

	// What X-Road tells authentication and signing keys apart by.
	authenticateRSA = []byte{byte(cbasn1.BIT_STRING), 2, 4, 0xb0} // digitalSignature, keyEncipherment, dataEncipherment
	authenticateEC  = []byte{byte(cbasn1.BIT_STRING), 2, 3, 0x88} // digitalSignature, keyAgreement
	nonRepudiation  = []byte{byte(cbasn1.BIT_STRING), 2, 6, 0x40}
)

const (
	dnsTag = cbasn1.Tag(2) | 0x80
	ipTag  = cbasn1.Tag(7) | 0x80

	maxDNSName    = 253
	maxCommonName = 64 // X.520
	maxSubject    = 4096
)

// begin is when a certificate for an order of that time begins, unless the
// order wants it later.
func begin(at time.Time, backdate time.Duration) time.Time {
	return at.Add(-backdate).UTC().Truncate(time.Second)
}

// newLeaf checks a request. What no issuer here would ever sign is refused;
// what the engine should not have asked for is an error.
func newLeaf(r backends.Request, backdate time.Duration, is *issuer) (*leaf, error) {
	if raw, err := hex.DecodeString(r.Key); err != nil || len(raw) != 16 {
		return nil, fmt.Errorf("the request's key %q is not 32 hexadecimal digits", r.Key)
	}
	if r.At.IsZero() {
		return nil, errors.New("the request does not say when its order was finalized")
	}
	l := &leaf{requestKey: r.Key, publicKey: r.PublicKey}
	if err := l.setKey(r.Contract); err != nil {
		return nil, err
	}
	if err := l.setNames(r.Contract); err != nil {
		return nil, err
	}
	for _, u := range r.Contract.Usages {
		oid, ok := usageOIDs[u]
		if !ok {
			return nil, backends.Refused(fmt.Sprintf("this CA does not issue for the usage %q", u), nil)
		}
		l.usages = append(l.usages, oid)
	}
	return l, l.setValidity(r, backdate, is)
}

func (l *leaf) setKey(c acme.Contract) error {
	if sha256.Sum256(l.publicKey) != c.KeyHash {
		return errors.New("the request's public key is not the one that its contract names")
	}
	key, err := x509.ParsePKIXPublicKey(l.publicKey)
	if err != nil {
		return fmt.Errorf("read the request's public key: %w", err)
	}
	l.keyUsage = signOnly
	// RSA keys are still used for key transport, but never by code signers.
	_, isRSA := key.(*rsa.PublicKey)
	if isRSA && !slices.Equal(c.Usages, []acme.Usage{acme.CodeSigning}) {
		l.keyUsage = signAndEncipher
	}
	switch c.KeyUsage {
	case acme.KeyUsageHandshake:
	case acme.KeyUsageAuthentication:
		l.keyUsage = authenticateEC
		if isRSA {
			l.keyUsage = authenticateRSA
		}
	case acme.KeyUsageSigning:
		l.keyUsage = nonRepudiation
	default:
		return backends.Refused(fmt.Sprintf("this CA does not know the key usage %q", c.KeyUsage), nil)
	}
	var bits asn1.BitString
	info := cryptobyte.String(l.publicKey)
	if !info.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.SEQUENCE) || !info.ReadASN1BitString(&bits) {
		return errors.New("the request's public key is not a SubjectPublicKeyInfo")
	}
	sum := sha256.Sum256(bits.Bytes)
	l.keyID = sum[:20] // RFC 7093, section 2, method 1
	return nil
}

func (l *leaf) setNames(c acme.Contract) error {
	if len(c.Identifiers) == 0 {
		return errors.New("the request's contract names nothing")
	}
	for _, id := range c.Identifiers {
		switch id.Type {
		case acme.DNSIdentifier:
			if id.Value == "" || len(id.Value) > maxDNSName || strings.ContainsFunc(id.Value, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return backends.Refused(fmt.Sprintf("the name %q does not fit into a certificate", id.Value), nil)
			}
			l.names = append(l.names, name{dnsTag, []byte(id.Value)})
		case acme.IPIdentifier:
			addr, err := netip.ParseAddr(id.Value)
			if err != nil || addr.Zone() != "" {
				return backends.Refused(fmt.Sprintf("%q is not an address that fits into a certificate", id.Value), nil)
			}
			l.names = append(l.names, name{ipTag, addr.Unmap().AsSlice()})
		default:
			return backends.Refused(fmt.Sprintf("this CA does not issue for identifiers of type %q", id.Type), nil)
		}
	}
	switch c.Subject {
	case acme.SubjectCommonName, "":
		l.commonName = c.CommonName
	case acme.SubjectEmpty:
	case acme.SubjectRegistry:
		subject, err := c.Names.Encode(c.CommonName)
		if err != nil {
			return backends.Refused("what the registry says of the member does not fit into a certificate", err)
		}
		l.subject = subject
	case acme.SubjectRequested:
		var names pkix.RDNSequence
		if rest, err := asn1.Unmarshal(c.RequestedSubject, &names); err != nil || len(rest) > 0 || len(names) == 0 || len(c.RequestedSubject) > maxSubject {
			return backends.Refused("the subject of the CSR does not fit into a certificate", err)
		}
		l.subject = c.RequestedSubject
	default:
		return backends.Refused(fmt.Sprintf("this CA does not know the subject rule %q", c.Subject), nil)
	}
	if len(l.commonName) > maxCommonName || strings.ContainsFunc(l.commonName, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
		return backends.Refused(fmt.Sprintf("the common name %q does not fit into a certificate: it has more than %d characters or some that are not for print", l.commonName, maxCommonName), nil)
	}
	return nil
}

func (l *leaf) setValidity(r backends.Request, backdate time.Duration, is *issuer) error {
	l.begin = begin(r.At, backdate)
	// A begin that the order asks for is kept to the second, except between
	// the backdated one and now, where backdating does what was meant.
	if wanted := r.Contract.NotBefore.UTC().Truncate(time.Second); !wanted.IsZero() && (wanted.Before(l.begin) || wanted.After(r.At)) {
		l.begin = wanted
	}
	if l.begin.Before(is.cert.NotBefore) {
		l.begin = is.cert.NotBefore
	}
	l.end = r.Contract.NotAfter.UTC().Truncate(time.Second)
	if !l.end.After(l.begin) {
		return fmt.Errorf("the request's contract ends at %s, which is not after its begin at %s", l.end.Format(time.RFC3339), l.begin.Format(time.RFC3339))
	}
	if l.end.After(is.cert.NotAfter) {
		return backends.Refused(fmt.Sprintf("the certificate would end at %s, after the CA's own at %s; ask for a shorter one or for the CA to be renewed",
			l.end.Format(time.RFC3339), is.cert.NotAfter.Format(time.RFC3339)), nil)
	}
	return nil
}

// sign returns the certificate. The same leaf gives the same bytes.
func (is *issuer) sign(l *leaf) ([]byte, error) {
	rest, err := is.afterSerial(l)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) }) // v3
		b.AddASN1BigInt(is.serial(l.requestKey, rest))
		b.AddBytes(rest)
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	digest := is.hash.New()
	digest.Write(tbs)
	// Without a source of randomness the signature is the one of RFC 6979.
	signature, err := is.key.Sign(nil, digest.Sum(nil), crypto.SignerOpts(is.hash))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(signature)+32))
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(is.algorithm)
		b.AddASN1BitString(signature)
	})
	return out.Bytes()
}

// serial is 127 bits that nobody without the key can foresee. They cover the
// rest of the certificate too: an order whose CSR was exchanged keeps its
// request key, and must not get the same number for another certificate.
func (is *issuer) serial(requestKey string, rest []byte) *big.Int {
	mac := hmac.New(sha256.New, is.serialSecret)
	mac.Write([]byte(requestKey))
	mac.Write(rest)
	bytes := mac.Sum(nil)[:16]
	bytes[0] &= 0x7f
	serial := new(big.Int).SetBytes(bytes)
	if serial.Sign() == 0 {
		serial.SetInt64(1) // zero is no serial number
	}
	return serial
}

// afterSerial encodes what follows the serial number in a TBSCertificate. The
// extensions come in the order in which crypto/x509 has them, so that a test
// can hold the two against each other.
func (is *issuer) afterSerial(l *leaf) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddBytes(is.algorithm)
	b.AddBytes(is.cert.RawSubject)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addTime(b, l.begin)
		addTime(b, l.end)
	})
	if l.subject != nil {
		b.AddBytes(l.subject)
	} else {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addCommonName(b, l.commonName) })
	}
	b.AddBytes(l.publicKey)
	b.AddASN1(cbasn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, oidKeyUsage, true, func(b *cryptobyte.Builder) { b.AddBytes(l.keyUsage) })
			if len(l.usages) > 0 {
				addExtension(b, oidExtKeyUsage, false, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, oid := range l.usages {
							b.AddASN1ObjectIdentifier(oid)
						}
					})
				})
			}
			b.AddBytes(is.basicConstraints)
			addExtension(b, oidSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(l.keyID) })
			b.AddBytes(is.authority)
			// With nothing in the subject, whoever ignores the alternative
			// names would take it for a certificate of nobody (RFC 5280, 4.2.1.6).
			addExtension(b, oidSubjectAltName, l.commonName == "" && l.subject == nil, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, n := range l.names {
						b.AddASN1(n.tag, func(b *cryptobyte.Builder) { b.AddBytes(n.value) })
					}
				})
			})
			b.AddBytes(is.listURL)
		})
	})
	return b.Bytes()
}

// addTime writes a time in the form that RFC 5280, section 4.1.2.5, wants for
// its year.
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
}

func addCommonName(b *cryptobyte.Builder, value string) {
	if value == "" {
		return
	}
	tag := cbasn1.PrintableString
	if strings.ContainsFunc(value, func(r rune) bool { return !printable(r) }) {
		tag = cbasn1.UTF8String
	}
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidCommonName)
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
		})
	})
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// printable reports whether r may be in a PrintableString (X.680, table 10).
func printable(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" '()+,-./:=?", r)
}
