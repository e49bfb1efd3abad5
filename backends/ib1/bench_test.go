package ib1_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"testing"

	"acmebridge/backends/ib1"
)

func benchWorld(b *testing.B) world {
	b.Helper()
	w := world{framework: must(ib1.New(settings()))}
	w.rootKey, w.ownKey = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	root := must(w.framework.CreateRoot(ib1.Client, w.rootKey, at(birth)))
	w.root = must(w.framework.OpenRoot(ib1.Client, root, w.rootKey))
	w.issuer = must(w.framework.OpenIssuer(ib1.Client, root, must(w.root.CreateIssuer(w.ownKey.Public(), at(birth))), w.ownKey))
	return w
}

func BenchmarkIssueMember(b *testing.B) {
	w := benchWorld(b)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for b.Loop() {
		must(w.issuer.IssueMember(holder(), key.Public(), at(birth)))
	}
}

func BenchmarkSignList10000(b *testing.B) {
	w := benchWorld(b)
	var revoked []ib1.Revocation
	for range 10_000 {
		revoked = append(revoked, ib1.Revocation{Serial: at(birth).Serial, At: birth, Reason: 1})
	}
	for b.Loop() {
		b.SetBytes(int64(len(must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth, Revoked: revoked})))))
	}
}
