package sectigo_test

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// zipped makes an archive, in which the members are compressed.
func zipped(t *testing.T, members map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range members {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestKeysStayHere: an archive that has anything but CSRs in it is not sent.
// Somebody may have packed the key beside its CSR, where compression hides it
// (SK-11).
func TestKeysStayHere(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	csr := orderFor(t, key, "a.example.org").csr
	good := inPEM("CERTIFICATE REQUEST", csr)
	for name, test := range map[string]struct {
		content []byte
		sent    bool
	}{
		"CSRs":                 {zipped(t, map[string][]byte{"a.csr": good, "b/": nil, "b/b.der": csr, "c.csr": inPEM("NEW CERTIFICATE REQUEST", csr)}), true},
		"a key beside the CSR": {zipped(t, map[string][]byte{"a.csr": good, "a.key": inPEM("PRIVATE KEY", der)}), false},
		"a key that is sealed": {zipped(t, map[string][]byte{"a.csr": good, "a.key": inPEM("ENCRYPTED PRIVATE KEY", der)}), false},
		"a key after the CSR":  {zipped(t, map[string][]byte{"a.csr": append(bytes.Clone(good), inPEM("EC PRIVATE KEY", der)...)}), false},
		"a key in DER":         {zipped(t, map[string][]byte{"a.csr": good, "a.key": der}), false},
		"an archive in it":     {zipped(t, map[string][]byte{"a.csr": good, "more.zip": zipped(t, map[string][]byte{"a.key": inPEM("PRIVATE KEY", der)})}), false},
		"a word":               {zipped(t, map[string][]byte{"a.csr": good, "README": []byte("see there")}), false},
		"nothing":              {zipped(t, nil), false},
		"damaged":              {zipped(t, map[string][]byte{"a.csr": good})[:100], false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sectigotest.Config{})
			_, err := w.client.Upload(t.Context(), sectigo.Upload{ProfileID: profile, File: &sectigo.File{Name: "csrs.zip", Content: test.content}})
			if test.sent != (err == nil) || err != nil && sectigo.OutcomeOf(err) != sectigo.NotSent {
				t.Errorf("got %v (%s)", err, sectigo.OutcomeOf(err))
			}
			if n := w.ca.Count("upload"); (n == 1) != test.sent {
				t.Errorf("%d uploads", n)
			}
		})
	}
}

// TestRevokeSwitchedOff: an authority that buys nothing any more still revokes
// what it has issued.
func TestRevokeSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	r := w.request()
	ticket, err := w.backend(t, w.client).Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.backend(t, w.client).Poll(t.Context(), ticket)
	if err != nil || len(result.Chain) == 0 {
		t.Fatalf("%d certificates, %v", len(result.Chain), err)
	}
	leaf, err := x509.ParseCertificate(result.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.EditProfile(profile, func(p *sectigotest.Profile) { p.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	b := w.backend(t, w.client)
	if _, err := b.Submit(t.Context(), w.request()); !backends.IsNotSent(err) || !errors.Is(err, sectigo.ErrNoAuthority) {
		t.Errorf("bought from an authority that is switched off: %v", err)
	}
	if err := b.Revoke(t.Context(), acme.Certificate{Serial: leaf.SerialNumber.Bytes()}, acme.KeyCompromise); err != nil {
		t.Errorf("an authority that is switched off cannot revoke: %v", err)
	}
	if n := w.ca.Count("revoke"); n != 1 {
		t.Errorf("%d revocations", n)
	}
}

// TestFindSwitchedOff: what was bought before the authority was switched off is
// found again.
func TestFindSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	r := w.request()
	ticket, err := w.backend(t, w.client).Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.EditProfile(profile, func(p *sectigotest.Profile) { p.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	got, found, err := w.backend(t, w.client).Find(t.Context(), r)
	if err != nil || !found || got != ticket {
		t.Errorf("found %t %q, %v; want %q", found, got, err, ticket)
	}
}
