package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"acmebridge/acme"
)

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidServerAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidClientAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

const (
	maxCommonName = 64  // RFC 5280, appendix A.1
	maxNames      = 250 // what the CAs take in one certificate
)

// Names brings DNS names and IP addresses to the form in which they stand in
// certificates: lower case, internationalized names as A-labels. Each has to be
// a complete name, without a wildcard and without a dot at its end.
func Names(given []string) ([]string, error) {
	if len(given) == 0 {
		return nil, errors.New("there is no name")
	}
	if len(given) > maxNames {
		return nil, fmt.Errorf("%d names are too many; CAs take %d", len(given), maxNames)
	}
	policy := acme.IdentifierPolicy{Types: []acme.IdentifierType{acme.DNSIdentifier, acme.IPIdentifier}, Max: maxNames}
	var names []string
	for _, name := range given {
		switch {
		case strings.HasSuffix(name, "."):
			return nil, fmt.Errorf("%q ends with a dot; leave it out", name)
		case strings.Contains(name, "*"):
			return nil, fmt.Errorf("%q is a wildcard, and an identity is for the names of one participant; write each of them", name)
		}
		kind := acme.DNSIdentifier
		if _, err := netip.ParseAddr(name); err == nil {
			kind = acme.IPIdentifier
		}
		id, _, p := acme.ParseIdentifier(acme.Identifier{Type: kind, Value: strings.ToLower(name)}, policy)
		if p != nil {
			return nil, fmt.Errorf("%q: %s", name, p.Detail)
		}
		if slices.Contains(names, id.Value) {
			return nil, fmt.Errorf("%s is given twice", id.Value)
		}
		names = append(names, id.Value)
	}
	if len(names[0]) > maxCommonName {
		return nil, fmt.Errorf("%s has %d characters, and the first name becomes the common name, which has at most %d; put a shorter one first", names[0], len(names[0]), maxCommonName)
	}
	return names, nil
}

// NewRequest returns the DER of a CSR for names as Names returns them: the first
// is the common name, and both usages are requested.
func NewRequest(names []string, key crypto.Signer) ([]byte, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
			continue
		}
		template.DNSNames = append(template.DNSNames, name)
	}
	usage := asn1.BitString{Bytes: []byte{0x80}, BitLength: 1} // digitalSignature
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		usage = asn1.BitString{Bytes: []byte{0xa0}, BitLength: 3} // and keyEncipherment
	}
	for _, e := range []struct {
		id       asn1.ObjectIdentifier
		critical bool
		value    any
	}{
		{oidKeyUsage, true, usage},
		{oidExtKeyUsage, false, []asn1.ObjectIdentifier{oidServerAuth, oidClientAuth}},
		{oidBasicConstraints, true, struct{}{}}, // of which "no CA" is the default
	} {
		der, err := asn1.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: e.id, Critical: e.critical, Value: der})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	// What was asked for is read again: the encoding is ours in part.
	r, err := ReadRequest(der)
	switch {
	case err != nil:
		return nil, err
	case !slices.Equal(sorted(r.Names), sorted(names)), !r.ServerAuth, !r.ClientAuth:
		return nil, fmt.Errorf("the CSR asks for %v and not for %v", r.Names, names)
	}
	return der, nil
}

// Request is what a CSR asks for.
type Request struct {
	Key        string   `json:"key"`
	CommonName string   `json:"common_name"`
	Names      []string `json:"names"`
	ServerAuth bool     `json:"server_auth"`
	ClientAuth bool     `json:"client_auth"`
	// Warnings say what a CA may stumble over.
	Warnings []string `json:"warnings"`
}

// ReadRequest reads a CSR in DER, whose signature has to be right.
func ReadRequest(der []byte) (Request, error) {
	csr, p := acme.ParseCSR(der)
	if p != nil {
		return Request{}, errors.New(p.Detail)
	}
	r := Request{Key: describeKey(csr.PublicKey), CommonName: csr.CommonName, Names: []string{}, Warnings: []string{}}
	for _, id := range csr.Identifiers {
		r.Names = append(r.Names, id.Value)
	}
	usages, err := extendedUsages(csr.Extensions)
	if err != nil {
		return Request{}, err
	}
	r.ServerAuth, r.ClientAuth = has(usages, oidServerAuth), has(usages, oidClientAuth)
	if _, err := Names(r.Names); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	}
	if !csr.HasSAN {
		r.Warnings = append(r.Warnings, "there is no subject alternative name; CAs take names from there")
	}
	for _, kind := range csr.OtherNames {
		r.Warnings = append(r.Warnings, "there is a subject alternative name of the kind "+kind+", which no identity has")
	}
	if !r.ServerAuth {
		r.Warnings = append(r.Warnings, "serverAuth is not requested; where the form of the CA offers it, tick it")
	}
	if !r.ClientAuth {
		r.Warnings = append(r.Warnings, "clientAuth is not requested; where the form of the CA offers it, tick it")
	}
	if p := acme.CheckCertificateKey(csr.PublicKey, acme.KeyPolicy{Types: []string{"rsa", "p256", "p384"}}); p != nil {
		r.Warnings = append(r.Warnings, p.Detail)
	}
	return r, nil
}

func extendedUsages(extensions []pkix.Extension) (usages []asn1.ObjectIdentifier, err error) {
	for _, e := range extensions {
		if !e.Id.Equal(oidExtKeyUsage) {
			continue
		}
		rest, err := asn1.Unmarshal(e.Value, &usages)
		if err != nil || len(rest) > 0 {
			return nil, errors.New("the extended key usages that the CSR asks for cannot be read")
		}
	}
	return usages, nil
}

func has(usages []asn1.ObjectIdentifier, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(usages, id.Equal)
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
