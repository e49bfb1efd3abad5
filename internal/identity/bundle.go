package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"acmebridge/internal/keyfile"
)

const (
	maxFile         = 1 << 20
	maxCertificates = 32
)

// Identity is a private key with its certificate and the chain of that.
type Identity struct {
	Key  crypto.Signer
	Leaf *x509.Certificate
	// Intermediates go from the issuer of the leaf upwards.
	Intermediates []*x509.Certificate
	// Root is set when it was in the file, too.
	Root *x509.Certificate
}

// Bundle is what PEM files hold, in their order.
type Bundle struct {
	Key          crypto.Signer
	Certificates []*x509.Certificate
	// Strange are blocks that belong in no identity, by their type.
	Strange []string
}

// ReadBundle reads PEM files that may hold, in any order, certificates and at
// most one private key. The same key or certificate again is not another one.
func ReadBundle(ask Passphrase, files ...[]byte) (b Bundle, err error) {
	for _, file := range files {
		if len(file) > maxFile {
			return Bundle{}, fmt.Errorf("a file of %d bytes is no identity", len(file))
		}
		blocks := 0
		for {
			var block *pem.Block
			if block, file = pem.Decode(file); block == nil {
				break
			}
			blocks++
			if err := b.add(block, ask); err != nil {
				return Bundle{}, err
			}
		}
		switch {
		case blocks == 0:
			return Bundle{}, errors.New("a file holds nothing in PEM, lines that begin with -----BEGIN")
		case bytes.Contains(file, []byte("-----BEGIN")):
			return Bundle{}, errors.New("a file holds a damaged block of PEM; was it cut off?")
		}
	}
	return b, nil
}

func (b *Bundle) add(block *pem.Block, ask Passphrase) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("a certificate cannot be read: %w", err)
		}
		if slices.ContainsFunc(b.Certificates, cert.Equal) {
			return nil
		}
		if len(b.Certificates) == maxCertificates {
			return fmt.Errorf("more than %d certificates are no chain", maxCertificates)
		}
		b.Certificates = append(b.Certificates, cert)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", keyfile.SealedType:
		key, err := parseKey(block, ask)
		if err != nil {
			return err
		}
		if b.Key != nil && !sameKey(b.Key.Public(), key.Public()) {
			return errors.New("there are two private keys; which one is it? An identity has one")
		}
		b.Key = key
	default:
		b.Strange = append(b.Strange, block.Type)
	}
	return nil
}

// Assemble finds in a bundle the certificate of its key, and puts the chain of
// that in order. Certificates that belong to neither are an error, since
// somebody meant something by them.
func Assemble(b Bundle) (Identity, error) {
	if b.Key == nil {
		return Identity{}, errors.New("there is no private key; give the file that it is in")
	}
	if len(b.Certificates) == 0 {
		return Identity{}, errors.New("there is no certificate; give the file that came from the CA")
	}
	id := Identity{Key: b.Key}
	rest := slices.Clone(b.Certificates)
	take := func(fits func(*x509.Certificate) bool) *x509.Certificate {
		i := slices.IndexFunc(rest, fits)
		if i < 0 {
			return nil
		}
		found := rest[i]
		rest = slices.Delete(rest, i, i+1)
		return found
	}
	id.Leaf = take(func(c *x509.Certificate) bool { return sameKey(c.PublicKey, b.Key.Public()) })
	if id.Leaf == nil {
		return Identity{}, fmt.Errorf("no certificate is for the private key: that of %s is for another one. Was the key made anew after the CSR?", b.Certificates[0].Subject)
	}
	for last := id.Leaf; ; {
		next := take(func(c *x509.Certificate) bool { return certified(c, last) })
		if next == nil {
			break
		}
		if last = next; certified(next, next) {
			id.Root = next
			break
		}
		id.Intermediates = append(id.Intermediates, next)
	}
	if len(rest) > 0 {
		return Identity{}, fmt.Errorf("the certificate %s belongs to no chain of %s; leave it out", rest[0].Subject, id.Leaf.Subject)
	}
	return id, nil
}

// certified reports whether issuer signed c.
func certified(issuer, c *x509.Certificate) bool {
	return bytes.Equal(issuer.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(issuer) == nil
}

// Encode returns the file: the key, the certificate, its chain, and the root if
// asked for and known.
func (id Identity) Encode(withRoot bool) ([]byte, error) {
	out, err := EncodeKey(id.Key)
	if err != nil {
		return nil, err
	}
	chain := append([]*x509.Certificate{id.Leaf}, id.Intermediates...)
	if withRoot {
		if id.Root == nil {
			return nil, errors.New("the root is in none of the files; give the one that it is in")
		}
		chain = append(chain, id.Root)
	}
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out, nil
}
