package sectigo_test

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// TestLayouts finds each certificate of a batch and its chain, however the
// archive is made up. PKCS#7 is read here and nowhere else (PX-9).
func TestLayouts(t *testing.T) {
	t.Parallel()
	for _, layout := range sectigotest.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{Layout: layout})
			// Two of them have the same common name.
			orders := []order{newOrder(t, "a.example.org", "www.a.example.org"), newOrder(t, "b.example.org"), newOrder(t, "a.example.org")}
			a := w.archive(t, w.uploads(t, "acme-1", orders...))
			issuing, root := w.ca.Roots()
			withChain := layout != sectigotest.LayoutPEM
			withRoot := slices.Contains([]sectigotest.Layout{sectigotest.LayoutPEMReverse, sectigotest.LayoutPEMRoot, sectigotest.LayoutPKCS7,
				sectigotest.LayoutPKCS7PEM, sectigotest.LayoutAll, sectigotest.LayoutFolders}, layout)
			for i, o := range orders {
				chain, err := a.Match(o.key, o.names, false)
				if err != nil {
					t.Errorf("order %d: %v", i, err)
					continue
				}
				if !slices.Equal(chain[0].DNSNames, o.names) {
					t.Errorf("order %d got %v", i, chain[0].DNSNames)
				}
				if want := 1 + b2i(withChain); len(chain) != want || (withChain && !bytes.Equal(chain[1].Raw, issuing)) {
					t.Errorf("order %d: a chain of %d, want %d", i, len(chain), want)
				}
				chain, err = a.Match(o.key, o.names, true)
				if want := 1 + b2i(withChain) + b2i(withRoot); err != nil || len(chain) != want || (withRoot && !bytes.Equal(chain[2].Raw, root)) {
					t.Errorf("order %d with the root: a chain of %d, want %d; %v", i, len(chain), want, err)
				}
			}
			if _, err := a.Match(newOrder(t, "a.example.org").key, []string{"a.example.org"}, false); !errors.Is(err, sectigo.ErrNoMatch) {
				t.Errorf("a key that is not in it: %v", err)
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestBlankAtTheEnd: a certificate in DER whose last octet is a blank or a line
// break is whole.
func TestBlankAtTheEnd(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for serial := int64(1); ; serial++ { // about one in forty ends so
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: begin, NotAfter: begin.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(der)) == len(der) {
			continue
		}
		if a, err := sectigo.ReadArchive(pack(t, "a.crt", der), sectigo.ArchiveLimits{}); err != nil || len(a.Certificates) != 1 {
			t.Errorf("%d certificates, %v", len(a.Certificates), err)
		}
		return
	}
}

// TestHostileArchives: what is damaged or a trick is an error, what is only
// odd is read (SC-12, PX-8).
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		download, read error
		match          bool
		certs          int
	}{
		"zip-truncated":       {read: sectigo.ErrArchive},
		"zip-empty":           {},
		"zip-traversal":       {match: true, certs: 3},
		"zip-bomb":            {read: sectigo.ErrArchive},
		"zip-missing":         {certs: 2}, // the other one, and the issuer
		"zip-twins":           {match: true, certs: 5},
		"zip-nested":          {},
		"html":                {download: sectigo.ErrUndecodable},
		"json-error":          {download: sectigo.ErrUndecodable},
		"disposition-absent":  {match: true, certs: 3},
		"disposition-hostile": {match: true, certs: 3},
		"disposition-quoted":  {match: true, certs: 3},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			o := newOrder(t, "a.example.org")
			b := w.uploads(t, "acme-1", o, newOrder(t, "b.example.org"))
			w.breaks(t, sectigotest.Fault{Endpoint: "download", Kind: kind})
			d, err := w.client.Download(t.Context(), b.ID)
			if !errors.Is(err, want.download) {
				t.Fatalf("download: %v, want %v", err, want.download)
			}
			if want.download != nil {
				return
			}
			if strings.ContainsAny(d.Name, `/\"; `) || !strings.HasSuffix(d.Name, "zip") && kind != "disposition-hostile" {
				t.Errorf("the archive is named %q", d.Name)
			}
			a, err := sectigo.ReadArchive(d.Content, sectigo.ArchiveLimits{})
			if !errors.Is(err, want.read) {
				t.Fatalf("read: %v, want %v", err, want.read)
			}
			if len(a.Certificates) != want.certs {
				t.Errorf("%d certificates, want %d", len(a.Certificates), want.certs)
			}
			chain, err := a.Match(o.key, o.names, false)
			if (err == nil) != want.match {
				t.Fatalf("match: %v", err)
			}
			if want.match && !slices.Equal(chain[0].DNSNames, o.names) {
				t.Errorf("of two certificates for the key it took the one for %v", chain[0].DNSNames)
			}
			for _, name := range a.Skipped {
				if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
					t.Errorf("a member is named %q", name)
				}
			}
		})
	}
}

