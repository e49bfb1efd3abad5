package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/hsm"
	"acmebridge/internal/keyfile"
	"acmebridge/internal/secret"
)

func (p *program) ib1Command() *cobra.Command {
	return group("ib1", "The CAs of an IB1 trust framework, in a folder, without a server",
		"  acmebridge ib1 root create --dir ib1 --tree client --framework 'Core Trust Framework' --country GB --url http://pki.example.org\n"+
			"  acmebridge ib1 issuer rotate --dir ib1 --tree client\n  acmebridge ib1 issuer list --dir ib1",
		group("root", "Roots of the trees", "  acmebridge ib1 root create --dir ib1 --tree signing", p.ib1RootCreateCommand()),
		group("issuer", "Issuers below the roots", "  acmebridge ib1 issuer request --dir ib1 --tree client\n  acmebridge ib1 issuer list --dir ib1",
			p.ib1IssuerRequestCommand(), p.ib1IssuerSignCommand(), p.ib1IssuerImportCommand(), p.ib1IssuerRotateCommand(), p.ib1IssuerListCommand()),
		group("crl", "Revocation lists of roots and issuers", "  acmebridge ib1 crl sign --dir ib1 --tree client\n  acmebridge ib1 crl revoke --dir ib1 --tree client --cert member.pem --reason keyCompromise",
			p.ib1CRLRevokeCommand(), p.ib1CRLSignCommand(), p.ib1CRLImportCommand(), p.ib1CRLBundleCommand()),
		p.ib1StatusCommand(), p.ib1LogCommand(), p.ib1VerifyCommand())
}

// ib1Flags are what commands of ib1 have in common.
type ib1Flags struct {
	dir, tree, by                  string
	passphraseFile, rootPassphrase string
	settings                       ib1.Settings
	rootNames, issuerNames         map[string]string
	passphrases                    map[string][]byte // asked for
	hardware                       hsm.Config
	pinFile                        string
}

// where adds the flags that say which folder and tree a command is about.
func (i *ib1Flags) where(c *cobra.Command) {
	c.Flags().StringVar(&i.dir, "dir", "", "folder of the framework")
	c.Flags().StringVar(&i.tree, "tree", "", "client, signing or server")
	c.Flags().StringVar(&i.by, "by", "", "who does this, for the log (default: the user's name)")
}

// keys adds the flags for the passphrases of keys.
func (i *ib1Flags) keys(c *cobra.Command) {
	c.Flags().StringVar(&i.passphraseFile, "passphrase-file", "", "file, readable by its owner only, with the passphrase of the key (default: ask)")
	c.Flags().StringVar(&i.rootPassphrase, "root-passphrase-file", "", "the same for the key of the root (default: as for other keys)")
	c.Flags().StringVar(&i.hardware.Module, "pkcs11-module", "", "library of a hardware security module: new keys are made in it, and those that are there are used")
	c.Flags().StringVar(&i.hardware.Token, "pkcs11-token", "", "label of its token")
	c.Flags().StringVar(&i.hardware.Prefix, "pkcs11-prefix", hsm.DefaultPrefix, "what the labels of keys in it begin with")
	c.Flags().StringVar(&i.pinFile, "pkcs11-pin-file", "", "file, readable by its owner only, with its PIN (default: ask)")
}

// framework adds the flags that a new folder needs.
func (i *ib1Flags) framework(c *cobra.Command) {
	c.Flags().StringVar(&i.settings.Label, "framework", "", "name of the framework, such as 'Core Trust Framework' (once for a new folder, as the flags below)")
	c.Flags().StringVar(&i.settings.Country, "country", "", "country of its operator, such as GB")
	c.Flags().StringVar(&i.settings.Organization, "organization", "", "name of its operator (default: that of the framework)")
	c.Flags().StringVar(&i.settings.PublicURL, "url", "", "where lists and CA certificates are published, such as http://pki.example.org")
	c.Flags().StringToStringVar(&i.rootNames, "root-name", nil, "common name of a root, such as client='Core Trust Framework client CA' (may be repeated; default: that of the framework and the tree)")
	c.Flags().StringToStringVar(&i.issuerNames, "issuer-name", nil, "the same for the issuers of a tree")
	c.Flags().IntVar(&i.settings.MemberDays, "member-days", 0, "validity of member certificates in days (default 365)")
	c.Flags().IntVar(&i.settings.RegenerationDays, "regeneration-days", 0, "for how many days an issuer signs certificates (default 90)")
	c.Flags().IntVar(&i.settings.ListParts, "list-parts", 0, "into how many revocation lists those of an issuer are divided, for 100,000 and more revocations (default 1)")
}

