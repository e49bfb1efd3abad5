package sectigo

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"acmebridge/acme"
)

// Query looks for certificates. With neither field it looks for all.
type Query struct {
	CommonName   string `json:"commonName,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"`
}

// Found is what a query has found. The CA may know of more than it lists.
type Found struct {
	Total int64              `json:"totalCount"`
	Items []FoundCertificate `json:"items" need:""`
}

// FoundCertificate is what the CA lists of a certificate. The certificate
// itself is in the archive of its batch and nowhere else.
type FoundCertificate struct {
	DeviceID   string `json:"deviceId"`
	CommonName string `json:"commonName"`
	// SerialNumber is in hexadecimal digits, with or without a leading zero:
	// compare with SameSerial.
	SerialNumber string `json:"serialNumber"`
	Created      Time   `json:"creationDate"`
	Status       string `json:"status"`
}

// Find looks for certificates.
func (c *Client) Find(ctx context.Context, q Query) (Found, error) {
	const op = "look for certificates"
	got, err := c.post(ctx, op, "/api/v1/certificates/find", q)
	if err != nil {
		return Found{}, err
	}
	var f Found
	err = into(got, &f)
	return f, err
}

// Revoke revokes the certificate with that serial number, which was issued
// under that profile.
func (c *Client) Revoke(ctx context.Context, profile int64, serial *big.Int, reason acme.RevocationReason) error {
	op := fmt.Sprintf("revoke the certificate %s", FormatSerial(serial))
	if reason < 0 || reason > 10 || reason == 7 {
		return notSent(op, fmt.Errorf("there is no reason %d", reason))
	}
	// The CA's own programs disagree on whether a leading zero is part of the
	// number.
	text := FormatSerial(serial)
	err := c.revoke(ctx, op, profile, text, reason)
	if short := strings.TrimPrefix(text, "0"); errors.Is(err, ErrNotFound) && short != text {
		return c.revoke(ctx, op, profile, short, reason)
	}
	return err
}

func (c *Client) revoke(ctx context.Context, op string, profile int64, serial string, reason acme.RevocationReason) error {
	_, err := c.post(ctx, op, "/api/v1/certificates/"+strconv.FormatInt(profile, 10)+"/revoke", struct {
		Reason int    `json:"reasonCode"`
		Serial string `json:"serialNumber"`
	}{int(reason), serial})
	return err
}

// FormatSerial writes a serial number as the CA does: capital hexadecimal
// digits, an even number of them.
func FormatSerial(serial *big.Int) string { return fmt.Sprintf("%X", serial.Bytes()) }

// ParseSerial reads hexadecimal digits of either case, with colons between
// them or 0x in front.
func ParseSerial(text string) (*big.Int, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "0x"), ":", "")
	const longest = 40 // RFC 5280, 4.1.2.2: 20 octets
	n, ok := new(big.Int), len(digits) > 0 && len(digits) <= longest && strings.Trim(digits, "0123456789abcdef") == ""
	if ok {
		_, ok = n.SetString(digits, 16)
	}
	if !ok || n.Sign() <= 0 {
		return nil, fmt.Errorf("sectigo: %q is no serial number; write its hexadecimal digits", text)
	}
	return n, nil
}

// SameSerial reports whether text is that serial number, however written.
func SameSerial(text string, serial *big.Int) bool {
	n, err := ParseSerial(text)
	return err == nil && n.Cmp(serial) == 0
}

// reasons are the names of RFC 5280, 5.3.1, and those that the documents of
// the service print.
var reasons = []struct {
	code         acme.RevocationReason
	name, spaced string
}{
	{acme.Unspecified, "unspecified", "unspecified"},
	{acme.KeyCompromise, "keyCompromise", "keycompromise"},
	{acme.CACompromise, "cACompromise", "ca compromise"},
	{acme.AffiliationChanged, "affiliationChanged", "affiliation changed"},
	{acme.Superseded, "superseded", "superseded"},
	{acme.CessationOfOperation, "cessationOfOperation", "cessation of operation"},
	{acme.CertificateHold, "certificateHold", "certificate hold"},
	{acme.RemoveFromCRL, "removeFromCRL", "remove from crl"},
	{acme.PrivilegeWithdrawn, "privilegeWithdrawn", "privilege withdrawn"},
	{acme.AACompromise, "aACompromise", "aa compromise"},
}

// ParseReason reads the reason of a revocation by its name, in any of the
// usual ways of writing, or by its number. No text means unspecified.
func ParseReason(text string) (acme.RevocationReason, error) {
	word := squeeze(text)
	if word == "" {
		return acme.Unspecified, nil
	}
	for _, r := range reasons {
		if word == squeeze(r.name) || strings.TrimSpace(text) == strconv.Itoa(int(r.code)) {
			return r.code, nil
		}
	}
	var names []string
	for _, r := range reasons {
		names = append(names, r.name)
	}
	return 0, fmt.Errorf("sectigo: %q is no reason for a revocation; one of %s", text, strings.Join(names, ", "))
}

// ReasonName is the name of RFC 5280; ReasonText is that of the documents of
// the service. Both are empty for a number that is no reason.
func ReasonName(code acme.RevocationReason) string {
	for _, r := range reasons {
		if r.code == code {
			return r.name
		}
	}
	return ""
}

// ReasonText is the text for people.
func ReasonText(code acme.RevocationReason) string {
	for _, r := range reasons {
		if r.code == code {
			return r.spaced
		}
	}
	return ""
}

// squeeze leaves out what only separates words.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '_' {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}
