package localca

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"acmebridge/internal/keyfile"
)

// Status describes one key of the CA, for people.
type Status struct {
	// File is the certificate's name in the folder.
	File string `json:"file"`
	// Role is "root", "issuing" (new certificates come from it) or "retired"
	// (it signs the revocation list of what it issued, and nothing else).
	Role      string    `json:"role"`
	Subject   string    `json:"subject"`
	KeyID     string    `json:"key_id"`
	KeyType   KeyType   `json:"key_type"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Key says where the private key is: "file", "encrypted file" or "not
	// here" (SK-7 wants software keys shown as such).
	Key string `json:"key"`
	// RevocationList is the name of the list that the key signs.
	RevocationList string `json:"revocation_list,omitempty"`
}

// Inspect reports on the CA in cfg.Dir without opening it, so that one whose
// issuing key has ended can be looked at too. It makes nothing and needs no
// passphrase.
func Inspect(cfg Config) ([]Status, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	all, err := cfg.folder().inspect(cfg)
	if err != nil {
		return nil, fmt.Errorf("localca: look at the CA in %s: %w", cfg.Dir, err)
	}
	return all, nil
}

// Status reports on the root and every issuing key, oldest first.
func (c *CA) Status() ([]Status, error) { return Inspect(c.cfg) }

func (f folder) inspect(cfg Config) ([]Status, error) {
	root, err := f.readCertificate(rootCertFile)
	if err != nil {
		return nil, err
	}
	numbers, err := f.issuers()
	if err != nil {
		return nil, err
	}
	status, err := f.statusOf(rootCertFile, rootKeyFile, "root", root)
	if err != nil {
		return nil, err
	}
	all := []Status{status}
	for i, n := range numbers {
		cert, err := f.readIssuer(n, root)
		if err != nil {
			return nil, err
		}
		role := "retired"
		if i == len(numbers)-1 {
			role = "issuing"
		}
		if status, err = f.statusOf(issuerCertFile(n), issuerKeyFile(n), role, cert); err != nil {
			return nil, err
		}
		status.RevocationList = "crl/" + cfg.label(n) + ".crl"
		all = append(all, status)
	}
	return all, nil
}

func (f folder) statusOf(certFile, keyFile, role string, cert *x509.Certificate) (Status, error) {
	s := Status{
		File: certFile, Role: role, Subject: cert.Subject.String(), KeyID: hex.EncodeToString(cert.SubjectKeyId),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, KeyType: P256,
	}
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && key.Curve.Params().BitSize == 384 {
		s.KeyType = P384
	}
	block, err := keyfile.ReadPEM(f.path(keyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Key = "not here"
	case err != nil:
		return Status{}, err
	case block.Type == keyfile.SealedType:
		s.Key = "encrypted file"
	default:
		s.Key = "file"
	}
	return s, nil
}

// ceremonyNotice is how long before it is too late the alarm is raised: people
// must find the root's key, and each other.
const ceremonyNotice = 30 * day

// Check implements backends.Checker: it reports everything that will stop the
// CA from issuing soon, and key files that others can reach.
func (c *CA) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("localca: check: %w", err)
	}
	var found []error
	s, now := c.state.Load(), c.cfg.Now()
	// From here on, the longest certificate would end after its issuer.
	tooLate := func(cert *x509.Certificate) time.Time { return cert.NotAfter.Add(-c.cfg.LeafValidity) }
	is := s.current()
	rotateBy := tooLate(is.cert)
	if now.After(rotateBy.Add(-ceremonyNotice)) {
		remedy := "rotate the CA before that"
		// A rotation helps only as long as the root outlives what it makes.
		if is.cert.NotAfter.Equal(s.root.NotAfter) {
			remedy = "its root ends with it, so make a new CA in another folder and hand out its root before that"
		}
		found = append(found, fmt.Errorf("%s ends on %s and issues certificates of %d days only until %s: %s",
			issuerCertFile(is.number), is.cert.NotAfter.Format(time.DateOnly), c.cfg.LeafValidity/day, rotateBy.Format(time.DateOnly), remedy))
	}
	if now.Before(is.cert.NotBefore) {
		found = append(found, fmt.Errorf("%s begins on %s: correct the clock", issuerCertFile(is.number), is.cert.NotBefore.Format(time.RFC3339)))
	}
	for _, is := range s.issuers {
		if err := c.dir.checkKeyFile(issuerKeyFile(is.number)); err != nil {
			found = append(found, err)
		}
	}
	if err := c.dir.checkKeyFile(rootKeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		found = append(found, err)
	}
	for _, a := range s.alternates {
		if since, until := a.lifetime(); now.After(until.Add(-ceremonyNotice)) || now.Before(since) {
			found = append(found, fmt.Errorf("the alternate chain %s is good from %s to %s: have it made anew, or take it out of the configuration",
				a.path, since.Format(time.DateOnly), until.Format(time.DateOnly)))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("localca: check the CA in %s: %w", c.cfg.Dir, errors.Join(found...))
}
