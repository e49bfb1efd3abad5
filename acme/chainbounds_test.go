package acme

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWorstChains: what a hostile CA can put into a chain that keeps to the
// limits costs little memory and ends soon, however it is meant (PX-4): names by
// the thousand, constraints that all have to be held against all names, and
// extensions without end.
func TestWorstChains(t *testing.T) { // alone, because memory is counted
	domains := func(n int, pattern string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(pattern, i)
		}
		return list
	}
	extensions := func(n int) (list []pkix.Extension) {
		for i := range n {
			list = append(list, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99, i}, Value: []byte{5, 0}})
		}
		return list
	}
	manyNames := func(i *issuance) {
		i.leaf.DNSNames, i.leaf.IPAddresses = domains(100, "n%d.a.net"), nil
		i.contract.Identifiers = names(i.leaf.DNSNames...)
		i.leaf.Subject, i.contract.CommonName = cn("n0.a.net"), "n0.a.net"
	}
	for name, change := range map[string]func(i *issuance){
		"a thousand constraints for a hundred names": func(i *issuance) {
			manyNames(i)
			i.intermediate.PermittedDNSDomains = append(domains(2500, "p%d.example"), "a.net")
			i.root.ExcludedDNSDomains = domains(2500, "x%d.example")
		},
		"constraints on every kind of name": func(i *issuance) {
			manyNames(i)
			i.intermediate.ExcludedDNSDomains = domains(1500, "x%d.example")
			i.intermediate.ExcludedEmailAddresses = domains(500, "x%d.example")
			i.intermediate.ExcludedURIDomains = domains(500, "x%d.example")
		},
		"names by the thousand": func(i *issuance) { i.leaf.DNSNames = domains(4000, "n%d.a.net") },
		"extensions without end": func(i *issuance) {
			i.leaf.ExtraExtensions, i.intermediate.ExtraExtensions = extensions(3000), extensions(3000)
		},
		"ten certificates of the same issuer": func(i *issuance) {
			i.after = func(c [][]byte) [][]byte { return append(c, slices.Repeat(c[1:], 8)...) }
		},
		"a subject without end": func(i *issuance) {
			for n := range 1500 {
				i.leaf.Subject.ExtraNames = append(i.leaf.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: fmt.Sprint(n)})
			}
		},
		"usages without end": func(i *issuance) {
			for n := range 3000 {
				i.leaf.UnknownExtKeyUsage = append(i.leaf.UnknownExtKeyUsage, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99, n})
			}
		},
		"places to ask without end": func(i *issuance) {
			i.leaf.OCSPServer, i.leaf.CRLDistributionPoints = domains(1000, "http://o%d.example/"), domains(500, "http://c%d.example/")
		},
	} {
		i := newIssuance(t)
		change(i)
		chain, roots := i.issue(t)
		for n, der := range chain {
			if len(der) > maxCertificateBytes {
				t.Fatalf("%s: certificate %d has %d bytes, which is refused before anything is read", name, n, len(der))
			}
		}
		trust, err := NewTrust(roots)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := time.Now()
		_, err = trust.CheckChain(i.contract, chain, i.now)
		took := time.Since(begun)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d MiB (%v)", name, n>>20, err)
		}
		if took > 20*time.Second { // milliseconds, on a machine that has the time
			t.Errorf("%s: %v (%v)", name, took, err)
		}
	}
}

// TestParserThatPanics: whatever happens while a chain is read, the caller gets
// an error (PX-4).
func TestParserThatPanics(t *testing.T) {
	t.Parallel()
	i := newIssuance(t)
	chain, _ := i.issue(t)
	var none *Trust // it falls over what is not there
	leaf, err := none.CheckChain(i.contract, chain, i.now)
	if leaf != nil || err == nil || !strings.Contains(err.Error(), "reading the chain failed") {
		t.Errorf("got %v, %v", leaf, err)
	}
	// One that nobody made trusts nobody, least of all whom the system trusts.
	leaf, err = new(Trust).CheckChain(i.contract, chain, i.now)
	if leaf != nil || !errors.Is(err, errNoRoots) {
		t.Errorf("got %v, %v", leaf, err)
	}
}
