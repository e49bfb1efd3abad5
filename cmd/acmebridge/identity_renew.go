package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/acme"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/identity"
	"acmebridge/internal/identity/renew"
	"acmebridge/internal/secret"
)

// renewFlags are those of 'identity renew' that are no field of a Renewer.
type renewFlags struct {
	identityFlags
	caFile, kid, hmacFile, listen, webroot, before, deploy string
	timeout                                                string
}

func (p *program) identityRenewCommand() *cobra.Command {
	f, r := &renewFlags{}, &renew.Renewer{}
	c := &cobra.Command{
		Use: "renew FILE --directory URL", Short: "Renew an identity over ACME when it is time, and run a command then",
		Long: `Renew an identity when the ACME server says that it is time (RFC 9773), or when a third of its life is
left: order, prove control over http-01 where that is asked, check the new certificate, and put the new
identity in place of the old one in one step. Then the deploy command runs, with the file in
$ACMEBRIDGE_IDENTITY; when it fails, the next run tries it again. When FILE is not there yet, the first
certificate is ordered, for the names given with --dns.

Run it daily. A CA that takes longer than --timeout is asked again by the next run, with the same key, so
that nothing is bought twice. The key of the account is kept in FILE.account.key, and the private key of
what is on order in FILE.next.key; neither leaves this machine.`,
		Example: "  acmebridge identity renew vasp.pem --directory https://acme.example/directory --dns vasp.example --eab-kid KID --eab-hmac-file hmac.txt --webroot /var/www/html\n" +
			"  acmebridge identity renew vasp.pem --directory https://acme.example/directory --root x9-root.pem --deploy 'systemctl reload trust-node'",
		Args: exactly(1, "the file of the identity"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Path = args[0]
			if err := f.fill(r); err != nil {
				return err
			}
			timeout, err := config.ParseDuration(f.timeout)
			if err != nil || timeout <= 0 {
				return usage.Errorf("--timeout: write a duration such as 10m")
			}
			if f.deploy != "" {
				r.Deploy = p.deployer(f.deploy, r.Path)
			}
			r.Say = func(format string, args ...any) { fmt.Fprintf(p.stderr, format+"\n", args...) }
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return f.explain(r.Run(ctx))
		},
	}
	f.flags(c)
	for _, name := range []string{"json", "remaining", "passphrase-file"} {
		_ = c.Flags().MarkHidden(name) // they are of export and check
	}
	c.Flags().StringVar(&r.Directory, "directory", "", "URL of the directory of the ACME server")
	c.Flags().StringVar(&f.caFile, "ca-file", "", "file with the root of the server's own TLS certificate, when it is a private one")
	c.Flags().StringVar(&r.Profile, "profile", "", "profile to order (default: that of the server)")
	c.Flags().StringArrayVar(&r.Contact, "contact", nil, "URL for messages of the CA, such as mailto:ops@vasp.example (may be given again)")
	c.Flags().StringVar(&f.kid, "eab-kid", "", "name of the external account key, where the server asks for one")
	c.Flags().StringVar(&f.hmacFile, "eab-hmac-file", "", "file, readable by its owner only, with that key in base64url")
	c.Flags().StringVar(&f.webroot, "webroot", "", "folder that a web server serves at /, to answer http-01 challenges in")
	c.Flags().StringVar(&f.listen, "http01", "", "address to answer http-01 challenges at, such as :80")
	c.Flags().StringVar(&r.KeyType, "key-type", identity.KeyTypes()[0], "one of "+strings.Join(identity.KeyTypes(), ", "))
	c.Flags().BoolVar(&r.ReuseKey, "reuse-key", false, "keep the private key (default: a new one each time)")
	c.Flags().StringVar(&f.before, "before", "", "renew that long before the end when the server does not say when, such as 45d (default: a third of its life)")
	c.Flags().BoolVar(&r.Force, "force", false, "renew now")
	c.Flags().StringVar(&f.deploy, "deploy", "", "command to run when a new identity stands")
	c.Flags().StringVar(&f.timeout, "timeout", "10m", "how long to wait for the CA")
	return c
}

// fill turns flags into what the renewer wants.
func (f *renewFlags) fill(r *renew.Renewer) error {
	if u, err := url.Parse(r.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return usage.Errorf("name the directory of the server with --directory, such as https://acme.example/directory")
	}
	e, err := f.expect(time.Time{})
	if err != nil {
		return err
	}
	r.Names, r.Server, r.Client, r.Roots = e.Names, e.Server, e.Client, e.Roots
	r.Now, r.UserAgent = time.Now, "acmebridge-identity"
	if f.before != "" {
		if r.Before, err = config.ParseDuration(f.before); err != nil || r.Before <= 0 {
			return usage.Errorf("--before: write a duration such as 45d")
		}
	}
	switch {
	case f.webroot != "" && f.listen != "":
		return usage.Errorf("give --webroot or --http01, not both")
	case f.webroot != "":
		r.Answerer = renew.Webroot{Folder: f.webroot}
	case f.listen != "":
		r.Answerer = renew.Listen{Address: f.listen}
	}
	if (f.kid == "") != (f.hmacFile == "") {
		return usage.Errorf("--eab-kid and --eab-hmac-file belong together")
	}
	if f.kid != "" {
		s, err := secret.FromFile(f.hmacFile)
		if err != nil {
			return err
		}
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(string(s.Reveal())), "="))
		if err != nil {
			return fmt.Errorf("%s: an external account key is written in base64url", f.hmacFile)
		}
		r.ExternalAccount = &acme.ExternalAccountBinding{KID: f.kid, Key: key}
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.caFile != "" {
		pem, err := readLimited(f.caFile)
		if err != nil {
			return err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate in PEM", f.caFile)
		}
	}
	r.HTTP = trusting(settings)
	return nil
}

// explain adds what to do about a server whose certificate is not trusted.
func (f *renewFlags) explain(err error) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case !errors.As(err, &untrusted):
		return err
	case f.caFile == "":
		return fmt.Errorf("%w; when the server's certificate comes from a private CA, give the root of that with --ca-file", err)
	default:
		return fmt.Errorf("%w; the server's certificate does not lead to what is in %s (--ca-file)", err, f.caFile)
	}
}

// deployer runs a command line as the shell of this machine reads it.
func (p *program) deployer(line, path string) func(context.Context) error {
	return func(ctx context.Context) error {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
		cmd.Env = append(os.Environ(), "ACMEBRIDGE_IDENTITY="+absolute)
		cmd.Stdout, cmd.Stderr = p.stderr, p.stderr
		return cmd.Run()
	}
}
