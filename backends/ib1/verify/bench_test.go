package verify_test

import (
	"crypto/x509"
	"math/big"
	"testing"

	"acmebridge/backends/ib1/verify"
)

// BenchmarkClient is a certificate that comes with its issuer, when the lists
// are there and the issuer was seen before: what each handshake costs.
func BenchmarkClient(b *testing.B) {
	w := newWorld(b)
	for i := range int64(10_000) {
		w.leafListT.RevokedCertificateEntries = append(w.leafListT.RevokedCertificateEntries, entry(1000+i))
	}
	built := w.build(b)
	c := built.client(b)
	if _, err := c.Verify(b.Context(), built.presented); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Verify(b.Context(), built.presented); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClientHeader is the same behind a proxy, where the certificate has
// to be read too.
func BenchmarkClientHeader(b *testing.B) {
	built := newWorld(b).build(b)
	c := built.client(b)
	header := map[string][]string{verify.HeaderALBChain: {albEncode(pemOf(built.leaf) + pemOf(built.issuer))}}
	b.ReportAllocs()
	for b.Loop() {
		presented, err := verify.FromHeader(header, verify.HeaderALBChain, true)
		if err == nil {
			_, err = c.Verify(b.Context(), presented)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProvenance(b *testing.B) {
	r := newRecord(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.verify(b); err != nil {
			b.Fatal(err)
		}
	}
}

func entry(serial int64) (e x509.RevocationListEntry) {
	e.SerialNumber, e.RevocationTime = big.NewInt(serial), begin()
	return e
}