// given are the settings of the command line, or nil.
func (i *ib1Flags) given() (*ib1.Settings, error) {
	s := i.settings
	for names, to := range map[*map[string]string]*map[ib1.Tree]string{&i.rootNames: &s.RootNames, &i.issuerNames: &s.IssuerNames} {
		for tree, name := range *names {
			if !slices.Contains(ib1.Trees(), ib1.Tree(tree)) {
				return nil, usage.Errorf("there is no tree %q: write client=, signing= or server= before a name", tree)
			}
			if *to == nil {
				*to = map[ib1.Tree]string{}
			}
			(*to)[ib1.Tree(tree)] = name
		}
	}
	if s.Label != "" {
		return &s, nil
	}
	if s.Country+s.Organization+s.PublicURL != "" || s.MemberDays+s.RegenerationDays+s.ListParts != 0 || len(s.RootNames)+len(s.IssuerNames) > 0 {
		return nil, usage.Errorf("name the framework too, with --framework, or leave out what the folder knows")
	}
	return nil, nil
}

// ib1Folder works in the folder.
func (p *program) ib1Folder(i *ib1Flags, anyTree bool, work func(*ceremony.Folder, ib1.Tree) error) error {
	if i.dir == "" {
		return usage.Errorf("name the folder of the framework, with --dir")
	}
	tree := ib1.Tree(i.tree)
	if !slices.Contains(ib1.Trees(), tree) && (!anyTree || i.tree != "") {
		return usage.Errorf("name the tree, with --tree: client, signing or server")
	}
	now, err := seams(p.env)
	if err != nil {
		return err
	}
	if i.by == "" {
		i.by = lookup(p.env, "USER")
	}
	files := ceremony.FileKeys{Dir: i.dir}
	files.Passphrase = func(label string) ([]byte, error) { return p.ib1Passphrase(i, files, label) }
	var keys ceremony.Keys = files
	if i.hardware.Module != "" {
		i.hardware.PIN = func() ([]byte, error) { return p.ib1PIN(i) }
		token, err := hsm.Open(i.hardware)
		if err != nil {
			return err
		}
		defer func() { _ = token.Close() }() // the process ends here
		keys = ceremony.EitherKeys{First: token, Second: files}
	}
	given, err := i.given()
	if err != nil {
		return err
	}
	cfg := ceremony.Config{Dir: i.dir, Settings: given, By: i.by, Now: now, Keys: keys}
	f, err := ceremony.Open(cfg)
	if errors.Is(err, ceremony.ErrNoFramework) {
		return fmt.Errorf("%w: use --framework, --country and --url", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(work(f, tree), f.Close())
}

// ib1PIN gets the PIN of the token.
func (p *program) ib1PIN(i *ib1Flags) ([]byte, error) {
	if i.pinFile != "" {
		s, err := secret.FromFile(i.pinFile)
		return s.Reveal(), err
	}
	stdin, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return nil, errors.New("there is nobody to ask for the PIN: use --pkcs11-pin-file")
	}
	fmt.Fprintf(p.stderr, "PIN of the token %s: ", show(i.hardware.Token))
	defer fmt.Fprintln(p.stderr)
	return term.ReadPassword(int(stdin.Fd()))
}

// ib1Passphrase gets the passphrase of a key, once.
func (p *program) ib1Passphrase(i *ib1Flags, keys ceremony.FileKeys, label string) ([]byte, error) {
	file := i.passphraseFile
	if strings.HasSuffix(label, "/root") && i.rootPassphrase != "" {
		file = i.rootPassphrase
	}
	if file != "" {
		s, err := secret.FromFile(file)
		if err != nil {
			return nil, err
		}
		return s.Reveal(), nil
	}
	if known, ok := i.passphrases[label]; ok {
		return known, nil
	}
	stdin, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return nil, fmt.Errorf("there is nobody to ask for the passphrase of %s: use --passphrase-file", label)
	}
	ask := func(again string) ([]byte, error) {
		fmt.Fprintf(p.stderr, "Passphrase of %s%s: ", label, again)
		defer fmt.Fprintln(p.stderr)
		return term.ReadPassword(int(stdin.Fd()))
	}
	first, err := ask("")
	if err != nil {
		return nil, err
	}
	has, err := keys.Has(label)
	if err != nil {
		return nil, err
	}
	if !has { // A slip would lock the key away for ever.
		second, err := ask(", again")
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(first, second) {
			return nil, errors.New("the passphrases differ")
		}
	}
	if i.passphrases == nil {
		i.passphrases = map[string][]byte{}
	}
	i.passphrases[label] = first
	return first, nil
}

