package ceremony

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/backends/ib1"
	"acmebridge/internal/keyfile"
)

// Config says which folder is opened, and by whom.
type Config struct {
	Dir string
	// Settings are those of the framework. They are needed once for a new
	// folder; later they may be left out, and must be the same if they are not.
	Settings *ib1.Settings
	// By is who does what is done, for the log.
	By string
	// Keys is where private keys are.
	Keys Keys
	// Used says which further serial numbers are taken, such as those of the
	// certificates of members. Nil is none.
	Used func(*big.Int) (bool, error)
	// Now is the clock, time.Now unless set. Random is where serial numbers come
	// from, crypto/rand unless set.
	Now    func() time.Time
	Random io.Reader
}

// Folder is an open folder. It is for one goroutine.
type Folder struct {
	cfg       Config
	framework *ib1.Framework
	log       *journal
}

const settingsFile = "framework.json"

// ErrNoFramework reports a folder without settings.
var ErrNoFramework = errors.New("ceremony: there is no framework in this folder yet: say how it is called, where it is and where it publishes")

// Open opens a folder, and makes it when there are settings for it.
func Open(cfg Config) (*Folder, error) {
	f := newFolder(cfg)
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("ceremony: open %s: %w", cfg.Dir, err)
	}
	return f, nil
}

func newFolder(cfg Config) *Folder {
	if cfg.Keys == nil {
		cfg.Keys = FileKeys{Dir: cfg.Dir}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Used == nil {
		cfg.Used = func(*big.Int) (bool, error) { return false, nil }
	}
	return &Folder{cfg: cfg}
}

func (f *Folder) open() error {
	s, err := f.settings()
	if err != nil {
		return err
	}
	if f.framework, err = ib1.New(s); err != nil {
		return err
	}
	for _, dir := range []string{"client", "signing", "server", "public/crl", "public/ca"} {
		if err := os.MkdirAll(f.path(dir), 0o700); err != nil {
			return err
		}
	}
	if f.log, err = openJournal(f.cfg.Dir); err != nil {
		return err
	}
	// With the lock held nobody else is in the middle of writing a file.
	for _, dir := range []string{"", "client", "signing", "server", "public/crl", "public/ca"} {
		if err := keyfile.Sweep(f.path(dir)); err != nil {
			return errors.Join(err, f.log.close())
		}
	}
	return nil
}

func (f *Folder) settings() (s ib1.Settings, err error) {
	data, err := os.ReadFile(f.path(settingsFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.cfg.Settings == nil:
		return s, ErrNoFramework
	case errors.Is(err, fs.ErrNotExist):
		checked, err := ib1.New(*f.cfg.Settings)
		if err != nil {
			return s, err
		}
		s = checked.Settings()
		if data, err = json.MarshalIndent(s, "", "  "); err != nil {
			return s, err
		}
		if err := os.MkdirAll(f.cfg.Dir, 0o700); err != nil {
			return s, err
		}
		return s, keyfile.Create(f.cfg.Dir, settingsFile, append(data, '\n'))
	case err != nil:
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("read %s: %w", settingsFile, err)
	}
	if f.cfg.Settings != nil {
		given, err := ib1.New(*f.cfg.Settings)
		if err != nil {
			return s, err
		}
		if !reflect.DeepEqual(given.Settings(), s) {
			return s, fmt.Errorf("%s says otherwise than what was given: leave that out, or take another folder for another framework", f.path(settingsFile))
		}
	}
	return s, nil
}

// Close ends the work in the folder.
func (f *Folder) Close() error { return f.log.close() }

// Framework is what the folder is of.
func (f *Folder) Framework() *ib1.Framework { return f.framework }

// Log returns what was done, oldest first.
func (f *Folder) Log() []Record { return slices.Clone(f.log.records) }

func (f *Folder) path(name string) string {
	return filepath.Join(f.cfg.Dir, filepath.FromSlash(name))
}

func (f *Folder) record(r Record) error {
	r.At, r.By = f.cfg.Now().UTC().Truncate(time.Second), f.cfg.By
	return f.log.append(r)
}

// label is the name of an authority's key: number 0 is the root's.
func label(t ib1.Tree, number int) string {
	if number == 0 {
		return string(t) + "/root"
	}
	return fmt.Sprintf("%s/issuer-%d", t, number)
}

func (f *Folder) read(name, kind string) ([]byte, error) {
	block, err := keyfile.ReadPEM(f.path(name))
	if err != nil {
		return nil, err
	}
	if block.Type != kind {
		return nil, fmt.Errorf("%s holds a PEM block of type %q and not a %q", f.path(name), block.Type, kind)
	}
	return block.Bytes, nil
}

// certificate returns nil when there is none.
func (f *Folder) certificate(name string) (*x509.Certificate, error) {
	der, err := f.read(name, "CERTIFICATE")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path(name), err)
	}
	return c, nil
}

