package localca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// issuer is one issuing key and what all of its leaves have in common.
type issuer struct {
	number int
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	sealed bool
	hash   crypto.Hash

	crlName, certName, signerName string

	// The secrets derive from the key, so they are where it is and in no
	// backup of their own.
	serialSecret, ticketSecret []byte

	// Finished DER: the AlgorithmIdentifier of signatures, and the extensions
	// that are the same in every leaf, in the order of their places.
	algorithm                            []byte
	basicConstraints, authority, listURL []byte
}

// label sets the publications of successive issuers apart.
func (c Config) label(number int) string {
	if number == 1 {
		return c.Name
	}
	return fmt.Sprintf("%s.%d", c.Name, number)
}

func (c Config) rootPath() string { return "ca/" + c.Name + ".root.cer" }

var (
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}

	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLPoints        = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidAuthorityInfo    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidOCSP             = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidCAIssuers        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}
)

const uriTag = cbasn1.Tag(6) | 0x80

func newIssuer(cfg Config, number int, cert *x509.Certificate, key *ecdsa.PrivateKey, sealed bool) (*issuer, error) {
	is := &issuer{
		number: number, cert: cert, key: key, sealed: sealed,
		crlName:  "crl/" + cfg.label(number) + ".crl",
		certName: "ca/" + cfg.label(number) + ".cer",
		// No backend has a dot in its name, so no issuer has this one.
		signerName: "ca/" + cfg.label(number) + ".ocsp.cer",
	}
	var oid asn1.ObjectIdentifier
	switch key.Curve {
	case elliptic.P256():
		is.hash, oid = crypto.SHA256, oidECDSAWithSHA256
	case elliptic.P384():
		is.hash, oid = crypto.SHA384, oidECDSAWithSHA384
	default:
		return nil, errors.New("the key is neither P-256 nor P-384")
	}

	scalar, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	if is.serialSecret, err = hkdf.Key(sha256.New, scalar, nil, "acmebridge localca serial numbers", sha256.Size); err != nil {
		return nil, err
	}
	if is.ticketSecret, err = hkdf.Key(sha256.New, scalar, nil, "acmebridge localca tickets", sha256.Size); err != nil {
		return nil, err
	}

	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	if is.algorithm, err = b.Bytes(); err != nil {
		return nil, err
	}
	if is.basicConstraints, err = extension(oidBasicConstraints, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
	}); err != nil {
		return nil, err
	}
	keyIdentifier, err := extension(oidAuthorityKeyID, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(cert.SubjectKeyId) })
		})
	})
	if err != nil {
		return nil, err
	}
	is.authority = keyIdentifier
	if cfg.PublicURL == "" {
		return is, nil
	}
	information, err := extension(oidAuthorityInfo, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if cfg.OCSP {
				addLocation(b, oidOCSP, cfg.PublicURL+"/ocsp")
			}
			addLocation(b, oidCAIssuers, cfg.PublicURL+"/"+is.certName)
		})
	})
	if err != nil {
		return nil, err
	}
	is.authority = bytes.Join([][]byte{keyIdentifier, information}, nil)
	is.listURL, err = extension(oidCRLPoints, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // the one point
				nested := cbasn1.Tag(0).ContextSpecific().Constructed()
				b.AddASN1(nested, func(b *cryptobyte.Builder) { // its name
					b.AddASN1(nested, func(b *cryptobyte.Builder) { // in full
						b.AddASN1(uriTag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(cfg.PublicURL + "/" + is.crlName)) })
					})
				})
			})
		})
	})
	return is, err
}

// addLocation adds where something is to be had.
func addLocation(b *cryptobyte.Builder, what asn1.ObjectIdentifier, where string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(what)
		b.AddASN1(uriTag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(where)) })
	})
}

// extension returns the DER of one certificate extension.
func extension(oid asn1.ObjectIdentifier, critical bool, value cryptobyte.BuilderContinuation) ([]byte, error) {
	var b cryptobyte.Builder
	addExtension(&b, oid, critical, value)
	return b.Bytes()
}

func addExtension(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, critical bool, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}
