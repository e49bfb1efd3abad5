package digicert

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Number is one that the CA gives: as a number, or, at some endpoints, as a
// string.
type Number int64

// UnmarshalJSON reads it.
func (n *Number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" || text == "" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no number", raw)
	}
	*n = Number(v)
	return nil
}

// Object is one that the CA writes as an empty list when there is none.
type Object[T any] struct{ Value T }

// UnmarshalJSON reads it.
func (o *Object[T]) UnmarshalJSON(raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '[' {
		return nil
	}
	return json.Unmarshal(raw, &o.Value)
}

// ID is a reference to something that has a number.
type ID struct {
	ID Number `json:"id"`
}

// Moment is a time; zero when the CA gives none, or one that cannot be read.
type Moment struct{ time.Time }

// UnmarshalJSON reads it.
func (m *Moment) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			m.Time = t
			return nil
		}
	}
	m.Time = time.Time{}
	return nil
}

// armoured writes DER as the API wants it: PEM in one line.
func armoured(label string, der []byte) string {
	return strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})), "\n", "")
}

// publicKeyOf reads the key of a CSR, or a bare one, in PEM with or without
// line breaks. The result is a SubjectPublicKeyInfo.
func publicKeyOf(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, label := range []string{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "PUBLIC KEY"} {
		body, ok := strings.CutPrefix(text, "-----BEGIN "+label+"-----")
		body, closed := strings.CutSuffix(body, "-----END "+label+"-----")
		if !ok || !closed {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		if err != nil {
			return nil, err
		}
		if label == "PUBLIC KEY" {
			return der, nil
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			return nil, err
		}
		return csr.RawSubjectPublicKeyInfo, nil
	}
	return nil, errors.New("neither a CSR nor a public key")
}
