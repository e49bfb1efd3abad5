package sectigotest

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"acmebridge/internal/standin"
)

func readCSR(der []byte) (*x509.CertificateRequest, error) { return x509.ParseCertificateRequest(der) }

// maxMember bounds a member of an archive of CSRs.
const maxMember = 8 << 20

// parts are those of an upload.
type parts struct {
	profileID int64
	request   struct {
		ProfileID int64             `json:"profileId"`
		BatchType string            `json:"batchType"`
		BatchName string            `json:"batchName"`
		Params    map[string]string `json:"profileParams"`
	}
	csrs [][]byte
}

func (ca *CA) uploadBatch(c *standin.Call) {
	ca.upload = RawUpload{ContentType: c.Request.Header.Get("Content-Type"), Body: bytes.Clone(c.Content)}
	given, err := readParts(c)
	if err != nil {
		ca.fail(c, http.StatusBadRequest, "%s", err.Error())
		return
	}
	p := ca.profile(given.profileID)
	if p.ID == 0 {
		ca.fail(c, http.StatusNotFound, "Profile not found")
		return
	}
	if wrong := p.check("CSR", given.request.Params); wrong != "" {
		ca.fail(c, http.StatusBadRequest, "%s", wrong)
		return
	}
	b := &batch{Name: given.request.BatchName, CSRs: given.csrs}
	if ca.cfg.NoBatchName {
		b.Name = ""
	}
	first, names := "", []string{}
	for i, der := range given.csrs {
		csr, err := readCSR(der)
		if err != nil {
			ca.fail(c, http.StatusBadRequest, "CSR %d cannot be read", i+1)
			return
		}
		name := csr.Subject.CommonName
		if name == "" && len(csr.DNSNames) > 0 {
			name = csr.DNSNames[0]
		}
		names = append(names, name)
		if i == 0 {
			first = name
		}
		switch {
		case csr.CheckSignature() != nil:
			b.Outcome = Outcome{Kind: Broken, Reason: "CSR signature verification failed"}
		case len(csr.DNSNames) == 0:
			b.Outcome = Outcome{Kind: Broken}
		case !slices.Contains(p.Keys, keyKind(csr)):
			b.Outcome = Outcome{Kind: Broken, Reason: "Key algorithm is not allowed by the profile"}
		}
	}
	if twice := duplicates(names); ca.cfg.RefuseDuplicates && len(twice) > 0 {
		ca.fail(c, http.StatusBadRequest, "Duplicates found: %s", strings.Join(twice[:min(3, len(twice))], ", "))
		return
	}
	ca.add(c, b, p, first)
}

func keyKind(csr *x509.CertificateRequest) string {
	switch csr.PublicKeyAlgorithm {
	case x509.RSA:
		return "RSA"
	case x509.ECDSA:
		return "EC"
	default:
		return csr.PublicKeyAlgorithm.String()
	}
}

func duplicates(names []string) (twice []string) {
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] && !slices.Contains(twice, n) {
			twice = append(twice, n)
		}
		seen[n] = true
	}
	return twice
}

// readParts wants exactly the three parts that the real service wants.
func readParts(c *standin.Call) (p parts, err error) {
	kind, params, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return p, errors.New("Content-Type is not multipart/form-data")
	}
	found := map[string]bool{}
	r := multipart.NewReader(bytes.NewReader(c.Content), params["boundary"])
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, fmt.Errorf("malformed multipart body: %w", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return p, fmt.Errorf("malformed multipart body: %w", err)
		}
		name := part.FormName()
		if found[name] {
			return p, fmt.Errorf("part '%s' is there twice", name)
		}
		found[name] = true
		switch name {
		case "profileId":
			if p.profileID, err = strconv.ParseInt(string(content), 10, 64); err != nil {
				return p, errors.New("part 'profileId' is not a number")
			}
		case "csrBatchRequest":
			if part.Header.Get("Content-Type") != "application/json" || json.Unmarshal(content, &p.request) != nil || p.request.BatchType != "BATCH" {
				return p, errors.New("part 'csrBatchRequest' is not what it should be")
			}
		case "files":
			if part.FileName() == "" {
				return p, errors.New("part 'files' has no file name")
			}
			if p.csrs, err = readFiles(part.Header.Get("Content-Type"), content); err != nil {
				return p, err
			}
		}
	}
	for _, name := range []string{"profileId", "csrBatchRequest", "files"} {
		if !found[name] {
			return p, fmt.Errorf("required part '%s' is not present", name)
		}
	}
	if p.request.ProfileID != p.profileID {
		return p, errors.New("the two profile numbers differ")
	}
	return p, nil
}

func readFiles(contentType string, content []byte) (csrs [][]byte, err error) {
	archive := bytes.HasPrefix(content, []byte("PK\x03\x04"))
	switch {
	case archive && contentType != "application/zip":
		return nil, errors.New("an archive must have the content type application/zip")
	case archive:
		z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return nil, errors.New("the archive cannot be read")
		}
		for _, f := range z.File {
			if ext := path.Ext(f.Name); ext != ".csr" && ext != ".pem" {
				continue
			}
			member, err := f.Open()
			if err != nil {
				return nil, errors.New("the archive cannot be read")
			}
			body, err := io.ReadAll(io.LimitReader(member, maxMember))
			if err != nil {
				return nil, errors.New("the archive cannot be read")
			}
			csrs = append(csrs, readPEM(body)...)
		}
	case slices.Contains([]string{"text/plain", "application/octet-stream", "application/x-x509-ca-cert"}, contentType):
		csrs = readPEM(content)
	default:
		return nil, fmt.Errorf("content type %q is not allowed for part 'files'", contentType)
	}
	if len(csrs) == 0 {
		return nil, errors.New("no CSR found")
	}
	return csrs, nil
}

func readPEM(content []byte) (csrs [][]byte) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return csrs
		}
		if block.Type == "CERTIFICATE REQUEST" || block.Type == "NEW CERTIFICATE REQUEST" {
			csrs = append(csrs, block.Bytes)
		}
	}
}
