package ib1_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

func TestListRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	one := func(r ib1.Revocation) []ib1.Revocation {
		if r.Serial == nil {
			r.Serial = big.NewInt(77)
		}
		if r.At.IsZero() {
			r.At = birth
		}
		return []ib1.Revocation{r}
	}
	number := big.NewInt(1)
	for _, tt := range []struct {
		name    string
		by      *ib1.Authority
		request ib1.ListRequest
		want    error // nil: any
	}{
		{"no number", w.issuer, ib1.ListRequest{ThisUpdate: birth}, nil},
		{"number 0", w.issuer, ib1.ListRequest{Number: new(big.Int), ThisUpdate: birth}, nil},
		{"number of 160 bits", w.issuer, ib1.ListRequest{Number: new(big.Int).Lsh(number, 159), ThisUpdate: birth}, nil},
		{"before the issuer", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth.Add(-time.Second)}, nil},
		{"after the issuer", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth.Add(455 * day)}, nil},
		{"ten days and a second, both ends counted", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, NextUpdate: birth.Add(10 * day)}, nil},
		{"ends before it begins", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, NextUpdate: birth}, nil},
		{"more than a year for a root", w.root, ib1.ListRequest{Number: number, ThisUpdate: birth, NextUpdate: birth.AddDate(1, 0, 0)}, nil},
		{"hold", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, Revoked: one(ib1.Revocation{Reason: 6})}, ib1.ErrReason},
		{"removal", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, Revoked: one(ib1.Revocation{Reason: 8})}, ib1.ErrReason},
		{"no reason on the list of a root", w.root, ib1.ListRequest{Number: number, ThisUpdate: birth, Revoked: one(ib1.Revocation{})}, ib1.ErrReason},
		{"revoked in future", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, Revoked: one(ib1.Revocation{At: birth.Add(time.Second)})}, nil},
		{"serial number 0", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, Revoked: one(ib1.Revocation{Serial: new(big.Int)})}, nil},
		{"partition over https", w.issuer, ib1.ListRequest{Number: number, ThisUpdate: birth, Partition: &ib1.Partition{URL: "https://a.example/"}}, nil},
	} {
		if der, err := tt.by.SignList(tt.request); err == nil || der != nil || (tt.want != nil && !errors.Is(err, tt.want)) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if _, err := w.issuer.SignList(ib1.ListRequest{Number: number, ThisUpdate: birth, NextUpdate: birth.Add(10*day - time.Second)}); err != nil {
		t.Errorf("ten days: %v", err)
	}
	if _, err := w.root.SignList(ib1.ListRequest{Number: number, ThisUpdate: birth}); err != nil {
		t.Errorf("root: %v", err)
	}
}

func TestListEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	revoked := func(serial int64, at time.Time, reason int) ib1.Revocation {
		return ib1.Revocation{Serial: big.NewInt(serial), At: at, Reason: reason}
	}
	list := must(x509.ParseRevocationList(must(w.issuer.SignList(ib1.ListRequest{
		Number: big.NewInt(3), ThisUpdate: birth.Add(day),
		Revoked: []ib1.Revocation{revoked(9, birth.Add(time.Hour), 4), revoked(5, birth, 0), revoked(9, birth, 1)},
	}))))
	entries := list.RevokedCertificateEntries
	if len(entries) != 2 || entries[0].SerialNumber.Int64() != 5 || entries[1].SerialNumber.Int64() != 9 {
		t.Fatalf("entries %+v", entries)
	}
	if len(entries[0].Extensions) != 0 {
		t.Error("an entry without a reason has an extension")
	}
	// The earliest of two is the one that counts.
	if entries[1].ReasonCode != 1 || len(entries[1].Extensions) != 1 || entries[1].Extensions[0].Critical || hex.EncodeToString(entries[1].Extensions[0].Value) != "0a0101" {
		t.Errorf("entry %+v", entries[1])
	}
	if list.NextUpdate != birth.Add(8*day) {
		t.Errorf("next list on %s", list.NextUpdate)
	}
	bundle := ib1.Bundle(list.Raw, must(w.root.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth})))
	if bytes.Count(bundle, []byte("BEGIN X509 CRL")) != 2 {
		t.Errorf("bundle %s", bundle)
	}
}

// TestPartition holds the extension against the reference bytes.
func TestPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	const url = "http://crl.example.org/client/1.crl"
	for users, want := range map[bool]string{
		true:  "302ca027a0258623" + hex.EncodeToString([]byte(url)) + "8101ff",
		false: "3029a027a0258623" + hex.EncodeToString([]byte(url)),
	} {
		list := must(x509.ParseRevocationList(must(w.issuer.SignList(ib1.ListRequest{
			Number: big.NewInt(1), ThisUpdate: birth, Partition: &ib1.Partition{URL: url, OnlyUserCerts: users},
		}))))
		found := false
		for _, e := range list.Extensions {
			if e.Id.String() == "2.5.29.28" {
				found = e.Critical && hex.EncodeToString(e.Value) == want
			}
		}
		if !found {
			t.Errorf("extensions %+v, want a critical %s", list.Extensions, want)
		}
	}
}

// TestRetained: a client certificate leaves the list after one list past its
// end; a signing certificate never does.
func TestRetained(t *testing.T) {
	t.Parallel()
	end := birth.Add(365 * day)
	all := []ib1.Revocation{{Serial: big.NewInt(1), NotAfter: end}, {Serial: big.NewInt(2)}}
	for _, tt := range []struct {
		tree     ib1.Tree
		previous time.Time
		want     int
	}{
		{ib1.Client, time.Time{}, 2},
		{ib1.Client, end, 2},
		{ib1.Client, end.Add(time.Second), 1},
		{ib1.Server, end.Add(time.Second), 1},
		{ib1.Signing, end.Add(1000 * day), 2},
	} {
		if got := tt.tree.Retained(all, tt.previous); len(got) != tt.want {
			t.Errorf("%s after a list of %s: %d entries, want %d", tt.tree, tt.previous, len(got), tt.want)
		}
	}
}

func TestReasonByName(t *testing.T) {
	t.Parallel()
	if code, err := ib1.ReasonByName("privilegeWithdrawn"); err != nil || code != 9 {
		t.Errorf("%d, %v", code, err)
	}
	if _, err := ib1.ReasonByName("certificateHold"); !errors.Is(err, ib1.ErrReason) {
		t.Errorf("hold: %v", err)
	}
}
