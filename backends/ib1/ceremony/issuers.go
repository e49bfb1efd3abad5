package ceremony

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"strings"

	"acmebridge/backends/ib1"
)

// CreateRoot makes the root of a tree. It goes on where an earlier attempt was
// cut short, and refuses a tree that has one.
func (f *Folder) CreateRoot(t ib1.Tree) (*x509.Certificate, error) {
	cert, err := f.createRoot(t)
	if err != nil {
		return nil, fmt.Errorf("ceremony: create the root of the %s tree: %w", t, err)
	}
	return cert, nil
}

func (f *Folder) createRoot(t ib1.Tree) (*x509.Certificate, error) {
	have, err := f.certificate(string(t) + "/root.pem")
	if err != nil {
		return nil, err
	}
	if have != nil {
		if !f.unrecorded(have) {
			return nil, errors.New("there is one already, and a tree has one for ever")
		}
		if _, err := f.root(t, true); err != nil {
			return nil, err
		}
		return have, f.record(about(RootCreated, t, have))
	}
	signer, err := f.cfg.Keys.Create(label(t, 0), elliptic.P384())
	if err != nil {
		return nil, err
	}
	serial, err := f.serial()
	if err != nil {
		return nil, err
	}
	if err := f.record(Record{Event: RootSigning, Tree: t, Serial: serial.String()}); err != nil {
		return nil, err
	}
	cert, err := f.framework.CreateRoot(t, signer, ib1.Issuance{Serial: serial, Now: f.cfg.Now()})
	if err != nil {
		return nil, err
	}
	if err := f.keepRoot(t, cert); err != nil {
		return nil, err
	}
	return cert, f.record(about(RootCreated, t, cert))
}

// unrecorded says that an attempt was cut short when the certificate was written
// and that was not yet recorded.
func (f *Folder) unrecorded(c *x509.Certificate) bool {
	sum, taken := f.holder(c.SerialNumber)
	return taken && sum == ""
}

func (f *Folder) keepRoot(t ib1.Tree, cert *x509.Certificate) error {
	if err := f.publish(ib1.CAName(t, cert), cert.Raw); err != nil {
		return err
	}
	return f.writeNew(string(t)+"/root.pem", "CERTIFICATE", cert.Raw)
}

func about(e Event, t ib1.Tree, c *x509.Certificate) Record {
	return Record{Event: e, Tree: t, Key: keySum(c.RawSubjectPublicKeyInfo), Serial: c.SerialNumber.String(), SHA256: sum(c.Raw), NotAfter: c.NotAfter.UTC()}
}

// Request is a request for an issuer that waits for its certificate.
type Request struct {
	Number int
	// DER is the PKCS #10 request; File is where it is, in PEM.
	DER  []byte
	File string
}

// RequestIssuer makes a key for the next issuer and a request to sign it. While
// a request waits for its certificate it is returned again.
func (f *Folder) RequestIssuer(t ib1.Tree) (Request, error) {
	r, err := f.requestIssuer(t)
	if err != nil {
		return r, fmt.Errorf("ceremony: request an issuer of the %s tree: %w", t, err)
	}
	return r, nil
}

func (f *Folder) requestIssuer(t ib1.Tree) (r Request, err error) {
	requests, err := f.numbers(t, ".csr.pem")
	if err != nil {
		return r, err
	}
	certs, err := f.numbers(t, ".pem")
	if err != nil {
		return r, err
	}
	r.Number = 1
	if n := len(certs); n > 0 {
		r.Number = certs[n-1] + 1
	}
	name := label(t, r.Number) + ".csr.pem"
	r.File = f.path(name)
	if n := len(requests); n > 0 && requests[n-1] >= r.Number {
		r.Number = requests[n-1]
		r.File = f.path(label(t, r.Number) + ".csr.pem")
		r.DER, err = f.read(label(t, r.Number)+".csr.pem", "CERTIFICATE REQUEST")
		return r, err
	}
	signer, err := f.cfg.Keys.Create(label(t, r.Number), elliptic.P256())
	if err != nil {
		return r, err
	}
	if r.DER, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject(f.framework.IssuerName(t))}, signer); err != nil {
		return r, err
	}
	csr, err := ib1.ReadCSR(r.DER)
	if err != nil {
		return r, err
	}
	if err := f.record(Record{Event: IssuerRequested, Tree: t, Key: keySum(csr.RawSubjectPublicKeyInfo)}); err != nil {
		return r, err
	}
	return r, f.writeNew(name, "CERTIFICATE REQUEST", r.DER)
}

