package ib1_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"strconv"
	"syscall"
	"testing"
	"time"

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

// BenchmarkIssueMember is bounded by 2,000 certificates for each second of a core.
func BenchmarkIssueMember(b *testing.B) {
	w := benchWorld(b)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	begin := processor(b)
	for b.Loop() {
		must(w.issuer.IssueMember(holder(), key.Public(), at(birth)))
	}
	b.ReportMetric(float64(b.N)/(processor(b)-begin).Seconds(), "certificates/core-s")
}

// processor is the time that this process has had of processors: others on the
// machine do not count.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSignList is bounded by less than 1 s for 100,000 entries, with all
// that publishing adds.
func BenchmarkSignList(b *testing.B) {
	w := benchWorld(b)
	for _, size := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			var revoked []ib1.Revocation
			for range size {
				revoked = append(revoked, ib1.Revocation{Serial: at(birth).Serial, At: birth, Reason: 1})
			}
			begin := processor(b)
			for b.Loop() {
				b.SetBytes(int64(len(must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth, Revoked: revoked})))))
			}
			b.ReportMetric((processor(b)-begin).Seconds()/float64(b.N), "core-s/op")
		})
	}
}
