package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// state is what a folder holds, checked. It does not change: a rotation puts
// another one in its place.
type state struct {
	root    *x509.Certificate
	issuers []*issuer // oldest first, never empty
	// alternates are further ways to a root.
	alternates []alternate
}

func (s *state) current() *issuer { return s.issuers[len(s.issuers)-1] }

// at returns the issuer for an order of that time: the newest that was there.
func (s *state) at(begin time.Time) *issuer {
	for _, is := range slices.Backward(s.issuers) {
		if !is.cert.NotBefore.After(begin) {
			return is
		}
	}
	return s.issuers[0]
}

// issuers lists the numbers of the issuing certificates, in order.
func (f folder) issuers() ([]int, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "issuer-")
		if digits, ok2 := strings.CutSuffix(digits, ".pem"); ok && ok2 {
			if n, err := strconv.Atoi(digits); err == nil && n > 0 && strconv.Itoa(n) == digits {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// load reads a complete CA and checks that everything fits together. The key
// of the root is not read: nothing here signs with it.
func (f folder) load(cfg Config) (*state, error) {
	now := cfg.Now()
	root, err := f.readRoot(now)
	if err != nil {
		return nil, err
	}
	if err := f.checkKeyFile(rootKeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	numbers, err := f.issuers()
	if err != nil {
		return nil, err
	}
	s := &state{root: root}
	for _, n := range numbers {
		cert, err := f.readIssuer(n, root)
		if err != nil {
			return nil, err
		}
		key, sealed, err := f.readKey(issuerKeyFile(n))
		switch {
		case errors.Is(err, fs.ErrNotExist) && now.After(cert.NotAfter):
			continue // nothing that it signed is in use any more
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s is missing while certificates of that key are in use, and their revocation list must be signed: restore it from a backup", f.path(issuerKeyFile(n)))
		case err != nil:
			return nil, err
		case !key.PublicKey.Equal(cert.PublicKey):
			return nil, fmt.Errorf("%s is not the key of %s: restore both from one backup", f.path(issuerKeyFile(n)), f.path(issuerCertFile(n)))
		}
		is, err := newIssuer(cfg, n, cert, key, sealed)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", f.path(issuerCertFile(n)), err)
		}
		s.issuers = append(s.issuers, is)
	}
	if len(s.issuers) == 0 {
		return nil, fmt.Errorf("no issuing key in %s is in use any more: rotate the CA", f.dir)
	}
	last := s.current()
	if err := inDate(f.path(issuerCertFile(last.number)), last.cert, now, "rotate the CA"); err != nil {
		return nil, err
	}
	s.alternates, err = readAlternates(cfg.Alternates, s)
	return s, err
}

func (f folder) readRoot(now time.Time) (*x509.Certificate, error) {
	root, err := f.readCertificate(rootCertFile)
	if err != nil {
		return nil, err
	}
	path := f.path(rootCertFile)
	if err := mayCertify(path, root); err != nil {
		return nil, err
	}
	if !bytes.Equal(root.RawSubject, root.RawIssuer) || root.CheckSignatureFrom(root) != nil {
		return nil, fmt.Errorf("%s did not sign itself, so it is no root: restore it from a backup", path)
	}
	return root, inDate(path, root, now, "make a new CA in another folder and hand out its root")
}

func (f folder) readIssuer(number int, root *x509.Certificate) (*x509.Certificate, error) {
	cert, err := f.readCertificate(issuerCertFile(number))
	if err != nil {
		return nil, err
	}
	path := f.path(issuerCertFile(number))
	if err := mayCertify(path, cert); err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawIssuer, root.RawSubject) {
		return nil, fmt.Errorf("%s was issued by %q and not by the root %q: the files are of two CAs", path, cert.Issuer, root.Subject)
	}
	if err := cert.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("%s was not signed by the root in %s: the files are of two CAs: %w", path, f.path(rootCertFile), err)
	}
	return cert, nil
}

func mayCertify(path string, cert *x509.Certificate) error {
	const usage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&usage != usage || len(cert.SubjectKeyId) == 0 {
		return fmt.Errorf("%s is not a CA certificate that may sign certificates and revocation lists", path)
	}
	if _, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok {
		return fmt.Errorf("%s is not for a P-256 or P-384 key", path)
	}
	return nil
}

func inDate(path string, cert *x509.Certificate, now time.Time, remedy string) error {
	if now.Before(cert.NotBefore) {
		return fmt.Errorf("%s begins on %s and it is %s now: correct the clock", path, cert.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if now.After(cert.NotAfter) {
		return fmt.Errorf("%s ended on %s: %s", path, cert.NotAfter.Format(time.DateOnly), remedy)
	}
	return nil
}
