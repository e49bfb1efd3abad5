package localca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// An alternate chain leads from this CA to somebody else's root: another root
// has certified ours, or one of our issuing keys, and those who trust that one
// need nothing new. The certificate for that is not made here, because its key
// is not here; a file brings it.

const (
	maxAlternateFile  = 256 << 10 // PX-5
	maxAlternateLinks = 6
)

// alternate is what lies above an issuing certificate on one further way, the
// root that it ends in last.
type alternate struct {
	// certs begins in place of an issuing certificate, or, when of is nil, in
	// place of our root: then it serves every issuer.
	certs []*x509.Certificate
	of    *issuer
	path  string
}

// lifetime is the time in which all certificates of the chain are valid.
func (a alternate) lifetime() (since, until time.Time) {
	until = a.certs[0].NotAfter
	for _, cert := range a.certs {
		if cert.NotBefore.After(since) {
			since = cert.NotBefore
		}
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	return since, until
}

// inForce reports whether the chain can be given to anybody. One that has ended
// does not keep the CA from starting: nobody needs it to be up.
func (a alternate) inForce(now time.Time) bool {
	since, until := a.lifetime()
	return !now.Before(since) && now.Before(until)
}

// readAlternates reads the configured files and checks that each of them leads
// from this CA to a root.
func readAlternates(paths []string, s *state) ([]alternate, error) {
	var all []alternate
	for _, path := range paths {
		a, err := readAlternate(path, s)
		if err != nil {
			return nil, fmt.Errorf("alternate chain %s: %w", path, err)
		}
		all = append(all, a)
	}
	return all, nil
}

func readAlternate(path string, s *state) (alternate, error) {
	certs, err := readChain(path)
	if err != nil {
		return alternate{}, err
	}
	a := alternate{certs: certs, path: path}
	first, last := certs[0], certs[len(certs)-1]
	if !sameAuthority(first, s.root) {
		for _, is := range s.issuers {
			if sameAuthority(first, is.cert) {
				a.of = is
			}
		}
		if a.of == nil {
			return a, fmt.Errorf("its first certificate, of %q, has neither the name and key of this CA's root, %q, nor those of one of its issuers", first.Subject, s.root.Subject)
		}
	}
	for i, cert := range certs {
		// Many roots say nothing of their key usage, which allows all of it.
		signs := cert.KeyUsage&x509.KeyUsageCertSign != 0 || cert == last && cert.KeyUsage == 0
		if !cert.BasicConstraintsValid || !cert.IsCA || !signs {
			return a, fmt.Errorf("certificate %d, of %q, is not a CA certificate with the key usage keyCertSign", i+1, cert.Subject)
		}
		if cert == last {
			break
		}
		if err := cert.CheckSignatureFrom(certs[i+1]); err != nil {
			return a, fmt.Errorf("certificate %d, of %q, is not signed by the next one, of %q: %w", i+1, cert.Subject, certs[i+1].Subject, err)
		}
	}
	if !bytes.Equal(last.RawSubject, last.RawIssuer) || last.CheckSignatureFrom(last) != nil {
		return a, fmt.Errorf("its last certificate, of %q, is no root: append those up to the root that it is to lead to", last.Subject)
	}
	if bytes.Equal(last.Raw, s.root.Raw) {
		return a, errors.New("it ends in this CA's own root, as the usual chain does")
	}
	return a, nil
}

// sameAuthority reports whether two certificates are of one name and key.
func sameAuthority(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// readChain reads a file of certificates and nothing else.
func readChain(path string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) > maxAlternateFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxAlternateFile)
	}
	var certs []*x509.Certificate
	for len(bytes.TrimSpace(data)) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("it holds something that is not PEM")
		}
		if block.Type != certType {
			return nil, fmt.Errorf("it holds a PEM block of type %q and not only certificates", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d: %w", len(certs)+1, err)
		}
		if certs = append(certs, cert); len(certs) > maxAlternateLinks {
			return nil, fmt.Errorf("it has more than %d certificates", maxAlternateLinks)
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return certs, nil
}

// AlternateChains implements backends.CrossSigned. The roots themselves are
// left out, as in the usual chain.
func (c *CA) AlternateChains() [][][]byte {
	s, now := c.state.Load(), c.cfg.Now()
	var chains [][][]byte
	for _, a := range s.alternates {
		if !a.inForce(now) {
			continue
		}
		above := rawOf(a.certs[:len(a.certs)-1])
		if a.of != nil {
			chains = append(chains, above)
			continue
		}
		for _, is := range s.issuers {
			chains = append(chains, append([][]byte{is.cert.Raw}, above...))
		}
	}
	return chains
}

func rawOf(certs []*x509.Certificate) [][]byte {
	raw := make([][]byte, len(certs))
	for i, cert := range certs {
		raw[i] = cert.Raw
	}
	return raw
}
