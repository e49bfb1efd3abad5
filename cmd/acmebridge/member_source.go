package main

import (
	"crypto"
	"crypto/x509"
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

// source is where a list comes from, and who has to have signed it.
type source struct{ signedBy, signature string }

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.signedBy, "signed-by", "", "PEM file with the public keys or certificates of who may sign the list; the file is then a JWS in its compact form")
	c.Flags().StringVar(&s.signature, "signature", "", "file with a detached JWS over the list, for --signed-by")
}

// read gets the list from a file.
func (s *source) read(name string) ([]byte, error) {
	text, err := readBounded(name)
	if err != nil {
		return nil, err
	}
	return s.verify(name, text)
}

// members gets a list of members from a file.
func (s *source) members(name string) ([]admin.MemberContent, error) {
	text, err := s.read(name)
	if err != nil {
		return nil, err
	}
	return readMembers(name, text)
}

// verify returns the list that was signed, or the text as it is when no
// signature is asked for.
func (s *source) verify(name string, text []byte) ([]byte, error) {
	if s.signedBy == "" {
		if s.signature != "" {
			return nil, usage.Errorf("say who has to have signed the list, with --signed-by")
		}
		return text, nil
	}
	keys, err := readPublicKeys(s.signedBy)
	if err != nil {
		return nil, err
	}
	compact, detached := text, []byte(nil)
	if s.signature != "" {
		if compact, err = readBounded(s.signature); err != nil {
			return nil, err
		}
		detached = text
	}
	list, err := jws.VerifyDocument(compact, detached, keys)
	if err != nil {
		return nil, fmt.Errorf("%s, by the keys of %s: %w", name, s.signedBy, err)
	}
	return list, nil
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
