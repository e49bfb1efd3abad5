package sectigo

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

// ErrArchive: the archive is damaged or built to do harm. Nothing of it is
// used.
var ErrArchive = errors.New("the archive of the CA cannot be used")

// ArchiveLimits bound what is read of an archive (SC-12, PX-8). Zero fields have the
// values named.
type ArchiveLimits struct {
	Compressed   int64 // of the whole archive, 16 MiB
	Members      int   // 200
	Member       int64 // of one member, inflated, 1 MiB
	Total        int64 // of all members, inflated, 32 MiB
	Ratio        int64 // of inflated to compressed, 100
	Certificates int   // 1000
}

func (l ArchiveLimits) complete() ArchiveLimits {
	return ArchiveLimits{
		Compressed: or(l.Compressed, 16<<20), Members: or(l.Members, 200), Member: or(l.Member, 1<<20),
		Total: or(l.Total, 32<<20), Ratio: or(l.Ratio, 100), Certificates: or(l.Certificates, 1000),
	}
}

// Archive is what was in one.
type Archive struct {
	// Certificates are those of all members, each once, in the order in which
	// they came.
	Certificates []*x509.Certificate
	// Members are all files as they came, for who wants them unpacked.
	Members []Member
	// KeyStores are those that look like PKCS #12.
	KeyStores []Member
	// Skipped names members that hold nothing of use, for the log.
	Skipped []string
}

// Member is a file of an archive. Its name is a label and never a path.
type Member struct {
	Name    string
	Content []byte
}

// ReadArchive reads a whole archive in memory; nothing is ever extracted to a
// file. Members may be certificates in PEM or DER, alone, as a chain or as
// PKCS #7, in any number of formats at once.
func ReadArchive(content []byte, limits ArchiveLimits) (Archive, error) {
	limits = limits.complete()
	if int64(len(content)) > limits.Compressed {
		return Archive{}, fmt.Errorf("sectigo: %w: it has %d octets; at most %d are read", ErrArchive, len(content), limits.Compressed)
	}
	// The directory is counted before it is parsed: a small archive can have a
	// directory that takes a lot of memory (CVE-2025-61728). What is counted
	// besides by accident, in compressed data, is next to nothing.
	const entry, slack = "PK\x01\x02", 16
	if n := bytes.Count(content, []byte(entry)); n > limits.Members+slack {
		return Archive{}, fmt.Errorf("sectigo: %w: it has %d members; at most %d are read", ErrArchive, n, limits.Members)
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are labels, so an insecure one harms nobody
		return Archive{}, fmt.Errorf("sectigo: %w: %w", ErrArchive, err)
	}
	if len(z.File) > limits.Members {
		return Archive{}, fmt.Errorf("sectigo: %w: it has %d members; at most %d are read", ErrArchive, len(z.File), limits.Members)
	}
	a, total, seen := Archive{}, int64(0), map[[32]byte]bool{}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		name := clean(f.Name, "member")
		body, err := inflate(f, limits)
		if err != nil {
			return Archive{}, fmt.Errorf("sectigo: %w: member %s: %w", ErrArchive, name, err)
		}
		if total += int64(len(body)); total > limits.Total {
			return Archive{}, fmt.Errorf("sectigo: %w: its members have more than %d octets together", ErrArchive, limits.Total)
		}
		a.Members = append(a.Members, Member{Name: name, Content: body})
		certs := certificatesIn(body)
		switch {
		case len(certs) == 0 && looksLikeKeyStore(body):
			a.KeyStores = append(a.KeyStores, Member{Name: name, Content: body})
		case len(certs) == 0:
			a.Skipped = append(a.Skipped, name)
		}
		for _, cert := range certs {
			if sum := sha256.Sum256(cert.Raw); !seen[sum] {
				seen[sum] = true
				a.Certificates = append(a.Certificates, cert)
			}
		}
		if len(a.Certificates) > limits.Certificates {
			return Archive{}, fmt.Errorf("sectigo: %w: it has more than %d certificates", ErrArchive, limits.Certificates)
		}
	}
	return a, nil
}

// inflate reads one member. What its header says about the size does not
// count; reading it to the end checks its sum.
func inflate(f *zip.File, limits ArchiveLimits) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	body, err := io.ReadAll(io.LimitReader(r, limits.Member+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limits.Member {
		return nil, fmt.Errorf("it has more than %d octets", limits.Member)
	}
	// Small texts of one letter compress better than any certificate would
	// have to; they are harmless.
	const harmless = 64 << 10
	if n := int64(len(body)); n > harmless && n/limits.Ratio > int64(f.CompressedSize64) {
		return nil, fmt.Errorf("it inflates to more than %d times its size", limits.Ratio)
	}
	return body, nil
}

// maxCertificate bounds one certificate (PX-4).
const maxCertificate = 64 << 10

// certificatesIn returns the certificates of a file, nil when it has none or
// is damaged: the order for whom there was one goes without, and says so.
func certificatesIn(body []byte) []*x509.Certificate {
	if bytes.Contains(body, []byte("-----BEGIN ")) {
		return certificatesInPEM(body)
	}
	// Not a single octet is trimmed off: the last one of a signature may look
	// like a blank.
	if cert, ok := certificate(body); ok {
		return []*x509.Certificate{cert}
	}
	return certificatesInPKCS7(body)
}

// maxBlocks bounds the blocks of a PEM file. A batch of 100 with chains has
// fewer.
const maxBlocks = 500

func certificatesInPEM(body []byte) (certs []*x509.Certificate) {
	for range maxBlocks {
		block, rest := pem.Decode(body)
		if block == nil {
			return certs
		}
		body = rest
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			if cert, ok := certificate(block.Bytes); ok {
				certs = append(certs, cert)
			}
		case "PKCS7", "CMS":
			certs = append(certs, certificatesInPKCS7(block.Bytes)...)
		}
	}
	return certs
}

func certificate(der []byte) (*x509.Certificate, bool) {
	if len(der) == 0 || len(der) > maxCertificate {
		return nil, false
	}
	cert, err := x509.ParseCertificate(der)
	return cert, err == nil
}
