package localca

import (
	"testing"

	"acmebridge/backends"
)

// BenchmarkIssue is one certificate, everything included. The budget is 150
// microseconds.
func BenchmarkIssue(b *testing.B) {
	ca := open(b, testConfig(b))
	r := newRequest(birth)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ca.Issue(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSubmitPoll is the queued way.
func BenchmarkSubmitPoll(b *testing.B) {
	ca := open(b, testConfig(b))
	r := newRequest(birth)
	b.ReportAllocs()
	for b.Loop() {
		t, err := ca.Submit(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ca.Poll(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStandardIssue is the same certificate by crypto/x509, which checks
// its own signature: the reason why the package has an encoder of its own.
func BenchmarkStandardIssue(b *testing.B) {
	ca := open(b, testConfig(b))
	r := newRequest(birth)
	chain, err := ca.Issue(r)
	if err != nil {
		b.Fatal(err)
	}
	serial := leafOf(b, chain).SerialNumber
	b.ReportAllocs()
	for b.Loop() {
		standardLeaf(b, ca, r, serial)
	}
}

func BenchmarkCRL10000(b *testing.B) {
	ca := open(b, testConfig(b))
	key := ca.state.Load().current().cert.SubjectKeyId
	var revoked []backends.Revoked
	for range 10_000 {
		revoked = append(revoked, backends.Revoked{Serial: []byte(newKey(b))[:16], AuthorityKeyID: key, At: birth})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ca.SignCRL("crl/local.crl", 1, birth, revoked); err != nil {
			b.Fatal(err)
		}
	}
}