// TestArchiveLimits: each limit holds by itself.
func TestArchiveLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	var orders []order
	for i := range 6 {
		orders = append(orders, newOrder(t, fmt.Sprintf("n%d.example.org", i)))
	}
	d, err := w.client.Download(t.Context(), w.uploads(t, "acme-1", orders...).ID)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := sectigo.ReadArchive(d.Content, sectigo.ArchiveLimits{}); err != nil || len(a.Certificates) != 7 {
		t.Fatalf("%d certificates, %v", len(a.Certificates), err)
	}
	for name, limits := range map[string]sectigo.ArchiveLimits{
		"compressed":   {Compressed: int64(len(d.Content)) - 1},
		"members":      {Members: 5},
		"member":       {Member: 500},
		"total":        {Total: 5000},
		"certificates": {Certificates: 6},
	} {
		if a, err := sectigo.ReadArchive(d.Content, limits); !errors.Is(err, sectigo.ErrArchive) || len(a.Certificates) != 0 {
			t.Errorf("%s: %d certificates, %v", name, len(a.Certificates), err)
		}
	}
	if _, err := sectigo.ReadArchive(pack(t, "zeros.pem", bytes.Repeat([]byte{'A'}, 900<<10)), sectigo.ArchiveLimits{}); !errors.Is(err, sectigo.ErrArchive) {
		t.Errorf("ratio: %v", err)
	}
	// Many members are refused before the directory is read.
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 5000 {
		if _, err := z.Create(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sectigo.ReadArchive(b.Bytes(), sectigo.ArchiveLimits{}); !errors.Is(err, sectigo.ErrArchive) {
		t.Errorf("5000 members: %v", err)
	}
}

func pack(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWrongCertificates: what the CA did wrong is handed on as it is, and
// never taken for what was ordered when the key is another.
func TestWrongCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	o := newOrder(t, "a.example.org", "b.example.org")
	for kind, names := range map[sectigotest.Kind][]string{
		sectigotest.DropName:     {"a.example.org"},
		sectigotest.AddName:      {"a.example.org", "b.example.org", "intruder.example"},
		sectigotest.WrongSubject: {"a.example.org", "b.example.org"},
		sectigotest.WrongKey:     nil,
	} {
		w.ca.Next(sectigotest.Outcome{Kind: kind})
		chain, err := w.archive(t, w.uploads(t, "acme-1", o)).Match(o.key, o.names, false)
		if names == nil {
			if !errors.Is(err, sectigo.ErrNoMatch) {
				t.Errorf("%s: %v", kind, err)
			}
			continue
		}
		if err != nil || !slices.Equal(chain[0].DNSNames, names) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestMatchRenewal: of several certificates with the right key and names the
// newest is the one.
func TestMatchRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := orderFor(t, key, "a.example.org")
	var all []*x509.Certificate
	for range 3 {
		all = append(all, w.archive(t, w.uploads(t, "acme-1", o)).Certificates...)
		w.ca.Advance(24 * time.Hour)
	}
	slices.Reverse(all)
	chain, err := sectigo.Archive{Certificates: all}.Match(o.key, o.names, false)
	if err != nil || !chain[0].NotBefore.Equal(begin.Add(36*time.Hour)) {
		t.Errorf("took the one of %v, %v", chain[0].NotBefore, err)
	}
}

// FuzzArchive: whatever is in an archive, reading it ends, keeps within its
// limits, and gives names that are labels.
func FuzzArchive(f *testing.F) {
	ca, err := sectigotest.New(sectigotest.Config{})
	if err != nil {
		f.Fatal(err)
	}
	pemChain := ca.RootsPEM()
	f.Add(pack(f, "chain.pem", pemChain))
	f.Add(pack(f, "../../etc/passwd", []byte("root")))
	f.Add(pack(f, "x.p12", []byte{0x30, 0x03, 0x02, 0x01, 0x03}))
	issuing, _ := ca.Roots()
	f.Add(pack(f, "a/b.crt", issuing))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Add([]byte("<html>"))
	limits := sectigo.ArchiveLimits{Members: 20, Member: 64 << 10, Total: 256 << 10, Certificates: 10}
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := sectigo.ReadArchive(content, limits)
		if err != nil && !errors.Is(err, sectigo.ErrArchive) {
			t.Errorf("an error of another kind: %v", err)
		}
		if err != nil && (a.Certificates != nil || a.KeyStores != nil) {
			t.Error("something of a refused archive was kept")
		}
		if len(a.Certificates) > limits.Certificates || len(a.KeyStores)+len(a.Skipped) > limits.Members {
			t.Errorf("%d certificates and %d members", len(a.Certificates), len(a.KeyStores)+len(a.Skipped))
		}
		names := slices.Clone(a.Skipped)
		for _, k := range a.KeyStores {
			names = append(names, k.Name)
		}
		for _, name := range names {
			if name == "" || strings.ContainsAny(name, "/\\\x00\n") || strings.HasPrefix(name, ".") || len(name) > 100 {
				t.Errorf("a member is named %q", name)
			}
		}
		for _, cert := range a.Certificates {
			chain, err := a.Match(cert.RawSubjectPublicKeyInfo, cert.DNSNames, true)
			if cert.IsCA {
				continue
			}
			if err != nil || len(chain) == 0 || !bytes.Equal(chain[0].RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) {
				t.Errorf("a certificate is not found by its key: %v", err)
			}
		}
	})
}

// TestLabels: what stands in front of a name decides what programs take it for,
// so it is looked at last, after a name that is too long has lost its beginning.
func TestLabels(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, tail := range []string{"." + strings.Repeat("h", 99), "-rf" + strings.Repeat("o", 97)} {
		if _, err := z.Create(strings.Repeat("a", 150) + tail); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := sectigo.ReadArchive(b.Bytes(), sectigo.ArchiveLimits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Members {
		if strings.HasPrefix(m.Name, ".") || strings.HasPrefix(m.Name, "-") || len(m.Name) > 100 {
			t.Errorf("a member is called %q", m.Name)
		}
	}
}
