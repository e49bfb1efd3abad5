package ib1

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// trialKeys sign rehearsals and nothing else. Nobody trusts them, so one of each
// kind does for as long as the program runs.
var trialKeys = map[elliptic.Curve]func() (*ecdsa.PrivateKey, error){
	elliptic.P256(): sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }),
	elliptic.P384(): sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }),
}

// sign makes a certificate that check and the linter approve of, or none. The
// rehearsal has the real contents and the signature of a key that nobody trusts;
// what the real key signs are the bytes that were looked at.
func sign(k kind, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, check func(*x509.Certificate) error) (*x509.Certificate, error) {
	rehearsed, err := approve(k, template, parent, public, signer.Public(), check)
	if err != nil {
		return nil, err
	}
	cert, err := signContents(rehearsed.RawTBSCertificate, rehearsed.SignatureAlgorithm, signer)
	if err != nil {
		return nil, err
	}
	// The key may be in a machine that errs.
	by := x509.Certificate{PublicKey: signer.Public(), PublicKeyAlgorithm: x509.ECDSA}
	if err := by.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return nil, fmt.Errorf("ib1: the key of the authority made a signature that does not verify: %w", err)
	}
	if k == rootKind {
		if err := k.check(cert.Raw); err != nil {
			return nil, err
		}
	}
	return cert, nil
}

// approve returns a rehearsal that check and the linter approve of.
func approve(k kind, template, parent *x509.Certificate, public, by crypto.PublicKey, check func(*x509.Certificate) error) (*x509.Certificate, error) {
	if template.SerialNumber == nil {
		return nil, fmt.Errorf("%w: it was not drawn", ErrSerial)
	}
	rehearsed, err := rehearse(template, parent, public, by)
	if err != nil {
		return nil, err
	}
	if err := check(rehearsed); err != nil {
		return nil, err
	}
	// A rehearsed root is none for the linter: it did not sign itself.
	if k != rootKind {
		if err := k.check(rehearsed.Raw); err != nil {
			return nil, err
		}
	}
	return rehearsed, nil
}

// rehearse puts a certificate together and has it signed with a trial key.
func rehearse(template, parent *x509.Certificate, public, by crypto.PublicKey) (*x509.Certificate, error) {
	own, ok := by.(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrKey
	}
	var err error
	if template.SignatureAlgorithm, err = algorithm(own); err != nil {
		return nil, err
	}
	trial, err := trialKeys[own.Curve]()
	if err != nil {
		return nil, fmt.Errorf("ib1: make a key for rehearsals: %w", err)
	}
	stage := *parent
	stage.PublicKey = trial.Public()
	r := recorder{PrivateKey: trial}
	if _, err := x509.CreateCertificate(nil, template, &stage, public, &r); !errors.Is(err, errRecorded) {
		return nil, fmt.Errorf("ib1: put a certificate together: %w", err)
	}
	return signContents(r.contents, template.SignatureAlgorithm, trial)
}

// recorder takes the contents of a certificate from the standard library, which
// would verify each signature that it gets. That of a rehearsal matters to
// nobody, and verifying it would take as long as all lints do.
type recorder struct {
	*ecdsa.PrivateKey
	contents []byte
}

var errRecorded = errors.New("ib1: the contents were recorded and not signed")

// SignMessage implements crypto.MessageSigner.
func (r *recorder) SignMessage(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	r.contents = bytes.Clone(message)
	return nil, errRecorded
}

// signContents makes a certificate of its contents.
func signContents(tbs []byte, with x509.SignatureAlgorithm, signer crypto.Signer) (*x509.Certificate, error) {
	hash, id := crypto.SHA256, sha256WithP256
	if with == x509.ECDSAWithSHA384 {
		hash, id = crypto.SHA384, sha384WithP384
	}
	signature, err := signDigest(signer, hash, tbs)
	if err != nil {
		return nil, fmt.Errorf("ib1: sign a certificate: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(id)
		b.AddASN1BitString(signature)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("ib1: put a signed certificate together: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("ib1: read the certificate that was signed: %w", err)
	}
	return cert, nil
}
