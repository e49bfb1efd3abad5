package verify_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"acmebridge/backends/ib1/verify"
)

// FuzzAdd wants that nothing brought as a list lets a revoked certificate in
// again: neither an older list, nor one that the issuer did not sign.
func FuzzAdd(f *testing.F) {
	for _, name := range []string{"crl-10", "crl-20"} {
		der := goldenFile(f, name)
		f.Add(der)
		f.Add(der[:len(der)-1])
		for _, at := range []int{20, len(der) / 2, len(der) - 3} {
			changed := append([]byte(nil), der...)
			changed[at] ^= 1
			f.Add(changed)
		}
	}
	// The newest list of all, by somebody who says to be the issuer.
	now := time.Date(2026, 12, 22, 0, 0, 0, 0, time.UTC)
	f.Add(revocations(f, listTemplate(now, 30), goldenCertificate(f, "issuer"), key(f, elliptic.P256())))
	record := goldenRecord(f, goldenDER)
	f.Fuzz(func(t *testing.T, der []byte) {
		trust := goldenTrust(t, now, "crl-20")
		_ = trust.CRLs.Add(der) // what is refused at once is refused
		p, err := verify.NewProvenance(verify.ProvenanceConfig{Trust: trust, Framework: framework})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Verify(t.Context(), record); verify.FailureOf(err) != verify.Revoked {
			t.Fatal(err)
		}
	})
}
