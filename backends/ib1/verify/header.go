package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
)

// The headers of load balancers that end TLS and pass the certificate on.
const (
	// HeaderALBLeaf has the certificate alone (Amazon ALB, mutual TLS in verify
	// mode; an nginx may be set up to send the same).
	HeaderALBLeaf = "X-Amzn-Mtls-Clientcert-Leaf"
	// HeaderALBChain has all that the client presented (pass-through mode).
	HeaderALBChain = "X-Amzn-Mtls-Clientcert"

	albPrefix = "X-Amzn-Mtls-"
)

// The bounds of what is read out of a header.
const (
	headerBytes        = 64 << 10
	headerCertificates = 8
)

// FromHeader reads the certificates in a header: PEM, percent-encoded. This is
// what ALB sends and what nginx has in $ssl_client_escaped_cert. chain allows
// more than one.
func FromHeader(h http.Header, name string, chain bool) ([]*x509.Certificate, error) {
	values := h.Values(name)
	if len(values) == 0 || len(values) == 1 && (values[0] == "" || values[0] == "-") {
		return nil, CertificateMissing.becausef("there is no header %s", name)
	}
	if len(values) > 1 {
		// One is from the proxy, and the other was sent by the client.
		return nil, CertificateMalformed.becausef("there are %d headers %s: the proxy must remove those from outside", len(values), name)
	}
	if len(values[0]) > headerBytes {
		return nil, CertificateMalformed.becausef("header %s has more than %d bytes", name, headerBytes)
	}
	// Not QueryUnescape: a plus sign is left as it is by the proxies and would
	// become a space there.
	text, err := url.PathUnescape(values[0])
	if err != nil {
		return nil, CertificateMalformed.becausef("header %s is not percent-encoded: %w", name, err)
	}
	certificates, err := ParsePEM([]byte(text))
	if err == nil && !chain && len(certificates) > 1 {
		err = CertificateMalformed.becausef("header %s has %d certificates and must have one", name, len(certificates))
	}
	if err != nil {
		return nil, err
	}
	return certificates, nil
}

// ParsePEM reads certificates in PEM, as API gateways hand them over. Nothing
// else may be between them.
func ParsePEM(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) || len(certificates) == headerCertificates {
			return nil, CertificateMalformed.becausef("it is not up to %d certificates in PEM and nothing else", headerCertificates)
		}
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, CertificateMalformed.becausef("it is not PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, CertificateMalformed.becausef("%w", err)
		}
		certificates = append(certificates, c)
	}
	if len(certificates) == 0 {
		return nil, CertificateMissing.becausef("no certificate is there")
	}
	return certificates, nil
}

// strip removes what a client may have sent in the name of a proxy.
func strip(h http.Header, names ...string) {
	for name := range h {
		if strings.HasPrefix(name, albPrefix) {
			delete(h, name)
		}
	}
	for _, name := range names {
		h.Del(name)
	}
}
