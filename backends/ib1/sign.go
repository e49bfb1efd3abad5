package ib1

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
)

// sign makes a certificate that check approves of, or none. The rehearsal has
// the real contents and the signature of a key that is thrown away.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, check func(*x509.Certificate) error) (*x509.Certificate, error) {
	own, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrKey
	}
	var err error
	if template.SignatureAlgorithm, err = algorithm(own); err != nil {
		return nil, err
	}
	trial, err := ecdsa.GenerateKey(own.Curve, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ib1: make a key for the rehearsal: %w", err)
	}
	stage := *parent
	stage.PublicKey = trial.Public()
	rehearsed, err := create(template, &stage, public, trial)
	if err != nil {
		return nil, err
	}
	if err := check(rehearsed); err != nil {
		return nil, err
	}
	cert, err := create(template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawTBSCertificate, rehearsed.RawTBSCertificate) {
		return nil, errors.New("ib1: what was signed is not what was rehearsed")
	}
	return cert, nil
}

func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	if template.SerialNumber == nil {
		return nil, fmt.Errorf("%w: it was not drawn", ErrSerial)
	}
	der, err := x509.CreateCertificate(randomFor(signer), template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("ib1: sign a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("ib1: read the certificate that was signed: %w", err)
	}
	return cert, nil
}
