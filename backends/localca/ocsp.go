package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"acmebridge/backends"
)

// oidNoCheck says that nobody needs to ask whether the signer itself was
// revoked (RFC 6960, section 4.2.2.2.1): it does not live long enough.
var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// StatusSigners implements backends.StatusDelegate. An issuer that has ended
// needs nobody to speak for it: all that it signed has ended too.
func (c *CA) StatusSigners() []backends.StatusSigner {
	if !c.cfg.OCSP {
		return nil
	}
	now := c.cfg.Now()
	var all []backends.StatusSigner
	for _, is := range c.state.Load().issuers {
		if !now.After(is.cert.NotAfter) {
			all = append(all, backends.StatusSigner{Name: is.signerName, Issuer: is.cert.Raw})
		}
	}
	return all
}

// CertifySigner implements backends.StatusDelegate.
func (c *CA) CertifySigner(name string, number int64, at time.Time) (der []byte, next time.Time, err error) {
	is, err := c.signerIssuer(name)
	if err != nil {
		return nil, next, err
	}
	key, err := is.signerKey(number)
	if err != nil {
		return nil, next, err
	}
	end := at.Add(c.cfg.SignerValidity)
	if end.After(is.cert.NotAfter) {
		end = is.cert.NotAfter
	}
	template := &x509.Certificate{
		Subject:   c.cfg.name(fmt.Sprintf("%s OCSP responder %d", c.cfg.label(is.number), number)),
		NotBefore: begin(at, c.cfg.Backdate), NotAfter: end.UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}},
	}
	if template.NotBefore.Before(is.cert.NotBefore) {
		template.NotBefore = is.cert.NotBefore
	}
	if template.SubjectKeyId, err = keyID(&key.PublicKey); err != nil {
		return nil, next, err
	}
	// Everything that another certificate could differ in is in the number.
	seed := fmt.Sprintf("ocsp %d %d %d %x", number, template.NotBefore.Unix(), template.NotAfter.Unix(), template.SubjectKeyId)
	template.SerialNumber = is.serial(seed, nil)
	if der, err = x509.CreateCertificate(nil, template, is.cert, key.Public(), is.key); err != nil {
		return nil, next, fmt.Errorf("localca: certify a key that signs OCSP answers: %w", err)
	}
	return der, at.Add(end.Sub(at) / 2), nil
}

// SignerKey implements backends.StatusDelegate.
func (c *CA) SignerKey(name string, number int64) (crypto.Signer, error) {
	is, err := c.signerIssuer(name)
	if err != nil {
		return nil, err
	}
	return is.signerKey(number)
}

func (c *CA) signerIssuer(name string) (*issuer, error) {
	for _, is := range c.state.Load().issuers {
		if is.signerName == name {
			return is, nil
		}
	}
	return nil, fmt.Errorf("localca: nobody here signs OCSP answers under the name %s", name)
}

// signerKey derives the key from the issuer's, so that it is nowhere on the disk
// and survives every crash. Who knows it learns nothing of the issuer's; who has
// the issuer's could certify any key for the purpose anyway.
func (is *issuer) signerKey(number int64) (*ecdsa.PrivateKey, error) {
	scalar, err := is.key.Bytes()
	if err != nil {
		return nil, err
	}
	size := (is.key.Curve.Params().BitSize + 7) / 8
	for try := range 16 {
		b, err := hkdf.Key(sha256.New, scalar, nil, fmt.Sprintf("acmebridge localca OCSP signer %d.%d", number, try), size)
		if err != nil {
			return nil, err
		}
		// Hardly ever is a number not below the order of the curve.
		if key, err := ecdsa.ParseRawPrivateKey(is.key.Curve, b); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("localca: no key that signs OCSP answers comes of issuing key %d", is.number)
}
