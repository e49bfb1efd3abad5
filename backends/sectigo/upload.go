package sectigo

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Upload asks for certificates by their CSRs.
type Upload struct {
	// ProfileID is the number of the profile at the CA. It is not the number
	// at the end of a profile's name, which is that of its template.
	ProfileID int64
	// BatchName is found again by Batches. Empty leaves it out of the request.
	BatchName string
	// Params are what the profile wants besides; none is normal.
	Params map[string]string
	// CSRs are in DER. File is given in their place to upload a file as it is.
	CSRs [][]byte
	File *File
}

// File is a text file of PEM CSRs, or a ZIP archive of files of one CSR each.
type File struct {
	Name    string
	Content []byte
}

// What one upload may hold. The CA's own limits are not documented.
const (
	MaxCSRs   = 100
	MaxUpload = 1 << 20
)

// MaxBatchName is how long the name of a batch may be. Longer ones, and ones
// with blanks and brackets in them, were once refused.
const MaxBatchName = 62

// Upload buys one certificate for each CSR.
func (c *Client) Upload(ctx context.Context, u Upload) (Batch, error) {
	const op = "upload a batch of CSRs"
	contentType, body, err := u.form()
	if err != nil {
		return Batch{}, notSent(op, err)
	}
	return c.buy(ctx, request{
		op: op, method: http.MethodPost, path: "/api/v1/batches/upload", contentType: contentType, accept: jsonType,
		body: body, timeout: c.cfg.TransferTimeout, purchase: true,
	})
}

// CheckBatchName says what is wrong with a name for a batch.
func CheckBatchName(name string) error {
	if len(name) > MaxBatchName {
		return fmt.Errorf("the batch name has %d characters; at most %d are allowed", len(name), MaxBatchName)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return fmt.Errorf("the batch name %q has other characters than letters, digits, dots and dashes", name)
		}
	}
	return nil
}

// form makes the three parts in the order in which the CA's own clients send
// them. The writer is closed before the body is used: an open one makes the
// CA answer 500, which looks like an unknown outcome.
func (u Upload) form() (contentType string, body []byte, err error) {
	if u.ProfileID <= 0 {
		return "", nil, errors.New("which profile? Its number is missing")
	}
	if err := CheckBatchName(u.BatchName); err != nil {
		return "", nil, err
	}
	name, kind, content, err := u.files()
	if err != nil {
		return "", nil, err
	}
	params := u.Params
	if params == nil {
		params = map[string]string{} // an empty object, never null
	}
	described, err := json.Marshal(struct {
		ProfileID int64             `json:"profileId"`
		BatchType string            `json:"batchType"`
		BatchName string            `json:"batchName,omitempty"`
		Params    map[string]string `json:"profileParams"`
	}{u.ProfileID, "BATCH", u.BatchName, params})
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, part := range []struct {
		disposition, kind string
		content           []byte
	}{
		{`form-data; name="profileId"`, "", []byte(strconv.FormatInt(u.ProfileID, 10))},
		{`form-data; name="csrBatchRequest"; filename="blob"`, "application/json", described},
		{`form-data; name="files"; filename="` + name + `"`, kind, content},
	} {
		header := textproto.MIMEHeader{"Content-Disposition": {part.disposition}}
		if part.kind != "" {
			header.Set("Content-Type", part.kind)
		}
		p, err := w.CreatePart(header)
		if err != nil {
			return "", nil, err
		}
		if _, err := p.Write(part.content); err != nil {
			return "", nil, err
		}
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return w.FormDataContentType(), b.Bytes(), nil
}

// files is the third part: its name, its type and its content.
func (u Upload) files() (name, kind string, content []byte, err error) {
	const text, archive = "application/octet-stream", "application/zip"
	switch {
	case u.File == nil && len(u.CSRs) == 0:
		return "", "", nil, errors.New("there is no CSR to upload")
	case u.File != nil && len(u.CSRs) > 0:
		return "", "", nil, errors.New("give CSRs or a file, not both")
	case len(u.CSRs) > MaxCSRs:
		return "", "", nil, fmt.Errorf("%d CSRs are more than the %d of one upload", len(u.CSRs), MaxCSRs)
	case u.File != nil:
		if len(u.File.Content) == 0 || len(u.File.Content) > MaxUpload {
			return "", "", nil, fmt.Errorf("the file has %d octets; 1 to %d can be uploaded", len(u.File.Content), MaxUpload)
		}
		// SK-11: a key that somebody put beside the CSR must not get out.
		if bytes.Contains(u.File.Content, []byte("PRIVATE KEY-----")) {
			return "", "", nil, errors.New("there is a private key in the file; only the CSR goes to the CA")
		}
		if bytes.HasPrefix(u.File.Content, []byte("PK\x03\x04")) {
			if err := onlyCSRs(u.File.Content); err != nil {
				return "", "", nil, err
			}
			return clean(u.File.Name, "csrs.zip"), archive, u.File.Content, nil
		}
		if !bytes.Contains(u.File.Content, []byte("CERTIFICATE REQUEST-----")) {
			return "", "", nil, errors.New("there is no PEM block CERTIFICATE REQUEST in the file")
		}
		return clean(u.File.Name, "csrs.pem"), text, u.File.Content, nil
	}
	var b strings.Builder
	for _, der := range u.CSRs {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}); err != nil {
			return "", "", nil, err
		}
	}
	if b.Len() > MaxUpload {
		return "", "", nil, fmt.Errorf("the CSRs have %d octets together; at most %d can be uploaded", b.Len(), MaxUpload)
	}
	return "csrs.pem", text, []byte(b.String()), nil
}

// onlyCSRs wants the members of an archive to be CSRs and nothing else: they are
// compressed, so a key among them shows only when they are unpacked (SK-11).
func onlyCSRs(archive []byte) error {
	a, err := ReadArchive(archive, ArchiveLimits{Compressed: MaxUpload})
	if err != nil {
		return err
	}
	if len(a.Members) == 0 {
		return errors.New("there is no CSR in the archive")
	}
	for _, m := range a.Members {
		if _, err := x509.ParseCertificateRequest(m.Content); err == nil {
			continue
		}
		switch {
		case bytes.Contains(m.Content, []byte("PRIVATE KEY-----")):
			return fmt.Errorf("there is a private key in the archive, in %s; only the CSRs go to the CA", m.Name)
		case !bytes.Contains(m.Content, []byte("CERTIFICATE REQUEST-----")):
			return fmt.Errorf("%s in the archive is no CSR; take it out, since only CSRs go to the CA", m.Name)
		}
	}
	return nil
}
