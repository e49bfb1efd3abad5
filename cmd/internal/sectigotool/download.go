package sectigotool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/secret"
)

// fetching is what 'download' is told.
type fetching struct {
	id                      int64
	dir, file               string
	extract, decrypt, force bool
	wait                    waiting
}

func (t *tool) downloadCommand() *cobra.Command {
	var f fetching
	c := &cobra.Command{
		Use:   "download",
		Short: "Fetch the archive of a batch, and unpack it",
		Long: `Fetch the archive of a batch. Whatever is written is readable by you alone, and no file is overwritten
without --force. The service shows the batch as COLLECTED afterwards, and it can still be fetched again
until its archive expires.

--extract unpacks the archive as well. --decrypt opens its PKCS #12 files and writes key, certificate and
chain to a .pem file; the key is not encrypted there. The password comes from --password-file or
$SECTIGO_PKCS12_PASSWORD, or is asked for.`,
		Example: t.examples("download -i 24 -o certs/", "download -i 24 -o certs/ --extract", "download -i 24 -o certs/ --decrypt --password-file p12.pass", "download -i 24 --wait"),
		Args:    usage.NoArguments,
		RunE:    t.run(func(ctx context.Context, _ []string) error { return t.download(ctx, f) }),
	}
	flags := c.Flags()
	flags.Int64VarP(&f.id, "id", "i", 0, "number of the batch")
	flags.StringVarP(&f.dir, "outdir", "o", ".", "folder to write to; it is made if it is missing")
	flags.BoolVarP(&f.extract, "extract", "x", false, "unpack the archive")
	flags.BoolVar(&f.decrypt, "decrypt", false, "open its PKCS #12 files")
	flags.StringVar(&f.file, "password-file", "", "file with the password of the PKCS #12 files, - for standard input")
	flags.BoolVar(&f.force, "force", false, "overwrite files")
	waitFlags(c, &f.wait)
	return c
}

// fetched is what 'download' has done.
type fetched struct {
	Batch   int64    `json:"batchId"`
	Archive string   `json:"archive"`
	Files   []string `json:"files"`
}

func (t *tool) download(ctx context.Context, f fetching) error {
	if f.id <= 0 {
		return usage.Errorf("which batch? Give its number with --id")
	}
	if f.dir == "" {
		return usage.Errorf("--outdir: it is empty; leave it out for the current folder")
	}
	if err := f.wait.check(); err != nil {
		return err
	}
	// Before the download, so that it is not left half done.
	password, err := t.openingPassword(ctx, f)
	if err != nil {
		return err
	}
	return t.call(ctx, func(c *sectigo.Client) error {
		if f.wait.wait {
			if batch, err := t.await(ctx, c, sectigo.Batch{ID: f.id}, f.wait); err != nil && batch.Canonical() != sectigo.StatusPartial {
				return err
			}
		}
		d, err := c.Download(ctx, f.id)
		if err != nil {
			return err
		}
		return t.keep(f, d, password)
	})
}

// keep writes what was downloaded. The archive is on the disk before anything
// is tried with it.
func (t *tool) keep(f fetching, d sectigo.Download, password secret.Secret) error {
	const private = 0o700
	if err := os.MkdirAll(f.dir, private); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	done := fetched{Batch: f.id, Archive: filepath.Join(f.dir, d.Name), Files: []string{}}
	if err := writeFile(done.Archive, d.Content, f.force); err != nil {
		return err
	}
	if f.extract || f.decrypt {
		archive, err := sectigo.ReadArchive(d.Content, sectigo.ArchiveLimits{})
		if err != nil {
			return fmt.Errorf("%w; it is in %s as it came", err, done.Archive)
		}
		if f.decrypt && len(archive.KeyStores) == 0 {
			return fmt.Errorf("there is no PKCS #12 file in %s; the certificates in it need no password: use --extract", done.Archive)
		}
		taken := map[string]bool{strings.ToLower(d.Name): true}
		if f.extract {
			done.Files, err = unpack(f.dir, archive.Members, f.force, taken)
		}
		if err == nil && f.decrypt {
			var more []string
			more, err = decrypt(f, archive.KeyStores, password, taken)
			done.Files = append(done.Files, more...)
		}
		if err != nil {
			return fmt.Errorf("%w; the archive is in %s", err, done.Archive)
		}
	}
	return t.tell(done, func(w io.Writer) {
		fmt.Fprintf(w, "downloaded batch %d to %s\n", f.id, done.Archive)
		for _, name := range done.Files {
			fmt.Fprintf(w, "  wrote %s\n", name)
		}
		if !f.extract && !f.decrypt {
			fmt.Fprintf(w, "'download -i %d -o %s --extract --force' unpacks it too, and --decrypt opens PKCS #12 files\n", f.id, f.dir)
		}
	})
}

// openingPassword is the password of the key stores, when they are to be
// opened.
func (t *tool) openingPassword(ctx context.Context, f fetching) (secret.Secret, error) {
	if !f.decrypt {
		return secret.Secret{}, nil
	}
	password, err := t.password(f.file, "SECTIGO_PKCS12_PASSWORD")
	if err != nil || !password.Empty() {
		return password, err
	}
	if !t.terminal() {
		return password, errors.New("the PKCS #12 file has a password: give it with --password-file or $SECTIGO_PKCS12_PASSWORD")
	}
	return t.askSecret(ctx, "Password of the PKCS #12 file: ")
}

// decrypt opens key stores, all of them before any is written.
func decrypt(f fetching, stores []sectigo.Member, password secret.Secret, taken map[string]bool) ([]string, error) {
	opened := make([]sectigo.Member, 0, len(stores))
	for _, s := range stores {
		content, err := openKeyStore(s.Content, password)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", s.Name, err)
		}
		opened = append(opened, sectigo.Member{Name: withoutEnd(s.Name) + ".pem", Content: content})
	}
	return unpack(f.dir, opened, f.force, taken)
}
