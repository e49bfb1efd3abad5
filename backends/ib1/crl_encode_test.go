package ib1_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

// TestListEncoding: to the byte what the standard library makes of the same
// contents, and the same again each time.
func TestListEncoding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	long := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
	late := time.Date(2050, 6, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		by      *ib1.Authority
		at      time.Time
		number  *big.Int
		revoked []ib1.Revocation
	}{
		"empty": {w.issuer, birth, big.NewInt(1), nil},
		"one":   {w.issuer, birth, big.NewInt(127), []ib1.Revocation{{Serial: big.NewInt(127), At: birth}}},
		"many": {w.issuer, birth, big.NewInt(128), []ib1.Revocation{
			{Serial: big.NewInt(1), At: birth.Add(-time.Hour), Reason: 1}, {Serial: big.NewInt(128), At: birth, Reason: 9}, {Serial: big.NewInt(256), At: birth}, {Serial: long, At: birth, Reason: 3},
		}},
		"root after 2050": {w.root, late, long, []ib1.Revocation{{Serial: big.NewInt(255), At: birth, Reason: 4}, {Serial: big.NewInt(65535), At: late, Reason: 5}}},
	} {
		der, err := test.by.SignList(ib1.ListRequest{Number: test.number, ThisUpdate: test.at, NextUpdate: test.at.Add(day), Revoked: test.revoked})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again := must(test.by.SignList(ib1.ListRequest{Number: test.number, ThisUpdate: test.at, NextUpdate: test.at.Add(day), Revoked: test.revoked}))
		if !bytes.Equal(der, again) {
			t.Errorf("%s: signing again gave something else", name)
		}
		template := &x509.RevocationList{Number: test.number, ThisUpdate: test.at, NextUpdate: test.at.Add(day)}
		for _, r := range test.revoked {
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: r.At, ReasonCode: r.Reason})
		}
		key := w.ownKey
		if test.by.IsRoot() {
			key = w.rootKey
		}
		want := must(x509.ParseRevocationList(must(x509.CreateRevocationList(rand.Reader, template, test.by.Certificate(), key))))
		got := must(x509.ParseRevocationList(der))
		if !bytes.Equal(got.RawTBSRevocationList, want.RawTBSRevocationList) || got.SignatureAlgorithm != want.SignatureAlgorithm {
			t.Errorf("%s:\ngot  %x\nwant %x", name, got.RawTBSRevocationList, want.RawTBSRevocationList)
		}
	}
}
