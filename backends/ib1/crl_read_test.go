package ib1

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"
)

// TestListRead: a list that was signed is read back and held against what was
// asked for, of which nothing may differ.
func TestListRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
	f, err1 := New(Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"})
	key, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	root, err := f.CreateRoot(Client, key, Issuance{Serial: new(big.Int).Lsh(big.NewInt(1), 126), Now: at.AddDate(-1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.OpenRoot(Client, root, key)
	if err != nil {
		t.Fatal(err)
	}
	asked := func() listContents {
		return listContents{
			number: big.NewInt(300), this: at, next: at.AddDate(0, 0, 7), // beyond 2049, which is written in another form
			entries: []Revocation{
				{Serial: big.NewInt(1), At: at, Reason: 1}, {Serial: big.NewInt(128), At: at}, {Serial: big.NewInt(256), At: at.Add(-time.Hour), Reason: 9},
				{Serial: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1)), At: at, Reason: 4},
			},
			extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}},
		}
	}
	der, err := a.signContents(asked())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.checkSigned(der, asked()); err != nil {
		t.Errorf("what was asked for: %v", err)
	}
	empty := listContents{number: big.NewInt(1), this: at, next: at.Add(time.Hour)}
	if none, err := a.signContents(empty); err != nil || a.checkSigned(none, empty) != nil {
		t.Errorf("an empty list: %v, %v", err, a.checkSigned(none, empty))
	}
	for name, differ := range map[string]func(*listContents){
		"number":           func(l *listContents) { l.number = big.NewInt(301) },
		"begin":            func(l *listContents) { l.this = l.this.Add(time.Second) },
		"end":              func(l *listContents) { l.next = l.next.Add(time.Second) },
		"one more":         func(l *listContents) { l.entries = append(l.entries, Revocation{Serial: big.NewInt(9), At: at}) },
		"one less":         func(l *listContents) { l.entries = l.entries[:3] },
		"none":             func(l *listContents) { l.entries = nil },
		"order":            func(l *listContents) { l.entries[0], l.entries[1] = l.entries[1], l.entries[0] },
		"serial":           func(l *listContents) { l.entries[1].Serial = big.NewInt(129) },
		"longer serial":    func(l *listContents) { l.entries[0].Serial = big.NewInt(257) },
		"time":             func(l *listContents) { l.entries[2].At = at },
		"reason":           func(l *listContents) { l.entries[0].Reason = 4 },
		"no reason":        func(l *listContents) { l.entries[0].Reason = 0 },
		"a reason":         func(l *listContents) { l.entries[1].Reason = 1 },
		"fewer extensions": func(l *listContents) { l.extensions = nil },
	} {
		want := asked()
		differ(&want)
		if a.checkSigned(der, want) == nil {
			t.Errorf("another %s was not noticed", name)
		}
	}
	for i := range der {
		broken := slices.Clone(der)
		broken[i] ^= 1
		if a.checkSigned(broken, asked()) == nil {
			t.Errorf("octet %d may be another", i)
		}
		if a.checkSigned(der[:i], asked()) == nil {
			t.Errorf("it may end after %d octets", i)
		}
	}
}