func subject(n ib1.Name) pkix.Name {
	return pkix.Name{Country: []string{n.Country}, Organization: []string{n.Organization}, CommonName: n.CommonName}
}

// SignIssuer signs a request with the root. It is for the people at the ceremony
// to know whose it is.
func (f *Folder) SignIssuer(t ib1.Tree, request []byte) (*x509.Certificate, error) {
	cert, err := f.signIssuer(t, request)
	if err != nil {
		return nil, fmt.Errorf("ceremony: sign an issuer of the %s tree: %w", t, err)
	}
	return cert, nil
}

func (f *Folder) signIssuer(t ib1.Tree, request []byte) (*x509.Certificate, error) {
	csr, err := ib1.ReadCSR(request)
	if err != nil {
		return nil, err
	}
	// The name is what tells the request of one tree from that of another.
	if want := subject(f.framework.IssuerName(t)).String(); csr.Subject.String() != want {
		return nil, fmt.Errorf("the request is for %q and an issuer of this tree is %q: is it of another tree or framework?", csr.Subject, want)
	}
	key := keySum(csr.RawSubjectPublicKeyInfo)
	for _, r := range f.log.records {
		if r.Key == key && r.Event != IssuerRequested {
			return nil, fmt.Errorf("a CA of the %s tree has this key already (record %d of the log): each has its own, so request a new one", r.Tree, r.Seq)
		}
	}
	root, err := f.root(t, true)
	if err != nil {
		return nil, err
	}
	before, err := f.signedFor(t, request)
	if err != nil {
		return nil, err
	}
	if before != nil && f.unrecorded(before) {
		if _, err := f.framework.OpenIssuer(t, root.Certificate(), before, nil); err != nil {
			return nil, err
		}
		return before, f.record(about(IssuerSigned, t, before))
	}
	serial, err := f.serial()
	if err != nil {
		return nil, err
	}
	if err := f.record(Record{Event: IssuerSigning, Tree: t, Serial: serial.String()}); err != nil {
		return nil, err
	}
	cert, err := root.CreateIssuer(csr.PublicKey, ib1.Issuance{Serial: serial, Now: f.cfg.Now()})
	if err != nil {
		return nil, err
	}
	if err := f.writeNew(fmt.Sprintf("%s/signed-%x.pem", t, serial), "CERTIFICATE", cert.Raw); err != nil {
		return nil, err
	}
	return cert, f.record(about(IssuerSigned, t, cert))
}

// ImportIssuer takes the certificate for a request of this folder, from whoever
// signed it, and checks it against the whole profile. The root is needed with
// the first issuer of a tree whose root is kept elsewhere, and may be nil later.
func (f *Folder) ImportIssuer(t ib1.Tree, cert, root *x509.Certificate) (number int, err error) {
	if number, err = f.importIssuer(t, cert, root); err != nil {
		return 0, fmt.Errorf("ceremony: import an issuer of the %s tree: %w", t, err)
	}
	return number, nil
}

