package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // names a key, and protects nothing
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Signer signs answers in the name of one CA. It does not change.
type Signer struct {
	cert *x509.Certificate
	key  crypto.Signer
	hash crypto.Hash
	// Finished DER: the AlgorithmIdentifier, the responder's id, and the
	// certificates that go along, empty when the CA signs by itself.
	algorithm, id, certs []byte
}

// NewSigner makes one of a key and its certificate. The certificate is that of
// the CA itself, or one that it has issued with the usage OCSPSigning.
func NewSigner(issuer, cert *x509.Certificate, key crypto.Signer) (*Signer, error) {
	if issuer == nil || cert == nil || key == nil {
		return nil, errors.New("ocsp: a signer needs the CA's certificate, its own and its key")
	}
	s := &Signer{cert: cert, key: key}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("ocsp: the key is not the one of the signer's certificate")
	}
	if !cert.Equal(issuer) {
		if !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return nil, errors.New("ocsp: the signer's certificate lacks the extended key usage OCSPSigning")
		}
		if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) || cert.CheckSignatureFrom(issuer) != nil {
			return nil, fmt.Errorf("ocsp: the signer's certificate was not issued by %q, so nobody believes what it signs", issuer.Subject)
		}
	}
	var err error
	if err = s.setAlgorithm(); err != nil {
		return nil, err
	}
	bits, err := keyBits(cert)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(bits) //nolint:gosec // RFC 6960, section 4.2.1 has no other KeyHash
	var b cryptobyte.Builder
	b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum[:]) })
	if s.id, err = b.Bytes(); err != nil {
		return nil, err
	}
	if !cert.Equal(issuer) {
		var c cryptobyte.Builder
		c.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(cert.Raw) })
		})
		s.certs, err = c.Bytes()
	}
	return s, err
}

var signatureAlgorithms = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2},
	crypto.SHA384: {1, 2, 840, 10045, 4, 3, 3},
	crypto.SHA512: {1, 2, 840, 10045, 4, 3, 4},
}

func (s *Signer) setAlgorithm() error {
	algorithm := pkix.AlgorithmIdentifier{}
	switch k := s.key.Public().(type) {
	case *ecdsa.PublicKey:
		s.hash = map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 521: crypto.SHA512}[k.Curve.Params().BitSize]
		algorithm.Algorithm = signatureAlgorithms[s.hash]
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return errors.New("ocsp: the signer's RSA key has fewer than 2048 bits")
		}
		s.hash = crypto.SHA256
		algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}
	}
	if algorithm.Algorithm == nil {
		return fmt.Errorf("ocsp: a signer's key is of RSA, P-256, P-384 or P-521, and not %T", s.key.Public())
	}
	var err error
	s.algorithm, err = asn1.Marshal(algorithm)
	return err
}

// sign returns a complete OCSPResponse around a ResponseData.
func (s *Signer) sign(data []byte) ([]byte, error) {
	digest := s.hash.New()
	digest.Write(data)
	signature, err := s.key.Sign(rand.Reader, digest.Sum(nil), s.hash)
	if err != nil {
		return nil, fmt.Errorf("ocsp: sign: %w", err)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(data)+len(signature)+len(s.certs)+64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(successful))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(data)
						b.AddBytes(s.algorithm)
						b.AddASN1BitString(signature)
						b.AddBytes(s.certs)
					})
				})
			})
		})
	})
	return b.Bytes()
}

// keyBits are the octets of a certificate's public key, which identifiers of
// keys are hashes of.
func keyBits(c *x509.Certificate) ([]byte, error) {
	var bits asn1.BitString
	info := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	if !info.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.SEQUENCE) || !info.ReadASN1BitString(&bits) {
		return nil, errors.New("ocsp: a certificate's public key cannot be read")
	}
	return bits.RightAlign(), nil
}

// lull is how much less than an answer a signer may last: its successor may be
// there already, and is found when the issuers are read anew.
const lull = 30 * time.Second

// good reports whether what is signed now will be believed until then, or
// nearly so.
func (s *Signer) good(now, until time.Time) bool {
	return !now.Before(s.cert.NotBefore) && !until.After(s.cert.NotAfter.Add(lull))
}

// until is the end of an answer that would be good until then: nobody believes
// one when its signer has ended.
func (s *Signer) until(then time.Time) time.Time {
	if then.After(s.cert.NotAfter) {
		return s.cert.NotAfter
	}
	return then
}
