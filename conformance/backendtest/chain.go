package backendtest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

var extUsages = map[acme.Usage]x509.ExtKeyUsage{
	acme.ServerAuth:      x509.ExtKeyUsageServerAuth,
	acme.ClientAuth:      x509.ExtKeyUsageClientAuth,
	acme.CodeSigning:     x509.ExtKeyUsageCodeSigning,
	acme.EmailProtection: x509.ExtKeyUsageEmailProtection,
}

// keeps returns what is wrong with a chain for a request.
func keeps(chain [][]byte, r backends.Request, s Subject) error {
	certs, err := parseChain(chain)
	if err != nil {
		return err
	}
	leaf := certs[0]
	return errors.Join(
		checkLeaf(leaf, r),
		checkValidity(leaf, r, s.Backend.Traits()),
		checkPath(certs, r, s.Roots),
	)
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("the chain is empty")
	}
	var certs []*x509.Certificate
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain: %w", i, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

func checkLeaf(leaf *x509.Certificate, r backends.Request) error {
	c := r.Contract
	var names, wantNames []string
	names = append(names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, id := range c.Identifiers {
		if id.Type == acme.IPIdentifier {
			wantNames = append(wantNames, net.ParseIP(id.Value).String())
		} else {
			wantNames = append(wantNames, id.Value)
		}
	}
	slices.Sort(names)
	slices.Sort(wantNames)
	var usages, wantUsages []x509.ExtKeyUsage
	usages = append(usages, leaf.ExtKeyUsage...)
	for _, u := range c.Usages {
		wantUsages = append(wantUsages, extUsages[u])
	}
	slices.Sort(usages)
	slices.Sort(wantUsages)
	wantCommonName := ""
	if c.Subject == acme.SubjectCommonName {
		wantCommonName = c.CommonName
	}

	var found []error
	wrong := func(format string, args ...any) { found = append(found, fmt.Errorf(format, args...)) }
	if !bytes.Equal(leaf.RawSubjectPublicKeyInfo, r.PublicKey) {
		wrong("the public key is not the one that was asked for")
	}
	if !slices.Equal(names, wantNames) {
		wrong("the names are %q, want %q", names, wantNames)
	}
	if len(leaf.EmailAddresses)+len(leaf.URIs) > 0 {
		wrong("there are mail addresses or URIs that nobody asked for")
	}
	if !slices.Equal(usages, wantUsages) || len(leaf.UnknownExtKeyUsage) > 0 {
		wrong("the extended key usages are %v and %v, want %v", usages, leaf.UnknownExtKeyUsage, wantUsages)
	}
	if c.Subject == acme.SubjectByCA && slices.Contains(wantNames, leaf.Subject.CommonName) {
		wantCommonName = leaf.Subject.CommonName // the CA's choice among the names
	}
	if leaf.Subject.CommonName != wantCommonName {
		wrong("the common name is %q, want %q", leaf.Subject.CommonName, wantCommonName)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		wrong("the key usage %b does not fit an end entity", leaf.KeyUsage)
	}
	if leaf.IsCA {
		wrong("the leaf is a CA")
	}
	if leaf.SerialNumber.Sign() <= 0 || len(leaf.SerialNumber.Bytes()) > 20 {
		wrong("the serial number %x is not positive in 20 octets", leaf.SerialNumber)
	}
	return errors.Join(found...)
}

// backdating is how far before the order a CA may let a certificate begin.
const backdating = 25 * time.Hour

func checkValidity(leaf *x509.Certificate, r backends.Request, t backends.Traits) error {
	want := r.Contract.NotAfter.UTC().Truncate(time.Second)
	switch {
	case t.HonoursNotAfter && !leaf.NotAfter.Equal(want):
		return fmt.Errorf("the certificate ends at %s and not at %s, although the traits promise that", leaf.NotAfter, want)
	case !leaf.NotAfter.After(r.At):
		return fmt.Errorf("the certificate ended at %s, before it was asked for", leaf.NotAfter)
	case leaf.NotBefore.After(r.At) && leaf.NotBefore.After(r.Contract.NotBefore):
		return fmt.Errorf("the certificate begins at %s, later than asked for", leaf.NotBefore)
	case leaf.NotBefore.Before(r.At.Add(-backdating)):
		return fmt.Errorf("the certificate began at %s, long before it was asked for", leaf.NotBefore)
	case t.MaxValidity > 0 && leaf.NotAfter.Sub(leaf.NotBefore) > t.MaxValidity+backdating:
		return fmt.Errorf("the certificate is valid for %s, the traits promise no more than %s", leaf.NotAfter.Sub(leaf.NotBefore), t.MaxValidity)
	}
	return nil
}

func checkPath(certs []*x509.Certificate, r backends.Request, roots [][]byte) error {
	for i := 1; i < len(certs); i++ {
		if err := certs[i-1].CheckSignatureFrom(certs[i]); err != nil {
			return fmt.Errorf("certificate %d of the chain does not certify the one before: %w", i, err)
		}
	}
	if len(roots) == 0 {
		return errors.New("no roots are known to check the chain against: set Subject.Roots")
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: r.At}
	if r.Contract.NotBefore.After(r.At) {
		options.CurrentTime = r.Contract.NotBefore
	}
	for _, der := range roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("a root: %w", err)
		}
		options.Roots.AddCert(root)
	}
	for _, c := range certs[1:] {
		options.Intermediates.AddCert(c)
	}
	for _, u := range r.Contract.Usages {
		options.KeyUsages = []x509.ExtKeyUsage{extUsages[u]}
		if _, err := certs[0].Verify(options); err != nil {
			return fmt.Errorf("the chain does not lead to the roots for %s: %w", u, err)
		}
	}
	return nil
}