func (f *Folder) importIssuer(t ib1.Tree, cert, root *x509.Certificate) (int, error) {
	have, err := f.certificate(string(t) + "/root.pem")
	if err != nil {
		return 0, err
	}
	switch {
	case have == nil && root == nil:
		return 0, errors.New("the root of the tree is not here: give its certificate too")
	case have != nil && root != nil && !bytes.Equal(have.Raw, root.Raw):
		return 0, errors.New("the tree has another root than the one that was given: a tree has one for ever")
	case have != nil:
		root = have
	}
	if _, err := f.framework.OpenRoot(t, root, nil); err != nil {
		return 0, fmt.Errorf("the root: %w", err)
	}
	if _, err := f.framework.OpenIssuer(t, root, cert, nil); err != nil {
		return 0, err
	}
	if err := ib1.LintIssuer(cert); err != nil {
		return 0, err
	}
	if p := f.framework.Phase(t, cert, f.cfg.Now()); p != ib1.Active && p != ib1.NotYet {
		return 0, fmt.Errorf("the issuer is %s, so it cannot sign certificates of full validity any more: have a new one signed", p)
	}
	if err := f.alone(t, cert, root); err != nil {
		return 0, err
	}
	number, err := f.requestOf(t, cert)
	if err != nil {
		return 0, err
	}
	if have == nil {
		// As below: first the record.
		if err := f.record(about(RootImported, t, root)); err != nil {
			return 0, err
		}
		if err := f.keepRoot(t, root); err != nil {
			return 0, err
		}
	}
	if err := f.publish(ib1.CAName(t, cert), cert.Raw); err != nil {
		return 0, err
	}
	// The record first: a number that is taken must be known before it is used.
	if err := f.record(about(IssuerImported, t, cert)); err != nil {
		return 0, err
	}
	return number, f.writeNew(label(t, number)+".pem", "CERTIFICATE", cert.Raw)
}

// alone refuses keys and serial numbers that another certificate has, in any
// tree (sections 1.1 and 5.2).
func (f *Folder) alone(t ib1.Tree, certs ...*x509.Certificate) error {
	for _, c := range certs {
		if have, taken := f.holder(c.SerialNumber); taken && have != "" && have != sum(c.Raw) {
			return fmt.Errorf("another certificate has the serial number %s: numbers are unique over all trees", c.SerialNumber)
		}
		used, err := f.cfg.Used(c.SerialNumber)
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("another certificate has the serial number %s: numbers are unique over all trees", c.SerialNumber)
		}
		key := keySum(c.RawSubjectPublicKeyInfo)
		for _, r := range f.log.records {
			if r.Key == key && r.Tree != t {
				return fmt.Errorf("a CA of the %s tree has the key of %s: trees share no keys", r.Tree, c.Subject)
			}
		}
	}
	return nil
}

// requestOf finds the request that a certificate is for.
func (f *Folder) requestOf(t ib1.Tree, cert *x509.Certificate) (int, error) {
	requests, err := f.numbers(t, ".csr.pem")
	if err != nil {
		return 0, err
	}
	for _, n := range requests {
		der, err := f.read(label(t, n)+".csr.pem", "CERTIFICATE REQUEST")
		if err != nil {
			return 0, err
		}
		csr, err := ib1.ReadCSR(der)
		if err != nil {
			return 0, fmt.Errorf("read the request %d: %w", n, err)
		}
		if !bytes.Equal(csr.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) {
			continue
		}
		if have, err := f.certificate(label(t, n) + ".pem"); err != nil || have != nil {
			return 0, errors.Join(err, fmt.Errorf("issuer %d has its certificate already", n))
		}
		if has, err := f.cfg.Keys.Has(label(t, n)); err != nil || !has {
			return 0, errors.Join(err, fmt.Errorf("the key of request %d is not here: import the certificate where the request was made", n))
		}
		return n, nil
	}
	return 0, errors.New("no request of this folder has the key of this certificate: import it where the request was made")
}

// RotateIssuer requests, signs and imports the next issuer in one go, where the
// key of the root is at hand.
func (f *Folder) RotateIssuer(t ib1.Tree) (number int, cert *x509.Certificate, err error) {
	request, err := f.RequestIssuer(t)
	if err != nil {
		return 0, nil, err
	}
	if cert, err = f.signedFor(t, request.DER); err != nil {
		return 0, nil, fmt.Errorf("ceremony: rotate the issuer of the %s tree: %w", t, err)
	}
	if cert == nil {
		if cert, err = f.SignIssuer(t, request.DER); err != nil {
			return 0, nil, err
		}
	}
	number, err = f.ImportIssuer(t, cert, nil)
	return number, cert, err
}

// signedFor returns what was signed for a request before a crash.
func (f *Folder) signedFor(t ib1.Tree, request []byte) (*x509.Certificate, error) {
	csr, err := ib1.ReadCSR(request)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.path(string(t)))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "signed-") || !strings.HasSuffix(e.Name(), ".pem") {
			continue
		}
		c, err := f.certificate(string(t) + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		if c != nil && bytes.Equal(c.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) {
			return c, nil
		}
	}
	return nil, nil
}