func (p *program) ib1RootCreateCommand() *cobra.Command {
	i := &ib1Flags{}
	c := &cobra.Command{
		Use: "create --dir FOLDER --tree TREE", Short: "Make the root of a tree",
		Long: `Make the root of a tree: a P-384 key, encrypted with a passphrase, and its certificate for 25 years.

Do it on a machine without a network. The first command in a folder says what the framework is
called, where it is and where it publishes; all of that goes into certificates.`,
		Example: "  acmebridge ib1 root create --dir ib1 --tree client --framework 'Core Trust Framework' --country GB --url http://pki.example.org\n" +
			"  acmebridge ib1 root create --dir ib1 --tree signing", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, false, func(f *ceremony.Folder, t ib1.Tree) error {
				cert, err := f.CreateRoot(t)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "made the root of the %s tree\n", t)
				p.ib1Certificate(cert)
				return nil
			})
		},
	}
	i.where(c)
	i.keys(c)
	i.framework(c)
	return c
}

// ib1Certificate prints what people compare at a ceremony.
func (p *program) ib1Certificate(c *x509.Certificate) {
	fmt.Fprintf(p.stdout, "  %s\n  serial number %s\n  from %s to %s\n  SHA-256 %x\n", show(c.Subject.String()), c.SerialNumber, when(&c.NotBefore), when(&c.NotAfter), sha256.Sum256(c.Raw))
}

// ib1File reads a file with one PEM block of that type, or - for what is typed or piped.
func (p *program) ib1File(path, kind string) ([]byte, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(p.stdin, 1<<20))
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(data)
		if block == nil || block.Type != kind {
			return nil, fmt.Errorf("standard input does not hold a PEM block of type %q", kind)
		}
		return block.Bytes, nil
	}
	block, err := keyfile.ReadPEM(path)
	if err != nil {
		return nil, err
	}
	if block.Type != kind {
		return nil, fmt.Errorf("%s holds a PEM block of type %q and not a %q", path, block.Type, kind)
	}
	return block.Bytes, nil
}

func (p *program) ib1ReadCertificate(path string) (*x509.Certificate, error) {
	der, err := p.ib1File(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

func (p *program) ib1LogCommand() *cobra.Command {
	i := &ib1Flags{}
	var asJSON bool
	c := &cobra.Command{
		Use: "log --dir FOLDER", Short: "Show what was done in a folder, after checking that the log is whole",
		Example: "  acmebridge ib1 log --dir ib1\n  acmebridge ib1 log --dir ib1 --json", Args: usage.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			return p.ib1Folder(i, true, func(f *ceremony.Folder, _ ib1.Tree) error {
				return table(p, asJSON, f.Log(), "nothing was done yet", "NO.\tAT\tBY\tEVENT\tTREE\tSERIAL OR NUMBER", func(w io.Writer, r ceremony.Record) {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Seq, when(&r.At), show(r.By), r.Event, r.Tree, show(r.Serial+r.Number))
				})
			})
		},
	}
	c.Flags().StringVar(&i.dir, "dir", "", "folder of the framework")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}
