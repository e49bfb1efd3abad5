package ib1

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// listContents is a checked list, in the terms of RFC 5280, section 5.1. The
// standard library would encode it as well, but takes seconds where a list has
// 100,000 entries.
type listContents struct {
	number     *big.Int
	this, next time.Time
	entries    []Revocation // sorted, each serial number once
	extensions []pkix.Extension
}

// signContents encodes and signs a list.
func (a *Authority) signContents(l listContents) ([]byte, error) {
	hash, algorithm := crypto.SHA256, sha256WithP256
	if a.IsRoot() {
		hash, algorithm = crypto.SHA384, sha384WithP384
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1) // version 2
		b.AddBytes(algorithm)
		b.AddBytes(a.cert.RawSubject)
		b.AddBytes(appendTime(nil, l.this))
		b.AddBytes(appendTime(nil, l.next))
		if len(l.entries) > 0 { // an empty SEQUENCE is not allowed here
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(encodeEntries(l.entries)) })
		}
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { l.addExtensions(b, a.cert.SubjectKeyId) })
		})
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	signature, err := signDigest(a.signer, hash, tbs)
	if err != nil {
		return nil, err
	}
	b = cryptobyte.Builder{}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

func (l listContents) addExtensions(b *cryptobyte.Builder, keyID []byte) {
	add := func(oid []byte, critical bool, value cryptobyte.BuilderContinuation) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(oid)
			if critical {
				b.AddASN1Boolean(true)
			}
			b.AddASN1(cbasn1.OCTET_STRING, value)
		})
	}
	add([]byte{6, 3, 0x55, 0x1d, 35}, false, func(b *cryptobyte.Builder) { // authorityKeyIdentifier
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(keyID) })
		})
	})
	add([]byte{6, 3, 0x55, 0x1d, 20}, false, func(b *cryptobyte.Builder) { b.AddASN1BigInt(l.number) }) // cRLNumber
	for _, e := range l.extensions {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(e.Id)
			if e.Critical {
				b.AddASN1Boolean(true)
			}
			b.AddASN1OctetString(e.Value)
		})
	}
}

// encodeEntries has nothing in it longer than 127 octets, so every length is one
// octet: serial numbers have at most 20, times 17 with their header, and the
// reason 14.
func encodeEntries(all []Revocation) []byte {
	out := make([]byte, 0, 56*len(all))
	for _, r := range all {
		serial := r.Serial.Bytes()
		if serial[0]&0x80 != 0 {
			serial = append([]byte{0}, serial...)
		}
		start := len(out)
		out = append(out, byte(cbasn1.SEQUENCE), 0, byte(cbasn1.INTEGER), byte(len(serial)))
		out = append(out, serial...)
		out = appendTime(out, r.At)
		if r.Reason != 0 {
			// SEQUENCE { SEQUENCE { reasonCode, OCTET STRING { ENUMERATED } } }
			out = append(out, 0x30, 0x0c, 0x30, 0x0a, 6, 3, 0x55, 0x1d, 21, 4, 3, 0x0a, 1, byte(r.Reason))
		}
		out[start+1] = byte(len(out) - start - 2)
	}
	return out
}

// appendTime is UTCTime until 2049 and GeneralizedTime from then on.
func appendTime(out []byte, at time.Time) []byte {
	at = at.UTC()
	if y := at.Year(); y >= 1950 && y < 2050 {
		return at.AppendFormat(append(out, byte(cbasn1.UTCTime), 13), "060102150405Z")
	}
	return at.AppendFormat(append(out, byte(cbasn1.GeneralizedTime), 15), "20060102150405Z")
}

func signDigest(signer crypto.Signer, hash crypto.Hash, message []byte) ([]byte, error) {
	if !hash.Available() {
		return nil, errors.New("ib1: the hash is not in this program")
	}
	h := hash.New()
	h.Write(message)
	return signer.Sign(randomFor(signer), h.Sum(nil), hash)
}

// randomFor is nothing for keys of ours: ECDSA then derives its own from key and
// message, so that the same request gives the same bytes. Keys in hardware do as
// they like.
func randomFor(signer crypto.Signer) io.Reader {
	if _, ours := signer.(*ecdsa.PrivateKey); ours {
		return nil
	}
	return rand.Reader
}
