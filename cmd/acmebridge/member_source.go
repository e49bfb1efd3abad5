package main

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"acmebridge/acme/jws"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

// source is where a list comes from, who has to have signed it, and whether it is
// only tried.
type source struct {
	signedBy, signature string
	dryRun              bool
}

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.signedBy, "signed-by", "", "PEM file with the public keys or certificates of who may sign the list; the file is then a JWS in its compact form")
	c.Flags().StringVar(&s.signature, "signature", "", "file with a detached JWS over the list, for --signed-by")
	c.Flags().BoolVar(&s.dryRun, "dry-run", false, "say what would change, and change nothing")
}

// read gets the list from a file, and how it is to be imported.
func (s *source) read(name string) (text []byte, mode admin.ImportMode, err error) {
	mode.DryRun = s.dryRun
	if text, err = readBounded(name); err != nil {
		return nil, mode, err
	}
	signed, err := s.verify(name, text)
	if err != nil || signed.Key == nil {
		return signed.Payload, mode, err
	}
	spki, err := x509.MarshalPKIXPublicKey(signed.Key)
	if err != nil {
		return nil, mode, fmt.Errorf("name the key that signed %s: %w", name, err)
	}
	sum := sha256.Sum256(spki)
	mode.Signer, mode.IssuedAt = hex.EncodeToString(sum[:]), signed.IssuedAt
	return signed.Payload, mode, nil
}

// warnUndated tells when nothing keeps an older list from taking the place of this one.
func (p *program) warnUndated(mode admin.ImportMode) {
	if mode.Signer != "" && mode.IssuedAt.IsZero() {
		fmt.Fprintln(p.stderr, "the list does not say when it was signed (iat in the header of the signature), so an older one could be imported after it")
	}
}

// members gets a list of members from a file.
func (s *source) members(name string) ([]admin.MemberContent, admin.ImportMode, error) {
	text, mode, err := s.read(name)
	if err != nil {
		return nil, mode, err
	}
	all, err := readMembers(name, text)
	return all, mode, err
}

// verify returns the list that was signed, or the text as it is when no
// signature is asked for.
func (s *source) verify(name string, text []byte) (d jws.Document, err error) {
	if s.signedBy == "" {
		if s.signature != "" {
			return d, usage.Errorf("say who has to have signed the list, with --signed-by")
		}
		return jws.Document{Payload: text}, nil
	}
	keys, err := readPublicKeys(s.signedBy)
	if err != nil {
		return d, err
	}
	compact, detached := text, []byte(nil)
	if s.signature != "" {
		if compact, err = readBounded(s.signature); err != nil {
			return d, err
		}
		detached = text
	}
	if d, err = jws.VerifyDocument(compact, detached, keys); err != nil {
		return d, fmt.Errorf("%s, by the keys of %s: %w", name, s.signedBy, err)
	}
	return d, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, importSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > importSize {
		return nil, fmt.Errorf("%s has more than %d bytes; import it in parts", name, importSize)
	}
	return text, nil
}

// readPublicKeys reads public keys and certificates, whose keys they are.
func readPublicKeys(name string) (keys []crypto.PublicKey, err error) {
	text, err := readBounded(name)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key crypto.PublicKey
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = cert.PublicKey
			}
		default:
			err = errors.New("only public keys and certificates belong there, and not a block " + block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no public key or certificate in %s", name)
	}
	return keys, nil
}
