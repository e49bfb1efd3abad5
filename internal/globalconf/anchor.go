package globalconf

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Anchor is what a configuration is believed by.
type Anchor struct {
	Instance string
	Sources  []Source
}

// Source is a place that has the configuration, and who signs it there.
type Source struct {
	URL string
	// Certificates hold the keys of the signer. Nothing else of them counts.
	Certificates []*x509.Certificate
}

type anchorXML struct {
	XMLName  xml.Name `xml:"configurationAnchor"`
	Instance string   `xml:"instanceIdentifier"`
	Sources  []struct {
		URL   string   `xml:"downloadURL"`
		Certs []string `xml:"verificationCert"`
	} `xml:"source"`
}

// ParseAnchor reads a configuration anchor as the Central Server of an instance
// offers it for download. Whoever can write this file decides who the members
// are, so compare its hash with the one that the Central Server shows.
func ParseAnchor(text []byte) (Anchor, error) {
	var in anchorXML
	if err := decode(text, &in); err != nil {
		return Anchor{}, fmt.Errorf("the configuration anchor cannot be read: %w", err)
	}
	a := Anchor{Instance: strings.TrimSpace(in.Instance)}
	if a.Instance == "" {
		return a, errors.New("the configuration anchor names no instance")
	}
	for _, s := range in.Sources {
		source := Source{URL: strings.TrimSpace(s.URL)}
		if u, err := url.Parse(source.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return a, fmt.Errorf("the configuration anchor has a source without a URL of http or https: %.100q", source.URL)
		}
		for _, c := range s.Certs {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c), ""))
			if err != nil {
				return a, fmt.Errorf("a certificate of the configuration anchor is not in base64: %w", err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return a, fmt.Errorf("a certificate of the configuration anchor cannot be read: %w", err)
			}
			source.Certificates = append(source.Certificates, cert)
		}
		if len(source.Certificates) == 0 {
			return a, fmt.Errorf("the configuration anchor does not say who signs at %s", source.URL)
		}
		a.Sources = append(a.Sources, source)
	}
	if len(a.Sources) == 0 {
		return a, errors.New("the configuration anchor has no source")
	}
	return a, nil
}
