package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

// TestXRoadNameIsPlain: a Security Server looks for the RDN with the attribute
// that it wants, and takes the first attribute of that RDN. Where two share one,
// what stands before the member's own code can be somebody else's (SP-3).
func TestXRoadNameIsPlain(t *testing.T) {
	t.Parallel()
	type part struct {
		arc, tag int
		value    string
	}
	attribute := func(p part) pkix.AttributeTypeAndValue {
		value := asn1.RawValue{Tag: p.tag, Bytes: []byte(p.value)}
		return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, p.arc}, Value: value}
	}
	const bmp = "\x00C\x00O\x00M"
	utf8 := asn1.TagUTF8String
	for name, test := range map[string]struct {
		rdns [][]part
		why  string
	}{
		"plain":                   {[][]part{{{6, asn1.TagPrintableString, "EX"}}, {{10, utf8, "Member"}}, {{15, utf8, "COM"}}, {{5, asn1.TagPrintableString, "555"}}, {{3, utf8, "Member"}}}, ""},
		"the code of another one": {[][]part{{{6, utf8, "EX"}}, {{10, utf8, "1"}, {5, utf8, "555"}}, {{15, utf8, "COM"}}, {{3, utf8, "Member"}}}, "share"},
		"all in one":              {[][]part{{{3, utf8, "1"}, {6, utf8, "EX"}, {10, utf8, "Member"}, {15, utf8, "COM"}, {5, utf8, "555"}}}, "share"},
		"text of another kind":    {[][]part{{{6, utf8, "EX"}}, {{10, utf8, "Member"}}, {{15, asn1.TagBMPString, bmp}}, {{5, utf8, "555"}}, {{3, utf8, "Member"}}}, "UTF8String"},
		"text of an old kind":     {[][]part{{{6, utf8, "EX"}}, {{10, utf8, "Member"}}, {{15, utf8, "COM"}}, {{5, asn1.TagT61String, "555"}}, {{3, utf8, "Member"}}}, "UTF8String"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var subject pkix.RDNSequence
			for _, rdn := range test.rdns {
				var set pkix.RelativeDistinguishedNameSET
				for _, p := range rdn {
					set = append(set, attribute(p))
				}
				subject = append(subject, set)
			}
			der, err := asn1.Marshal(subject)
			if err != nil {
				t.Fatal(err)
			}
			csr, p := ParseCSR(newCSR(t, testKey(), x509.CertificateRequest{RawSubject: der, DNSNames: []string{"ss1.example.org"}}))
			if p != nil {
				t.Fatal(p)
			}
			_, p = CheckCSR(Order{Identifiers: names("ss1.example.org"), Member: "EX:COM:555"}, Profile{Name: "x", XRoad: XRoadRule{Usage: XRoadSign, Subject: XRoadBasic}}, csr)
			if test.why == "" {
				if p != nil {
					t.Error(p)
				}
				return
			}
			if p == nil || p.Type != BadCSR || !strings.Contains(p.Detail, test.why) {
				t.Errorf("%v, want badCSR with %q", p, test.why)
			}
		})
	}
}
