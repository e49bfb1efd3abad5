package sectigotool

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

// uploading is what 'upload' is told.
type uploading struct {
	profile          int64
	name             string
	unnamed, noCheck bool
	params           []string
	wait             waiting
}

func (t *tool) uploadCommand() *cobra.Command {
	var f uploading
	c := &cobra.Command{
		Use:   "upload FILE...",
		Short: "Buy certificates for CSRs; their keys stay where they are",
		Long: `Buy one certificate for each CSR. A file has one or more of them in PEM, or one in DER; a single file
may also be a ZIP archive of files of one CSR each. With - they come from standard input.

What would be paid for and come back broken is refused before it is sent: a CSR that is damaged, that
its key did not sign, or that has no DNS name among its subject alternative names. --no-check sends it
all the same. A private key is never sent.

A CSR as the service likes it, without a configuration file:
  openssl req -new -newkey rsa:4096 -nodes -sha384 -keyout example.com.key -out example.com.csr \
    -subj "/C=US/ST=Illinois/L=Springfield/O=Example Inc/CN=example.com" \
    -addext "subjectAltName=DNS:example.com" -addext "extendedKeyUsage=clientAuth,serverAuth"`,
		Example: t.examples("upload -p 42 example.com.csr", "upload -p 42 one.csr two.csr --wait", "-P 'CipherTrace EE' upload - < csrs.pem"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf("give a file of CSRs, or - for standard input")
			}
			return nil
		},
		RunE: t.run(func(ctx context.Context, args []string) error { return t.upload(ctx, f, args) }),
	}
	flags := c.Flags()
	flags.Int64VarP(&f.profile, "profile", "p", 0, "number of the profile; not that of the authority or of the template")
	flags.StringVarP(&f.name, "batch-name", "b", "", "name of the batch: letters, digits, dots and dashes (default: a unique one)")
	flags.BoolVar(&f.unnamed, "no-batch-name", false, "give the batch no name; should the reply get lost, it cannot be found by its name")
	flags.StringArrayVar(&f.params, "param", nil, "parameter of the profile, NAME=VALUE (may be repeated)")
	flags.BoolVar(&f.noCheck, "no-check", false, "do not look into the CSRs first")
	waitFlags(c, &f.wait)
	return c
}

func (t *tool) upload(ctx context.Context, f uploading, files []string) error {
	if err := errors.Join(f.wait.check(), t.someProfile(f.profile)); err != nil {
		return err
	}
	if f.unnamed && f.name != "" {
		return usage.Errorf("--batch-name and --no-batch-name: choose one")
	}
	if err := sectigo.CheckBatchName(f.name); err != nil {
		return usage.Error(err)
	}
	u := sectigo.Upload{BatchName: f.name, Params: map[string]string{}}
	if err := params(u.Params, f.params); err != nil {
		return err
	}
	p := purchase{wait: f.wait}
	if u.BatchName == "" && !f.unnamed {
		u.BatchName, p.unique = uniqueName(t.Now().UTC().Format("upload-20060102-150405")), true
	}
	p.name = u.BatchName
	if err := t.read(&u, files, !f.noCheck); err != nil {
		return err
	}
	return t.call(ctx, func(c *sectigo.Client) (err error) {
		if u.ProfileID, err = t.profileID(ctx, c, f.profile); err != nil {
			return err
		}
		return t.buy(ctx, c, p, func() (sectigo.Batch, error) { return c.Upload(ctx, u) })
	})
}

// read fills in what to upload: one file as it is, or the CSRs of several.
func (t *tool) read(u *sectigo.Upload, files []string, check bool) error {
	for _, name := range files {
		content, err := t.open(name)
		if err != nil {
			return err
		}
		if len(files) == 1 && bytes.HasPrefix(content, []byte("PK\x03\x04")) {
			u.File = &sectigo.File{Name: filepath.Base(name), Content: content}
			return nil
		}
		csrs, err := requests(content, check)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		u.CSRs = append(u.CSRs, csrs...)
	}
	return nil
}

// open reads a file, or standard input.
func (t *tool) open(name string) ([]byte, error) {
	if name != "-" {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the CSRs: %w", err)
		case info.Size() > sectigo.MaxUpload:
			return nil, fmt.Errorf("%s has %d octets; at most %d can be uploaded", name, info.Size(), sectigo.MaxUpload)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the CSRs: %w", err)
		}
		return content, nil
	}
	content, err := io.ReadAll(io.LimitReader(t.Stdin, sectigo.MaxUpload+1))
	if err != nil {
		return nil, fmt.Errorf("read the CSRs from standard input: %w", err)
	}
	if len(content) > sectigo.MaxUpload {
		return nil, fmt.Errorf("standard input has more than the %d octets that can be uploaded", sectigo.MaxUpload)
	}
	return content, nil
}

// requests are the CSRs of a file, in DER.
func requests(content []byte, check bool) (csrs [][]byte, err error) {
	// SK-11: a key that somebody put beside the CSR must not get out, and to
	// pass over it would hide that the file is not the one that was meant.
	if bytes.Contains(content, []byte("PRIVATE KEY-----")) {
		return nil, errors.New("there is a private key in it; only the CSR goes to the service")
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE REQUEST" || block.Type == "NEW CERTIFICATE REQUEST" {
			csrs = append(csrs, block.Bytes)
		}
	}
	if csr, err := x509.ParseCertificateRequest(content); err == nil {
		csrs = append(csrs, csr.Raw)
	}
	if len(csrs) == 0 {
		return nil, errors.New("there is no CSR in it, neither in PEM (CERTIFICATE REQUEST) nor in DER")
	}
	for i, der := range csrs {
		if !check {
			break
		}
		if err := acceptable(der); err != nil {
			return nil, fmt.Errorf("CSR %d: %w", i+1, err)
		}
	}
	return csrs, nil
}

// acceptable says what the service would answer BROKEN to.
func acceptable(der []byte) error {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return fmt.Errorf("its key did not sign it: %w", err)
	}
	if len(csr.DNSNames) == 0 {
		return errors.New("it has no DNS name among its subject alternative names, and the service wants one; make it anew with subjectAltName=DNS:..., or send it with --no-check")
	}
	return nil
}
