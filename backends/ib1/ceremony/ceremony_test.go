package ceremony_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/ceremony"
	"acmebridge/internal/keyfile"
)

var birth = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// place is a folder and the clock of its machine.
type place struct {
	t        *testing.T
	dir      string
	now      time.Time
	settings *ib1.Settings
	used     func(*big.Int) (bool, error)
}

func newPlace(t *testing.T) *place {
	return &place{t: t, dir: filepath.Join(t.TempDir(), "ib1"), now: birth,
		settings: &ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"}}
}

func (p *place) config() ceremony.Config {
	return ceremony.Config{
		Dir: p.dir, Settings: p.settings, By: "a test", Now: func() time.Time { return p.now }, Used: p.used,
		Keys: ceremony.FileKeys{Dir: p.dir, Iterations: 10, Passphrase: func(string) ([]byte, error) { return []byte("pass"), nil }},
	}
}

// do works in the folder as one run of a command does.
func (p *place) do(work func(*ceremony.Folder)) {
	p.t.Helper()
	f, err := ceremony.Open(p.config())
	if err != nil {
		p.t.Fatal(err)
	}
	work(f)
	if err := f.Close(); err != nil {
		p.t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestOneMachine goes through the life of a tree whose root is at hand.
func TestOneMachine(t *testing.T) {
	t.Parallel()
	for _, tree := range ib1.Trees() {
		p := newPlace(t)
		p.do(func(f *ceremony.Folder) {
			root := must(f.CreateRoot(tree))
			n, first, err := f.RotateIssuer(tree)
			if err != nil || n != 1 || first.CheckSignatureFrom(root) != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if _, err := f.CreateRoot(tree); err == nil {
				t.Error("a tree got a second root")
			}
		})
		p.settings = nil
		p.now = birth.Add(80 * day)
		p.do(func(f *ceremony.Folder) {
			s := must(f.List())
			if len(s) != 1 || len(s[0].Issuers) != 1 || len(s[0].Alarms) != 1 || s[0].Alarms[0].Urgent || !s[0].RootKey || !s[0].Issuers[0].Key {
				t.Fatalf("%+v", s)
			}
			if n, _, err := f.RotateIssuer(tree); err != nil || n != 2 {
				t.Fatalf("%d, %v", n, err)
			}
		})
		p.now = birth.Add(91 * day)
		p.do(func(f *ceremony.Folder) {
			s := must(f.List())[0]
			if len(s.Issuers) != 2 || s.Issuers[0].Phase == ib1.Active || s.Issuers[1].Phase != ib1.Active || len(s.Alarms) != 0 {
				t.Errorf("%+v", s)
			}
			var events []string
			for _, r := range f.Log() {
				events = append(events, string(r.Event))
			}
			const want = "root.signing root.created issuer.requested issuer.signing issuer.signed issuer.imported issuer.requested issuer.signing issuer.signed issuer.imported"
			if strings.Join(events, " ") != want {
				t.Errorf("log %q", events)
			}
		})
		for _, name := range []string{"root", "issuer-1", "issuer-2"} {
			data, err := os.ReadFile(filepath.Join(p.dir, string(tree), name+".key"))
			if err != nil || !bytes.HasPrefix(data, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
				t.Errorf("%s begins %.40q, %v", name, data, err)
			}
		}
		if got := must(filepath.Glob(filepath.Join(p.dir, "public/ca/ib1-*.cer"))); len(got) != 3 {
			t.Errorf("published: %q", got)
		}
	}
}

// TestTwoMachines: the root and the issuer are kept apart, and all that passes
// between them is a request and certificates.
func TestTwoMachines(t *testing.T) {
	t.Parallel()
	vault, online := newPlace(t), newPlace(t)
	var request ceremony.Request
	online.do(func(f *ceremony.Folder) {
		request = must(f.RequestIssuer(ib1.Signing))
		if again := must(f.RequestIssuer(ib1.Signing)); again.Number != 1 || !bytes.Equal(again.DER, request.DER) {
			t.Error("a request that waits was made again")
		}
		if s := must(f.List()); len(s) != 1 || len(s[0].Requests) != 1 {
			t.Errorf("%+v", s)
		}
	})
	var root, other, issuer *x509.Certificate
	vault.do(func(f *ceremony.Folder) {
		root, other = must(f.CreateRoot(ib1.Signing)), must(f.CreateRoot(ib1.Client))
		issuer = must(f.SignIssuer(ib1.Signing, request.DER))
		if _, err := f.SignIssuer(ib1.Signing, request.DER); err == nil || !strings.Contains(err.Error(), "has this key already") {
			t.Errorf("one key got two certificates: %v", err)
		}
		if _, err := f.SignIssuer(ib1.Client, request.DER); err == nil || !strings.Contains(err.Error(), "another tree") {
			t.Errorf("a request of another tree was signed: %v", err)
		}
	})
	online.do(func(f *ceremony.Folder) {
		if _, err := f.ImportIssuer(ib1.Signing, issuer, nil); err == nil || !strings.Contains(err.Error(), "give its certificate too") {
			t.Errorf("without a root: %v", err)
		}
		if _, err := f.ImportIssuer(ib1.Signing, issuer, other); !errors.Is(err, ib1.ErrProfile) {
			t.Errorf("with the root of another tree: %v", err)
		}
		if n, err := f.ImportIssuer(ib1.Signing, issuer, root); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if _, err := f.ImportIssuer(ib1.Signing, issuer, nil); err == nil || !strings.Contains(err.Error(), "has its certificate already") {
			t.Errorf("twice: %v", err)
		}
		if next := must(f.RequestIssuer(ib1.Signing)); next.Number != 2 || bytes.Equal(next.DER, request.DER) {
			t.Errorf("the next request is %d", next.Number)
		}
		if s := must(f.List())[0]; s.RootKey || s.Root == nil || !s.Issuers[0].Key {
			t.Errorf("%+v", s)
		}
		if _, _, err := f.RotateIssuer(ib1.Signing); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rotated without the key of the root: %v", err)
		}
		// Lists of the issuer are signed here; that of the root comes over.
		must(f.SignList(ib1.Signing, 1))
		if _, err := f.SignList(ib1.Signing, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("signed without the key of the root: %v", err)
		}
	})
	var list ceremony.SignedList
	var older ceremony.SignedList
	vault.do(func(f *ceremony.Folder) {
		older, list = must(f.SignList(ib1.Signing, 0)), must(f.SignList(ib1.Signing, 0))
	})
	online.do(func(f *ceremony.Folder) {
		online.now = birth.Add(366 * day)
		if _, err := f.ImportList(ib1.Signing, list.DER); err == nil || !strings.Contains(err.Error(), "its time is over") {
			t.Errorf("a list of long ago was taken: %v", err)
		}
		online.now = birth
		must(f.ImportList(ib1.Signing, list.DER))
		if _, err := f.ImportList(ib1.Signing, older.DER); err == nil || !strings.Contains(err.Error(), "which is newer") {
			t.Errorf("an older list was taken: %v", err)
		}
		bundle := must(os.ReadFile(must(f.Bundle(ib1.Signing))))
		if bytes.Count(bundle, []byte("BEGIN X509 CRL")) != 2 {
			t.Errorf("bundle:\n%s", bundle)
		}
		if _, err := f.ImportList(ib1.Client, list.DER); err == nil {
			t.Error("a list of another tree was taken")
		}
	})
	// Elsewhere nobody has the request.
	third := newPlace(t)
	third.do(func(f *ceremony.Folder) {
		if _, err := f.ImportIssuer(ib1.Signing, issuer, root); err == nil || !strings.Contains(err.Error(), "no request of this folder") {
			t.Errorf("imported elsewhere: %v", err)
		}
	})
	// Too late it is no use.
	late := newPlace(t)
	late.now = birth.Add(100 * day)
	late.do(func(f *ceremony.Folder) {
		if _, err := f.ImportIssuer(ib1.Signing, issuer, root); err == nil || !strings.Contains(err.Error(), "retired") {
			t.Errorf("imported too late: %v", err)
		}
	})
}

// TestSerialNumbers: a number that is in use anywhere is not drawn, and one that
// another certificate has is not imported.
func TestSerialNumbers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var asked []*big.Int
	p.used = func(n *big.Int) (bool, error) {
		asked = append(asked, n)
		return len(asked) == 1, nil
	}
	p.do(func(f *ceremony.Folder) {
		if root := must(f.CreateRoot(ib1.Client)); len(asked) != 2 || root.SerialNumber.Cmp(asked[1]) != 0 {
			t.Errorf("asked for %v", asked)
		}
	})
	// The same randomness gives the same number, which the log knows.
	p.used = nil
	cfg := p.config()
	fixed := bytes.Repeat([]byte{7}, 16)
	cfg.Random = bytes.NewReader(append(append(bytes.Clone(fixed), fixed...), bytes.Repeat([]byte{8}, 16)...))
	f := must(ceremony.Open(cfg))
	a, b := must(f.CreateRoot(ib1.Signing)), must(f.CreateRoot(ib1.Server))
	if a.SerialNumber.Cmp(b.SerialNumber) == 0 {
		t.Error("two trees share a number")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.do(func(f *ceremony.Folder) {
		request := must(f.RequestIssuer(ib1.Server))
		csr := must(ib1.ReadCSR(request.DER))
		// Somebody signs outside of the folder with a number that is taken.
		root := must(x509.ParseCertificate(b.Raw))
		key, _, err := keyfile.Read(filepath.Join(p.dir, "server/root.key"), func() ([]byte, error) { return []byte("pass"), nil })
		if err != nil {
			t.Fatal(err)
		}
		authority := must(f.Framework().OpenRoot(ib1.Server, root, key))
		issuer := must(authority.CreateIssuer(csr.PublicKey, ib1.Issuance{Serial: a.SerialNumber, Now: p.now}))
		if _, err := f.ImportIssuer(ib1.Server, issuer, nil); err == nil || !strings.Contains(err.Error(), "unique over all trees") {
			t.Errorf("imported: %v", err)
		}
	})
}

// TestLists: numbers only rise, also when signing fails in between, and what was
// revoked is listed.
func TestLists(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	leaf := big.NewInt(4711)
	p.do(func(f *ceremony.Folder) {
		must(f.CreateRoot(ib1.Client))
		if _, _, err := f.RotateIssuer(ib1.Client); err != nil {
			t.Fatal(err)
		}
		if l := must(f.SignList(ib1.Client, 1)); l.Number.Int64() != 1 || l.Entries != 0 || !l.Next.Equal(birth.Add(7*day)) {
			t.Errorf("%+v", l)
		}
		for name, r := range map[string]ib1.Revocation{
			"hold":      {Serial: leaf, At: birth, Reason: 6},
			"in future": {Serial: leaf, At: birth.Add(time.Minute), Reason: 1},
		} {
			if err := f.Revoke(ib1.Client, 1, r); err == nil {
				t.Errorf("%s: noted", name)
			}
		}
		if err := f.Revoke(ib1.Client, 0, ib1.Revocation{Serial: leaf, At: birth}); !errors.Is(err, ib1.ErrReason) {
			t.Errorf("by the root without a reason: %v", err)
		}
		if err := f.Revoke(ib1.Client, 1, ib1.Revocation{Serial: leaf, At: birth, Reason: 1, NotAfter: birth.Add(10 * day)}); err != nil {
			t.Error(err)
		}
		if err := f.Revoke(ib1.Client, 1, ib1.Revocation{Serial: leaf, At: birth, Reason: 4}); err == nil {
			t.Error("revoked twice")
		}
	})
	p.now = birth.Add(11 * day)
	p.do(func(f *ceremony.Folder) {
		l := must(f.SignList(ib1.Client, 1))
		if l.Number.Int64() != 2 || l.Entries != 1 {
			t.Errorf("%+v", l)
		}
		if data := must(os.ReadFile(l.File)); !bytes.Equal(data, l.DER) {
			t.Error("what is published is not what was signed")
		}
		if n, err := f.Authority(ib1.Client, must(f.List())[0].Issuers[0].Certificate); n != 0 || err != nil {
			t.Errorf("the issuer was signed by %d, %v", n, err)
		}
	})
	// One list has been made after the certificate's end, and the next forgets it.
	p.now = birth.Add(12 * day)
	p.do(func(f *ceremony.Folder) {
		if l := must(f.SignList(ib1.Client, 1)); l.Number.Int64() != 3 || l.Entries != 0 {
			t.Errorf("%+v", l)
		}
	})
	// A folder restored from before goes on after what it has published.
	log := filepath.Join(p.dir, "log.jsonl")
	before := must(os.ReadFile(log))
	p.do(func(f *ceremony.Folder) { must(f.SignList(ib1.Client, 1)) })
	if err := os.WriteFile(log, before, 0o600); err != nil {
		t.Fatal(err)
	}
	p.do(func(f *ceremony.Folder) {
		if l := must(f.SignList(ib1.Client, 1)); l.Number.Int64() != 5 {
			t.Errorf("restored, it signed number %s", l.Number)
		}
	})
	p.now = birth
	p.do(func(f *ceremony.Folder) {
		if _, err := f.SignList(ib1.Client, 1); err == nil || !strings.Contains(err.Error(), "look at the clock") {
			t.Errorf("older than the list before: %v", err)
		}
	})
}

// TestSigningListsAreKept: entries and lists of the Signing tree stay for ever.
func TestSigningListsAreKept(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.do(func(f *ceremony.Folder) {
		must(f.CreateRoot(ib1.Signing))
		if _, _, err := f.RotateIssuer(ib1.Signing); err != nil {
			t.Fatal(err)
		}
		if err := f.Revoke(ib1.Signing, 1, ib1.Revocation{Serial: big.NewInt(9), At: birth, Reason: 1, NotAfter: birth.Add(day)}); err != nil {
			t.Fatal(err)
		}
	})
	for i := range 3 {
		p.now = birth.Add(time.Duration(i) * 100 * day)
		p.do(func(f *ceremony.Folder) {
			if l := must(f.SignList(ib1.Signing, 1)); l.Entries != 1 {
				t.Errorf("list %d has %d entries", i, l.Entries)
			}
		})
	}
	got := must(filepath.Glob(filepath.Join(p.dir, "signing/list-*.crl")))
	if len(got) != 3 {
		t.Fatalf("kept: %q", got)
	}
	// What fails after the number was drawn leaves a gap, and no second list of a
	// number.
	blocked := strings.TrimSuffix(got[0], "1.crl") + "4.crl"
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.do(func(f *ceremony.Folder) {
		if _, err := f.SignList(ib1.Signing, 1); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a list that is kept was written over: %v", err)
		}
		if l := must(f.SignList(ib1.Signing, 1)); l.Number.Int64() != 5 {
			t.Errorf("after a gap comes number %s", l.Number)
		}
	})
}

// TestLog: what was changed in the log is noticed, and what a crash cut off is
// dropped.
func TestLog(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.do(func(f *ceremony.Folder) {
		must(f.CreateRoot(ib1.Client))
		if _, err := ceremony.Open(p.config()); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("opened twice: %v", err)
		}
		must(f.CreateRoot(ib1.Server))
	})
	path := filepath.Join(p.dir, "log.jsonl")
	good := must(os.ReadFile(path))
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, bad := range map[string][]byte{
		"changed":      bytes.Replace(good, []byte(`"by":"a test"`), []byte(`"by":"nobody"`), 1),
		"first gone":   bytes.Join(lines[1:], nil),
		"one gone":     bytes.Join([][]byte{lines[0], lines[2]}, nil),
		"exchanged":    bytes.Join([][]byte{lines[1], lines[0], lines[2]}, nil),
		"one repeated": append(bytes.Clone(good), lines[len(lines)-2]...),
		"no JSON":      append(bytes.Clone(good), "what\n"...),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ceremony.Open(p.config()); !errors.Is(err, ceremony.ErrLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, append(bytes.Clone(good), `{"seq":5,"at"`...), 0o600); err != nil {
		t.Fatal(err)
	}
	p.do(func(f *ceremony.Folder) { must(f.CreateRoot(ib1.Signing)) })
	p.do(func(f *ceremony.Folder) {
		if all := f.Log(); len(all) != 6 || all[5].Event != ceremony.RootCreated || all[5].By != "a test" || !all[5].At.Equal(birth) {
			t.Errorf("%+v", all)
		}
	})
}

// TestCrashes cuts a rotation short after each file that it writes; the next one
// ends it, with one key, one request and no second certificate.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, gone := range [][]string{
		{"client/issuer-1.pem"},
		{"client/issuer-1.pem", "client/issuer-1.csr.pem", "signed"},
	} {
		p := newPlace(t)
		p.do(func(f *ceremony.Folder) {
			must(f.CreateRoot(ib1.Client))
			if _, _, err := f.RotateIssuer(ib1.Client); err != nil {
				t.Fatal(err)
			}
		})
		signed := must(filepath.Glob(filepath.Join(p.dir, "client/signed-*.pem")))
		for _, name := range gone {
			path := filepath.Join(p.dir, name)
			if name == "signed" {
				path = signed[0]
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		p.do(func(f *ceremony.Folder) {
			n, cert, err := f.RotateIssuer(ib1.Client)
			if len(gone) == 1 {
				if err != nil || n != 1 || !strings.Contains(signed[0], cert.SerialNumber.Text(16)) {
					t.Errorf("%d, %v", n, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "has this key already") {
				// Files that were lost are not made up for: a certificate of that
				// key is somewhere.
				t.Errorf("got %v", err)
			}
		})
	}
	// A key without anything is used.
	p := newPlace(t)
	p.do(func(f *ceremony.Folder) {
		key := must(p.config().Keys.Create("client/root", elliptic.P384()))
		root := must(f.CreateRoot(ib1.Client))
		if der := must(x509.MarshalPKIXPublicKey(key.Public())); !bytes.Equal(der, root.RawSubjectPublicKeyInfo) {
			t.Error("a key that was left was not used")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	given := p.settings
	p.settings = nil
	if _, err := ceremony.Open(p.config()); !errors.Is(err, ceremony.ErrNoFramework) {
		t.Errorf("without settings: %v", err)
	}
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made a folder: %v", err)
	}
	p.settings = given
	p.do(func(*ceremony.Folder) {})
	other := *given
	other.Label = "Other Trust Framework"
	p.settings = &other
	if _, err := ceremony.Open(p.config()); err == nil || !strings.Contains(err.Error(), "says otherwise") {
		t.Errorf("with other settings: %v", err)
	}
	// Keys are never written without a passphrase.
	p.settings = nil
	cfg := p.config()
	cfg.Keys = nil
	f := must(ceremony.Open(cfg))
	if _, err := f.CreateRoot(ib1.Client); err == nil || !strings.Contains(err.Error(), "give a passphrase") {
		t.Errorf("without a passphrase: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCrashBeforeTheLastRecord cuts an act short when its file is written and
// its last record is not: done again it ends with the same certificate, and no
// key gets a second one.
func TestCrashBeforeTheLastRecord(t *testing.T) {
	t.Parallel()
	p, online := newPlace(t), newPlace(t)
	cut := func(want ceremony.Event) {
		t.Helper()
		p.do(func(f *ceremony.Folder) {
			if all := f.Log(); all[len(all)-1].Event != want {
				t.Fatalf("the last record is %+v", all[len(all)-1])
			}
		})
		path := filepath.Join(p.dir, "log.jsonl")
		lines := bytes.SplitAfter(must(os.ReadFile(path)), []byte("\n"))
		if err := os.WriteFile(path, bytes.Join(lines[:len(lines)-2], nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var request ceremony.Request
	online.do(func(f *ceremony.Folder) { request = must(f.RequestIssuer(ib1.Client)) })
	var root, issuer *x509.Certificate
	p.do(func(f *ceremony.Folder) { root = must(f.CreateRoot(ib1.Client)) })
	cut(ceremony.RootCreated)
	p.do(func(f *ceremony.Folder) {
		if again, err := f.CreateRoot(ib1.Client); err != nil || !again.Equal(root) {
			t.Errorf("the root that was made is not the one that is there: %v", err)
		}
		if _, err := f.CreateRoot(ib1.Client); err == nil {
			t.Error("a tree got a second root")
		}
		issuer = must(f.SignIssuer(ib1.Client, request.DER))
	})
	cut(ceremony.IssuerSigned)
	p.do(func(f *ceremony.Folder) {
		if again, err := f.SignIssuer(ib1.Client, request.DER); err != nil || !again.Equal(issuer) {
			t.Errorf("one key got two certificates: %v", err)
		}
		if _, err := f.SignIssuer(ib1.Client, request.DER); err == nil || !strings.Contains(err.Error(), "has this key already") {
			t.Errorf("one key got two certificates: %v", err)
		}
	})
	if signed := must(filepath.Glob(filepath.Join(p.dir, "client/signed-*.pem"))); len(signed) != 1 {
		t.Errorf("signed are %q", signed)
	}
}

// TestOddFolder: the name of a folder is no pattern. What a crash has left there
// is swept away and found again like anywhere else.
func TestOddFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ib1[1]", "ib1[", "ib1*", `ib1\?`} {
		p := newPlace(t)
		p.dir = filepath.Join(filepath.Dir(p.dir), name)
		var issuer *x509.Certificate
		p.do(func(f *ceremony.Folder) {
			must(f.CreateRoot(ib1.Client))
			_, issuer, _ = f.RotateIssuer(ib1.Client)
		})
		left := filepath.Join(p.dir, "client", keyfile.TempPrefix+"issuer-2.key-1")
		for _, err := range []error{os.WriteFile(left, nil, 0o600), os.Remove(filepath.Join(p.dir, "client/issuer-1.pem"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		p.do(func(f *ceremony.Folder) {
			if _, again, err := f.RotateIssuer(ib1.Client); err != nil || !again.Equal(issuer) {
				t.Errorf("%s: what was signed is not found again: %v", name, err)
			}
		})
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what was left unfinished is still there: %v", name, err)
		}
	}
}