// writeNew writes PEM to a file that must not exist yet.
func (f *Folder) writeNew(name, kind string, der []byte) error {
	path := f.path(name)
	return keyfile.Create(filepath.Dir(path), filepath.Base(path), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// publish replaces a file that is to be served.
func (f *Folder) publish(name string, data []byte) error {
	return keyfile.Replace(f.path("public/"+name), 0o644, data)
}

// numbers lists the issuers of a tree that have a file of that suffix.
func (f *Folder) numbers(t ib1.Tree, suffix string) ([]int, error) {
	entries, err := os.ReadDir(f.path(string(t)))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "issuer-")
		digits, ok2 := strings.CutSuffix(rest, suffix)
		if n, err := strconv.Atoi(digits); ok && ok2 && err == nil && n > 0 && strconv.Itoa(n) == digits {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// root opens the root of a tree, with its key if wanted.
func (f *Folder) root(t ib1.Tree, withKey bool) (*ib1.Authority, error) {
	cert, err := f.certificate(string(t) + "/root.pem")
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, fmt.Errorf("there is no root of the %s tree here: create it, or give it with the first issuer that is imported", t)
	}
	if !withKey {
		return f.framework.OpenRoot(t, cert, nil)
	}
	signer, err := f.cfg.Keys.Open(label(t, 0))
	if err != nil {
		return nil, err
	}
	return f.framework.OpenRoot(t, cert, signer)
}

// authority opens the root, which is number 0, or an issuer.
func (f *Folder) authority(t ib1.Tree, number int, withKey bool) (*ib1.Authority, error) {
	root, err := f.root(t, withKey && number == 0)
	if err != nil || number == 0 {
		return root, err
	}
	cert, err := f.certificate(label(t, number) + ".pem")
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, fmt.Errorf("there is no issuer %d of the %s tree here", number, t)
	}
	if !withKey {
		return f.framework.OpenIssuer(t, root.Certificate(), cert, nil)
	}
	signer, err := f.cfg.Keys.Open(label(t, number))
	if err != nil {
		return nil, err
	}
	return f.framework.OpenIssuer(t, root.Certificate(), cert, signer)
}

// serial draws a number that no certificate of any tree has.
func (f *Folder) serial() (*big.Int, error) {
	return ib1.NewSerial(f.cfg.Random, func(n *big.Int) (bool, error) {
		if _, taken := f.holder(n); taken {
			return true, nil
		}
		return f.cfg.Used(n)
	})
}

// holder returns the SHA-256 of the certificate that has a number according to
// the log; empty when it was about to be signed and that was cut short.
func (f *Folder) holder(n *big.Int) (sum string, taken bool) {
	for _, r := range f.log.records {
		switch r.Event {
		case RootSigning, RootCreated, RootImported, IssuerSigning, IssuerSigned, IssuerImported:
			if r.Serial == n.String() {
				taken = true
				if r.SHA256 != "" {
					sum = r.SHA256
				}
			}
		case IssuerRequested, Revoked, ListSigning, ListSigned: // of these, none is a new certificate's
		}
	}
	return sum, taken
}

// keySum is the hash of a public key as it stands in certificates and requests.
func keySum(spki []byte) string { return sum(spki) }

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
