//go:build pkcs11

package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"

	"github.com/miekg/pkcs11"
)

// curves are those that keys are made on, with their names in DER.
var curves = []struct {
	curve elliptic.Curve
	oid   asn1.ObjectIdentifier
}{
	{elliptic.P256(), asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}},
	{elliptic.P384(), asn1.ObjectIdentifier{1, 3, 132, 0, 34}},
}

// key is a private key in the token. It holds no handle: that would not outlive
// the session.
type key struct {
	token  *Token
	label  string
	public *ecdsa.PublicKey
}

func (t *Token) label(name string) string { return t.cfg.Prefix + "/" + name }

// Create makes a key, or returns the one that has the name already.
func (t *Token) Create(name string, curve elliptic.Curve) (crypto.Signer, error) {
	if k, err := t.Open(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		if err == nil && k.Public().(*ecdsa.PublicKey).Curve != curve {
			return nil, fmt.Errorf("hsm: the key %s in the token is not on the curve %s", t.label(name), curve.Params().Name)
		}
		return k, err
	}
	err := t.with(func(c *pkcs11.Ctx, s pkcs11.SessionHandle) error { return t.generate(c, s, name, curve) })
	if err != nil {
		return nil, fmt.Errorf("hsm: make the key %s: %w", t.label(name), err)
	}
	return t.Open(name)
}

func (t *Token) generate(c *pkcs11.Ctx, s pkcs11.SessionHandle, name string, curve elliptic.Curve) error {
	var parameters []byte
	for _, known := range curves {
		if known.curve == curve {
			var err error
			if parameters, err = asn1.Marshal(known.oid); err != nil {
				return err
			}
		}
	}
	if parameters == nil {
		return fmt.Errorf("keys on %s are not made here", curve.Params().Name)
	}
	label := t.label(name)
	id := sha256.Sum256([]byte(label))
	_, _, err := c.GenerateKeyPair(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
			pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, parameters),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, id[:20]),
		},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, id[:20]),
		})
	return err
}

// Open returns a key, or an error that is fs.ErrNotExist.
func (t *Token) Open(name string) (crypto.Signer, error) {
	k := &key{token: t, label: t.label(name)}
	err := t.with(func(c *pkcs11.Ctx, s pkcs11.SessionHandle) error {
		if _, err := find(c, s, pkcs11.CKO_PRIVATE_KEY, k.label); err != nil {
			return err
		}
		handle, err := find(c, s, pkcs11.CKO_PUBLIC_KEY, k.label)
		if err != nil {
			return fmt.Errorf("its public half: %w", err)
		}
		values, err := c.GetAttributeValue(s, handle, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, nil), pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil),
		})
		if err != nil {
			return fmt.Errorf("read its public half: %w", err)
		}
		k.public, err = publicKey(values[0].Value, values[1].Value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hsm: open the key %s: %w", k.label, err)
	}
	return k, nil
}

// publicKey reads a point, which the standard wants wrapped in an OCTET STRING
// and some modules give as it is.
func publicKey(parameters, point []byte) (*ecdsa.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(parameters, &oid); err != nil || len(rest) > 0 {
		return nil, errors.New("its curve is not given by name")
	}
	for _, known := range curves {
		if !known.oid.Equal(oid) {
			continue
		}
		// By its length: one bare point in 256 begins like an OCTET STRING.
		var plain []byte
		if bare := 1 + 2*((known.curve.Params().BitSize+7)/8); len(point) != bare {
			if rest, err := asn1.Unmarshal(point, &plain); err != nil || len(rest) > 0 {
				return nil, errors.New("its public half is no point")
			}
			point = plain
		}
		return ecdsa.ParseUncompressedPublicKey(known.curve, point)
	}
	return nil, fmt.Errorf("its curve %s is neither P-256 nor P-384", oid)
}

// Has reports whether there is a key.
func (t *Token) Has(name string) (bool, error) {
	err := t.with(func(c *pkcs11.Ctx, s pkcs11.SessionHandle) error {
		_, err := find(c, s, pkcs11.CKO_PRIVATE_KEY, t.label(name))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("hsm: look for the key %s: %w", t.label(name), err)
	}
	return true, nil
}

// find wants exactly one object: of two keys with one label nobody could say
// which is meant.
func find(c *pkcs11.Ctx, s pkcs11.SessionHandle, class uint, label string) (pkcs11.ObjectHandle, error) {
	if err := c.FindObjectsInit(s, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}); err != nil {
		return 0, err
	}
	found, _, err := c.FindObjects(s, 2)
	if err = errors.Join(err, c.FindObjectsFinal(s)); err != nil {
		return 0, err
	}
	switch len(found) {
	case 0:
		return 0, fs.ErrNotExist
	case 1:
		return found[0], nil
	}
	return 0, errors.New("the token has several of this label")
}

// Public implements crypto.Signer.
func (k *key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer. The randomness is the token's.
func (k *key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc().Size() != len(digest) {
		return nil, errors.New("hsm: what is signed is not a digest of the kind that is said")
	}
	size := (k.public.Curve.Params().BitSize + 7) / 8
	var raw []byte
	err := k.token.with(func(c *pkcs11.Ctx, s pkcs11.SessionHandle) error {
		handle, err := find(c, s, pkcs11.CKO_PRIVATE_KEY, k.label)
		if err != nil {
			return err
		}
		if err := c.SignInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, handle); err != nil {
			return err
		}
		raw, err = c.Sign(s, digest)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hsm: sign with %s: %w", k.label, err)
	}
	if len(raw) != 2*size {
		return nil, fmt.Errorf("hsm: sign with %s: a signature of %d bytes, want %d", k.label, len(raw), 2*size)
	}
	signature, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])})
	if err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	// Faults of hardware are no rumour, and one signature too many can give the
	// key away.
	if !ecdsa.VerifyASN1(k.public, digest, signature) {
		return nil, fmt.Errorf("hsm: the signature of %s is wrong, so it is not used; look after the hardware", k.label)
	}
	return signature, nil
}
