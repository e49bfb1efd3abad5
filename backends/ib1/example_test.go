package ib1_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"math/big"
	"time"

	"acmebridge/backends/ib1"
)

// A root, an issuer below it, and a client certificate for an application.
func Example() {
	framework, err := ib1.New(ib1.Settings{Label: "Core Trust Framework", Country: "GB", PublicURL: "http://pki.example.org"})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	// Whoever really issues looks the number up among those of all trees.
	unused := func(*big.Int) (bool, error) { return false, nil }
	issuance := func() ib1.Issuance {
		serial, err := ib1.NewSerial(rand.Reader, unused)
		if err != nil {
			panic(err)
		}
		return ib1.Issuance{Serial: serial, Now: now}
	}
	rootKey, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	issuerKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	memberKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)

	cert, err := framework.CreateRoot(ib1.Client, rootKey, issuance())
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := framework.OpenRoot(ib1.Client, cert, rootKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	if cert, err = root.CreateIssuer(issuerKey.Public(), issuance()); err != nil {
		fmt.Println(err)
		return
	}
	issuer, err := framework.OpenIssuer(ib1.Client, root.Certificate(), cert, issuerKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	member, err := issuer.IssueMember(ib1.Holder{
		Country: "GB", Organization: "Example Company Ltd",
		Application: "https://directory.core.trust.ib1.org/a/883391",
		Member:      "https://directory.core.trust.ib1.org/m/827252",
		Roles:       []string{"https://registry.core.trust.ib1.org/scheme/energy/role/auditor"},
	}, memberKey.Public(), issuance())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(member.Subject)
	fmt.Println("ends", member.NotAfter, "below an issuer that ends", issuer.Certificate().NotAfter)
	// Output:
	// CN=https://directory.core.trust.ib1.org/a/883391,O=Example Company Ltd,C=GB
	// ends 2027-11-30 23:59:59 +0000 UTC below an issuer that ends 2028-02-28 23:59:59 +0000 UTC
}
