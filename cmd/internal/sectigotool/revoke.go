package sectigotool

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

func (t *tool) revokeCommand() *cobra.Command {
	var profile int64
	var reason, serial, file string
	c := &cobra.Command{
		Use:   "revoke",
		Short: "Revoke a certificate",
		Long: `Revoke a certificate, which is named by its serial number or is in a file. The profile is that under
which it was issued.

The reason is one of RFC 5280, or its number; capitals and blanks do not count:
  0 unspecified               4 superseded                 9 privilege withdrawn
  1 key compromise            5 cessation of operation    10 aa compromise
  2 ca compromise             6 certificate hold
  3 affiliation changed       8 remove from crl`,
		Example: t.examples(`revoke -p 42 -r "cessation of operation" -s 0A1B2C3D4E5F60718293A4B5C6D7E8F9`, "revoke -p 42 -r keyCompromise --cert example.com.pem"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			number, err := whichSerial(serial, file)
			if err != nil {
				return err
			}
			code, err := sectigo.ParseReason(reason)
			if err != nil {
				return usage.Error(err)
			}
			if err := t.someProfile(profile); err != nil {
				return err
			}
			return t.call(ctx, func(c *sectigo.Client) error {
				id, err := t.profileID(ctx, c, profile)
				if err != nil {
					return err
				}
				if err := c.Revoke(ctx, id, number, code); err != nil {
					return err
				}
				v := struct {
					Serial  string `json:"serialNumber"`
					Profile int64  `json:"profileId"`
					Reason  string `json:"reason"`
				}{sectigo.FormatSerial(number), id, sectigo.ReasonName(code)}
				return t.tell(v, func(w io.Writer) { fmt.Fprintf(w, "revoked %s: %s\n", v.Serial, sectigo.ReasonText(code)) })
			})
		}),
	}
	c.Flags().Int64VarP(&profile, "profile", "p", 0, "number of the profile under which it was issued")
	c.Flags().StringVarP(&reason, "reason", "r", "", "why, by name or number (default unspecified)")
	c.Flags().StringVarP(&serial, "serial-number", "s", "", "the serial number, in hexadecimal digits")
	c.Flags().StringVar(&file, "cert", "", "file with the certificate, PEM or DER")
	return c
}

func whichSerial(serial, file string) (*big.Int, error) {
	switch {
	case (serial == "") == (file == ""):
		return nil, usage.Errorf("which certificate? Give --serial-number or --cert, and not both")
	case serial != "":
		n, err := sectigo.ParseSerial(serial)
		if err != nil {
			return nil, usage.Error(err)
		}
		return n, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	leaf, err := leafIn(content)
	if err != nil {
		return nil, fmt.Errorf("read the certificate in %s: %w", file, err)
	}
	return leaf.SerialNumber, nil
}

// leafIn is the one certificate of a file that is not a CA's. To revoke the
// wrong one cannot be undone, so nothing is guessed.
func leafIn(content []byte) (leaf *x509.Certificate, err error) {
	var all []*x509.Certificate
	if cert, err := x509.ParseCertificate(content); err == nil {
		all = append(all, cert)
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
	for _, cert := range all {
		switch {
		case cert.IsCA:
		case leaf != nil && !leaf.Equal(cert):
			return nil, errors.New("there are several; name the one that is meant by --serial-number")
		default:
			leaf = cert
		}
	}
	if leaf == nil {
		return nil, errors.New("there is none that is not a CA's, neither in PEM nor in DER")
	}
	return leaf, nil
}
