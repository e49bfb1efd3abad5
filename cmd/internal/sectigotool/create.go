package sectigotool

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/secret"
)

// creation is what 'create' is told.
type creation struct {
	authority                     int64
	domain, name                  string
	password, file, out           string
	prompt                        bool
	country, state, locality, org string
	names, params                 []string
	wait                          waiting
}

func (t *tool) createCommand() *cobra.Command {
	var f creation
	c := &cobra.Command{
		Use:   "create",
		Short: "Buy a certificate together with a key that the service makes",
		Long: `Buy a certificate together with a key that the service makes. Both come as a PKCS #12 file in the
archive of the batch. A key that never leaves its machine is better: see 'upload'.

The password of the PKCS #12 file comes from --password-file or $SECTIGO_PKCS12_PASSWORD, or is asked
for with --prompt. Without any of them one is made up and written to standard error before anything
is bought, or to a file that only you can read with --password-out.

Some profiles want more than names: 'profile -i N --params' lists it, and --param gives it.`,
		Example: t.examples("create -a 42 -d example.com --password-out example.pass --wait",
			`create -a 42 -d example.com --password-file p12.pass -b "example.com certs"`,
			"create -a 43 -d example.com -O 'Example Inc' -l Springfield -s Illinois -c US --password-out example.pass"),
		Args: usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.create(ctx, f) }),
	}
	flags := c.Flags()
	flags.Int64VarP(&f.authority, "authority", "a", 0, "number of the authority, or of its profile (default: that of the profile named before the verb)")
	flags.StringVarP(&f.domain, "domain", "d", "", "common name, and first DNS name")
	flags.StringArrayVar(&f.names, "dns-name", nil, "further DNS name (may be repeated)")
	flags.StringVarP(&f.password, "password", "p", "", "password of the PKCS #12 file; every user of the machine can read a command line, so use --password-file")
	flags.StringVar(&f.file, "password-file", "", "file with the password of the PKCS #12 file, - for standard input")
	flags.StringVar(&f.out, "password-out", "", "new file to write a made-up password to")
	flags.BoolVar(&f.prompt, "prompt", false, "ask for the password of the PKCS #12 file")
	flags.StringVarP(&f.name, "batch-name", "b", "", "name of the batch (default: made from the domain, and unique)")
	flags.StringVarP(&f.org, "organization", "O", "", "organizationName")
	flags.StringVarP(&f.locality, "locality", "l", "", "localityName")
	flags.StringVarP(&f.state, "state", "s", "", "stateOrProvinceName, spelled out")
	flags.StringVarP(&f.country, "country", "c", "", "countryName, two letters")
	flags.StringArrayVar(&f.params, "param", nil, "another parameter of the profile, NAME=VALUE (may be repeated)")
	waitFlags(c, &f.wait)
	return c
}

func (t *tool) create(ctx context.Context, f creation) error {
	profile, err := t.defaultProfile()
	switch {
	case err != nil:
		return err
	case f.domain == "":
		return usage.Errorf("for which name? Give it with --domain")
	case f.authority == 0 && profile == "":
		return usage.Errorf("which authority? Give its number with --authority; 'authorities' lists them")
	}
	if err := f.wait.check(); err != nil {
		return err
	}
	values := map[string]string{
		"commonName": f.domain, "dNSName": strings.Join(append([]string{f.domain}, f.names...), "\n"), // one string, the common name first
	}
	for name, v := range map[string]string{"organizationName": f.org, "localityName": f.locality, "stateOrProvinceName": f.state, "countryName": f.country} {
		if v != "" {
			values[name] = v
		}
	}
	if err := params(values, f.params); err != nil {
		return err
	}
	p := purchase{name: f.name, wait: f.wait}
	if p.name == "" {
		p.name, p.unique = uniqueName("certs-for-"+f.domain), true
	}
	return t.call(ctx, func(c *sectigo.Client) error {
		authority, err := t.authority(ctx, c, f.authority)
		if err != nil {
			return err
		}
		// Before the purchase: a key store without its password is money lost.
		password, err := t.keyStorePassword(ctx, f)
		if err != nil {
			return err
		}
		values["pkcs12Password"] = string(password.Reveal())
		return t.buy(ctx, c, p, func() (sectigo.Batch, error) {
			batch, err := c.CreateSingle(ctx, sectigo.CreateSingle{AuthorityID: authority.ID, BatchName: p.name, Params: values})
			if errors.Is(err, sectigo.ErrBadRequest) {
				err = t.wants(ctx, c, authority, err)
			}
			return batch, redact(err, password)
		})
	})
}

