package globalconf

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	// The hashes of signatures and parts.
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// maxParts bounds the parts of a directory; instances have a handful.
const maxParts = 256

// part is one file of a configuration.
type part struct {
	identifier, instance, location string
	hash                           crypto.Hash
	digest                         []byte
}

// hashes are those of XML Encryption and its relatives, without SHA-1.
var hashes = map[string]crypto.Hash{
	"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
}

// signatures are the algorithms of XML Signature that X-Road signs with.
var signatures = map[string]crypto.Hash{
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   crypto.SHA384,
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   crypto.SHA512,
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": crypto.SHA512,
}

// readDirectory reads a signed directory whose signature is by one of the
// certificates, and that has not expired.
func readDirectory(contentType string, body []byte, signers []*x509.Certificate, now time.Time) ([]part, error) {
	contentType, body = ownHeader(contentType, body)
	outer, err := multiparts(contentType, body, "multipart/related")
	if err != nil {
		return nil, err
	}
	if len(outer) != 2 {
		return nil, fmt.Errorf("the configuration has %d parts and not two, a directory and its signature", len(outer))
	}
	if err := verify(outer[0].body, outer[1], signers); err != nil {
		return nil, err
	}
	inner, err := multiparts(outer[0].header.Get("Content-Type"), outer[0].body, "multipart/mixed")
	if err != nil {
		return nil, err
	}
	if len(inner) == 0 {
		return nil, errors.New("the directory of the configuration is empty")
	}
	expires, err := time.Parse(time.RFC3339, inner[0].header.Get("Expire-Date"))
	if err != nil {
		return nil, errors.New("the directory of the configuration does not say when it expires")
	}
	if !now.Before(expires) {
		return nil, fmt.Errorf("the configuration has expired at %s: its Central Server has signed no other since, or what lies in between keeps old answers", expires.Format(time.RFC3339))
	}
	var parts []part
	for _, p := range inner[1:] {
		one, err := readPart(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, one)
	}
	return parts, nil
}

// verify wants a signature over the directory as it was sent.
func verify(directory []byte, signature message, signers []*x509.Certificate) error {
	algorithm := signature.header.Get("Signature-Algorithm-Id")
	hash, ok := signatures[algorithm]
	if !ok {
		return fmt.Errorf("the configuration is signed by the algorithm %.100q, which is not trusted here", algorithm)
	}
	value, err := unbase64(signature.body)
	if err != nil {
		return fmt.Errorf("the signature of the configuration is not in base64: %w", err)
	}
	// The line end before the delimiter belongs to the delimiter (RFC 2046,
	// 5.1.1), and not every signer sees it so; Central Servers put one more
	// there. Either way all that is read is signed.
	for _, signed := range [][]byte{directory, append(bytes.Clone(directory), "\r\n"...), bytes.TrimRight(directory, "\r\n")} {
		h := hash.New()
		_, _ = h.Write(signed) // a hash takes everything
		sum := h.Sum(nil)
		for _, signer := range signers {
			switch key := signer.PublicKey.(type) {
			case *rsa.PublicKey:
				if strings.Contains(algorithm, "#rsa-") && rsa.VerifyPKCS1v15(key, hash, sum, value) == nil {
					return nil
				}
			case *ecdsa.PublicKey:
				if strings.Contains(algorithm, "#ecdsa-") && ecdsa.VerifyASN1(key, sum, value) {
					return nil
				}
			}
		}
	}
	return errors.New("the signature of the configuration is by none of the certificates of the anchor: has the instance changed its signing key? Then get its new anchor")
}

func readPart(m message) (p part, err error) {
	identifier, parameters, err := mime.ParseMediaType(m.header.Get("Content-Identifier"))
	if err != nil && m.header.Get("Content-Identifier") != "" {
		return p, fmt.Errorf("a part of the configuration has an identifier that cannot be read: %w", err)
	}
	// Central Servers write instance='EX', and the quotes of MIME are others.
	instance := parameters["instance"]
	if len(instance) > 1 && strings.HasPrefix(instance, "'") && strings.HasSuffix(instance, "'") {
		instance = instance[1 : len(instance)-1]
	}
	p.identifier, p.instance, p.location = strings.ToUpper(identifier), instance, m.header.Get("Content-Location")
	algorithm := m.header.Get("Hash-Algorithm-Id")
	var ok bool
	if p.hash, ok = hashes[algorithm]; !ok {
		return p, fmt.Errorf("a part of the configuration is hashed by %.100q, which is not trusted here", algorithm)
	}
	if p.digest, err = unbase64(m.body); err != nil || len(p.digest) != p.hash.Size() {
		return p, fmt.Errorf("the hash of %s in the configuration is no hash", p.location)
	}
	return p, nil
}

// ownHeader separates a header that stands at the beginning of a body: Central
// Servers publish a file that is a whole MIME message, so that the boundary is in
// the file and not in what HTTP says of it.
func ownHeader(contentType string, body []byte) (string, []byte) {
	if bytes.HasPrefix(body, []byte("--")) {
		return contentType, body
	}
	r := bufio.NewReader(bytes.NewReader(body))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil || header.Get("Content-Type") == "" {
		return contentType, body
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return contentType, body
	}
	return header.Get("Content-Type"), rest
}

// message is a part of a multipart message.
type message struct {
	header textproto.MIMEHeader
	body   []byte
}

func multiparts(contentType string, body []byte, want string) (all []message, err error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != want || parameters["boundary"] == "" {
		return nil, fmt.Errorf("this is no %s of a global configuration: the content type is %.100q", want, contentType)
	}
	r := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the configuration is damaged: %w", err)
		}
		if len(all) == maxParts {
			return nil, fmt.Errorf("the configuration has more than %d parts", maxParts)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("the configuration is damaged: %w", err)
		}
		all = append(all, message{p.Header, content})
	}
}

func unbase64(text []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
}
