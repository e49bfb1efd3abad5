package sectigotest

import (
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncrypted  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidLocalKeyID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oid3DES       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidSHA1       = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
)

var explicit0 = cbasn1.Tag(0).Constructed().ContextSpecific()

// bag is a PKCS #7 SignedData without signatures (RFC 2315, 9).
func bag(certs ...*x509.Certificate) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
				b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
					for _, c := range certs {
						b.AddBytes(c.Raw)
					}
				})
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	return b.BytesOrPanic()
}

// keyStore is a PKCS #12 file (RFC 7292) as old Java programs write it: triple
// DES under a SHA-1 key derivation of 2048 rounds, and a SHA-1 MAC of one. It
// is as weak as what it stands in for, which is why nothing here but the
// stand-in makes one.
func keyStore(password string, key *rsa.PrivateKey, certs ...*x509.Certificate) ([]byte, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	secret := bmp(password)
	keyID := sha1.Sum(certs[0].Raw)
	attributes := func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidLocalKeyID)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1OctetString(keyID[:]) })
			})
		})
	}
	certificates := sequence(func(b *cryptobyte.Builder) {
		for i, c := range certs {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCertBag)
				b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidX509)
						b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.Raw) })
					})
				})
				if i == 0 {
					attributes(b)
				}
			})
		}
	})
	shroudedAlgorithm, shrouded, err := encrypt(secret, pkcs8)
	if err != nil {
		return nil, err
	}
	keys := sequence(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidKeyBag)
			b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(shroudedAlgorithm)
					b.AddASN1OctetString(shrouded)
				})
			})
			attributes(b)
		})
	})
	algorithm, encrypted, err := encrypt(secret, certificates)
	if err != nil {
		return nil, err
	}
	safe := sequence(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidEncrypted)
			b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(0)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidData)
						b.AddBytes(algorithm)
						b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(encrypted) })
					})
				})
			})
		})
		data(b, keys)
	})
	salt := make([]byte, 8)
	rand.Read(salt) // never fails
	mac := hmac.New(sha1.New, derive(secret, salt, 3, 1, sha1.Size))
	mac.Write(safe)
	return sequence(func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		data(b, safe)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA1); b.AddASN1NULL() })
				b.AddASN1OctetString(mac.Sum(nil))
			})
			b.AddASN1OctetString(salt)
			b.AddASN1Int64(1)
		})
	}), nil
}

func sequence(f cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, f)
	return b.BytesOrPanic()
}

func data(b *cryptobyte.Builder, content []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
	})
}

// encrypt is pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292, appendix C).
func encrypt(secret, plain []byte) (algorithm, encrypted []byte, err error) {
	const rounds = 2048
	salt := make([]byte, 8)
	rand.Read(salt) // never fails
	block, err := des.NewTripleDESCipher(derive(secret, salt, 1, rounds, 24))
	if err != nil {
		return nil, nil, err
	}
	pad := block.BlockSize() - len(plain)%block.BlockSize()
	encrypted = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, derive(secret, salt, 2, rounds, 8)).CryptBlocks(encrypted, encrypted)
	parameters, err := asn1.Marshal(struct {
		Salt   []byte
		Rounds int
	}{salt, rounds})
	if err != nil {
		return nil, nil, err
	}
	algorithm, err = asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: oid3DES, Parameters: asn1.RawValue{FullBytes: parameters}})
	return algorithm, encrypted, err
}

// bmp writes a password in UTF-16 with a zero at its end (RFC 7292, B.1).
func bmp(password string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(password)), 0) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

// derive makes n octets for that purpose: 1 a key, 2 an IV, 3 a MAC key
// (RFC 7292, B.2, with SHA-1).
func derive(secret, salt []byte, purpose byte, rounds, n int) (out []byte) {
	const block = 64
	fit := func(b []byte) (filled []byte) {
		for len(filled) < (len(b)+block-1)/block*block {
			filled = append(filled, b...)
		}
		return filled[:(len(b)+block-1)/block*block]
	}
	d, i := bytes.Repeat([]byte{purpose}, block), append(fit(salt), fit(secret)...)
	one, modulus := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), block*8)
	for len(out) < n {
		a := sha1.Sum(append(bytes.Clone(d), i...))
		for range rounds - 1 {
			a = sha1.Sum(a[:])
		}
		out = append(out, a[:]...)
		b := bytes.Repeat(a[:], block/len(a)+1)[:block]
		for j := 0; j < len(i); j += block {
			sum := new(big.Int).SetBytes(i[j : j+block])
			sum.Add(sum, new(big.Int).SetBytes(b)).Add(sum, one).Mod(sum, modulus)
			sum.FillBytes(i[j : j+block])
		}
	}
	return out[:n]
}
