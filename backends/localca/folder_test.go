package localca

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/keyfile"
)

type asn1BitString = asn1.BitString

func unmarshal(t testing.TB, der []byte, into any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		t.Fatalf("unmarshal: %v, %d octets left", err, len(rest))
	}
}

func newKey(t testing.TB) string {
	t.Helper()
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func TestFilesOfANewCA(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	open(t, cfg)
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]fs.FileMode{"root.pem": 0o644, "root.key": 0o600, "issuer-1.pem": 0o644, "issuer-1.key": 0o600}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := modes[e.Name()]; !ok || info.Mode() != want {
			t.Errorf("%s has mode %s, want %s", e.Name(), info.Mode(), want)
		}
		delete(modes, e.Name())
	}
	if len(modes) > 0 {
		t.Errorf("missing: %v", modes)
	}
	if info, err := os.Stat(cfg.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v: %v", info.Mode(), err)
	}
}

var errPlug = errors.New("the plug was pulled")

// TestPulledPlug cuts every sequence of files short after each step, and just
// before its result counts, and wants the next start to go on: with the same
// root if there was one already.
func TestPulledPlug(t *testing.T) {
	t.Parallel()
	for _, passphrase := range []string{"", "correct horse"} {
		for steps := range 4 {
			for _, littered := range []bool{false, true} {
				cfg := testConfig(t)
				if passphrase != "" {
					cfg.iterations = 100
					cfg.Passphrase = func() ([]byte, error) { return []byte(passphrase), nil }
				}
				full, err := cfg.complete()
				if err != nil {
					t.Fatal(err)
				}
				f := full.folder()
				done := 0
				f.create = func(dir, name string, data []byte) error {
					if done == steps {
						if littered {
							// What a crash in the middle of keyfile.Create leaves.
							if err := os.WriteFile(filepath.Join(dir, keyfile.TempPrefix+name+"-1"), data[:len(data)/2], 0o600); err != nil {
								t.Fatal(err)
							}
						}
						return errPlug
					}
					done++
					return keyfile.Create(dir, name, data)
				}
				if _, err := f.begin(full); !errors.Is(err, errPlug) {
					t.Fatalf("after %d steps: got %v, want the plug pulled", steps, err)
				}
				before, _ := os.ReadFile(f.path(rootCertFile))
				beforeKey, _ := os.ReadFile(f.path(rootKeyFile))

				ca := open(t, cfg)
				after, err := os.ReadFile(f.path(rootCertFile))
				if err != nil {
					t.Fatal(err)
				}
				afterKey, err := os.ReadFile(f.path(rootKeyFile))
				if err != nil {
					t.Fatal(err)
				}
				if before != nil && !bytes.Equal(before, after) || beforeKey != nil && !bytes.Equal(beforeKey, afterKey) {
					t.Errorf("after %d steps: the root was made anew", steps)
				}
				if _, err := ca.Issue(newRequest(birth)); err != nil {
					t.Errorf("after %d steps: %v", steps, err)
				}
				if left, _ := filepath.Glob(filepath.Join(cfg.Dir, ".*")); len(left) > 0 {
					t.Errorf("after %d steps: left lying about: %v", steps, left)
				}
				if err := ca.Rotate(); err != nil {
					t.Errorf("after %d steps: %v", steps, err)
				}
			}
		}
	}
}