// authority is the one of that number, or the one whose profile has it: the
// documents of the service use either.
func (t *tool) authority(ctx context.Context, c *sectigo.Client, number int64) (sectigo.Authority, error) {
	if number == 0 {
		return t.profileAuthority(ctx, c)
	}
	all, err := c.Authorities(ctx)
	if errors.Is(err, sectigo.ErrForbidden) || errors.Is(err, sectigo.ErrNotFound) {
		return sectigo.Authority{ID: number}, nil // who may not look may still buy
	}
	if err != nil {
		return sectigo.Authority{}, err
	}
	for _, a := range all {
		switch {
		case a.ID == number && !a.Enabled:
			return a, fmt.Errorf("authority %d is switched off; an administrator can enable it in the portal", number)
		case a.ID == number:
			return a, nil
		}
	}
	a, err := sectigo.FindAuthority(all, number, "")
	if err != nil {
		return a, fmt.Errorf("there is no authority %d: %w", number, err)
	}
	t.note("note: %d is a profile; its authority is %d", number, a.ID)
	return a, nil
}

// wants adds what the profile asks for to the service's refusal.
func (t *tool) wants(ctx context.Context, c *sectigo.Client, a sectigo.Authority, refused error) error {
	if a.ProfileID == 0 {
		return refused
	}
	all, err := c.ProfileParams(ctx, a.ProfileID)
	if err != nil {
		return refused // which is what matters
	}
	var names []string
	for _, p := range all {
		if p.Required {
			names = append(names, show(p.Name))
		}
	}
	return fmt.Errorf("%w; profile %d wants %s", refused, a.ProfileID, strings.Join(names, ", "))
}

// keyStorePassword is the password for a new key store.
func (t *tool) keyStorePassword(ctx context.Context, f creation) (secret.Secret, error) {
	if f.password != "" {
		t.note("note: a password on the command line can be read by every user of this machine; use --password-file or --prompt")
		return secret.New([]byte(f.password)), nil
	}
	if f.prompt {
		return t.askTwice(ctx)
	}
	given, err := t.password(f.file, "SECTIGO_PKCS12_PASSWORD")
	if err != nil || !given.Empty() {
		return given, err
	}
	made := newPassword()
	if f.out == "" {
		t.note("password of the PKCS #12 file, shown this once: %s", made.Reveal())
		return made, nil
	}
	if err := writeFile(f.out, append(made.Reveal(), '\n'), false); err != nil {
		return made, fmt.Errorf("keep the password of the PKCS #12 file: %w", err)
	}
	t.note("the password of the PKCS #12 file is in %s", f.out)
	return made, nil
}

func (t *tool) askTwice(ctx context.Context) (secret.Secret, error) {
	first, err := t.askSecret(ctx, "Password for the PKCS #12 file: ")
	if err != nil {
		return first, err
	}
	second, err := t.askSecret(ctx, "The same again: ")
	if err == nil && !first.Equal(second) {
		err = errors.New("the two passwords differ; nothing was bought")
	}
	return first, err
}

// redacted is an error whose text has lost a secret that the service may have
// echoed (SK-10).
type redacted struct {
	text  string
	cause error
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.cause }

func redact(err error, s secret.Secret) error {
	if err == nil || s.Empty() || !strings.Contains(err.Error(), string(s.Reveal())) {
		return err
	}
	return redacted{strings.ReplaceAll(err.Error(), string(s.Reveal()), "[redacted]"), err}
}