func TestPulledPlugInRotation(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	ca.dir.create = func(dir, name string, data []byte) error {
		if strings.HasSuffix(name, ".pem") {
			return errPlug
		}
		return keyfile.Create(dir, name, data)
	}
	if err := ca.Rotate(); !errors.Is(err, errPlug) {
		t.Fatalf("got %v, want the plug pulled", err)
	}
	lonely, err := os.ReadFile(filepath.Join(cfg.Dir, "issuer-2.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca = open(t, cfg)
	if n := ca.state.Load().current().number; n != 1 {
		t.Errorf("issuer %d is in use after half a rotation", n)
	}
	if err := ca.Rotate(); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(filepath.Join(cfg.Dir, "issuer-2.key")); err != nil || !bytes.Equal(now, lonely) {
		t.Errorf("the key of the half rotation was replaced: %v", err)
	}
	if n := ca.state.Load().current().number; n != 2 {
		t.Errorf("issuer %d is in use after the rotation", n)
	}
}

// TestRefusedFolders damages a CA and wants Open to say what to do.
// TestRefusedFolders: what is missing, mixed up, damaged or open to others is
// said, and nothing is signed with it. A file holds one PEM block of the kind
// that belongs there, and nothing else (PX-5).
func TestRefusedFolders(t *testing.T) {
	t.Parallel()
	move := func(t *testing.T, dir, from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) { move(t, c.Dir, name, name+".gone") }
	}
	mode := func(name string, mode fs.FileMode) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) {
			if err := os.Chmod(filepath.Join(c.Dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap := func(name string) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) {
			other := testConfig(t)
			open(t, other)
			data, err := os.ReadFile(filepath.Join(other.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.Dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, data string) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) {
			if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	around := func(name, front, behind string) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) {
			data, err := os.ReadFile(filepath.Join(c.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			write(name, front+string(data)+behind)(t, c)
		}
	}
	at := func(now time.Time) func(*testing.T, *Config) {
		return func(_ *testing.T, c *Config) { c.Now = func() time.Time { return now } }
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, *Config)
		want   string
	}{
		"root certificate missing":  {remove("root.pem"), "root.pem is missing while issuer-1.pem is there: restore it"},
		"issuing key missing":       {remove("issuer-1.key"), "issuer-1.key is missing while certificates of that key are in use"},
		"key of another CA":         {swap("issuer-1.key"), "is not the key of"},
		"certificate of another CA": {swap("issuer-1.pem"), "the files are of two CAs"},
		"root of another CA":        {swap("root.pem"), "the files are of two CAs"},
		"key readable by group":     {mode("issuer-1.key", 0o640), "chmod 600"},
		"key readable by all":       {mode("issuer-1.key", 0o604), "chmod 600"},
		"root key readable by all":  {mode("root.key", 0o644), "chmod 600"},
		"empty key":                 {write("issuer-1.key", ""), "does not hold exactly one PEM block"},
		"certificate as a key":      {write("issuer-1.key", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "a CA key is a"},
		"damaged certificate":       {write("issuer-1.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "read"},
		"text in front":             {around("issuer-1.pem", "Certificate:\n", ""), "does not hold exactly one PEM block"},
		"text behind":               {around("root.pem", "", "and so on"), "does not hold exactly one PEM block"},
		"two certificates":          {around("issuer-1.pem", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "does not hold exactly one PEM block"},
		"two keys":                  {around("issuer-1.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ""), "does not hold exactly one PEM block"},
		"a key for a certificate":   {write("root.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "not a certificate"},
		"a file without end":        {around("issuer-1.pem", "", strings.Repeat("\n", 256<<10)), "larger than 262144 bytes"},
		"a block without end":       {write("issuer-1.pem", "-----BEGIN CERTIFICATE-----\n"+strings.Repeat("A", 100<<10)), "does not hold exactly one PEM block"},
		"headers without end":       {write("issuer-1.pem", "-----BEGIN CERTIFICATE-----\n"+strings.Repeat("a: b\n", 40<<10)), "does not hold exactly one PEM block"},
		"issuer ended":              {at(birth.Add(5*year + day)), "rotate the CA"},
		"root ended":                {at(birth.Add(10*year + day)), "make a new CA"},
		"clock behind":              {at(birth.Add(-day)), "correct the clock"},
		"root key lost before the first issuer": {func(t *testing.T, c *Config) {
			remove("issuer-1.pem")(t, c)
			remove("root.key")(t, c)
		}, "put it back"},
		"passphrase for plain keys": {func(_ *testing.T, c *Config) {
			c.Passphrase = func() ([]byte, error) { return []byte("x"), nil }
		}, "is not encrypted although a passphrase is configured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			open(t, cfg)
			c.damage(t, &cfg)
			if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestRootKeyMayBeElsewhere(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	open(t, cfg)
	key, away := filepath.Join(cfg.Dir, "root.key"), filepath.Join(t.TempDir(), "root.key")
	if err := os.Rename(key, away); err != nil {
		t.Fatal(err)
	}
	ca := open(t, cfg)
	if _, err := ca.Issue(newRequest(birth)); err != nil {
		t.Error(err)
	}
	if err := ca.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ca.Rotate(); err == nil || !strings.Contains(err.Error(), "the key of the root is needed") {
		t.Errorf("got %v, want that the key of the root is needed", err)
	}
	if err := os.Rename(away, key); err != nil {
		t.Fatal(err)
	}
	if err := ca.Rotate(); err != nil {
		t.Error(err)
	}
}
