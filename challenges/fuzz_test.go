package challenges

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/challenges/tlsalpn01test"
	"acmebridge/internal/egress"
)

// FuzzCertificate: a certificate that passes names the host and nothing else
// by the library's own reading as well, and carries the digest.
func FuzzCertificate(f *testing.F) {
	const keyAuthorization = "token.thumbprint"
	for _, host := range []string{"example.org", "192.0.2.1"} {
		f.Add(tlsalpn01test.Proof(host, keyAuthorization).Make(f).Certificate[0], host)
	}
	two := tlsalpn01test.Proof("example.org", keyAuthorization)
	two.Emails = []string{"a@example.org"}
	f.Add(two.Make(f).Certificate[0], "example.org")
	digest := sha256.Sum256([]byte(keyAuthorization))
	f.Fuzz(func(t *testing.T, der []byte, host string) {
		cert, err := x509.ParseCertificate(der)
		if err != nil || judgeCertificate(cert, host, digest) != "" {
			return
		}
		if len(cert.EmailAddresses)+len(cert.URIs) != 0 || len(cert.DNSNames)+len(cert.IPAddresses) != 1 {
			t.Errorf("other names pass: %v %v %v %v", cert.DNSNames, cert.IPAddresses, cert.EmailAddresses, cert.URIs)
		}
		if len(cert.DNSNames) == 1 && !strings.EqualFold(cert.DNSNames[0], host) || len(cert.IPAddresses) == 1 && cert.IPAddresses[0].String() != host {
			t.Errorf("%v %v pass for %s", cert.DNSNames, cert.IPAddresses, host)
		}
		found := slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool {
			var sum []byte
			rest, err := asn1.Unmarshal(e.Value, &sum)
			return e.Critical && err == nil && len(rest) == 0 && string(sum) == string(digest[:])
		})
		if !found {
			t.Error("it passes without the digest")
		}
	})
}

// R8659-4.2-2: the issuer has a grammar, too.
func TestIssuers(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"ca.example": true, "a-b.c": true, "A.b": true, " a\t;": true, "": true, ";": true, "3a": true,
		"a_b": false, "a..b": false, ".a": false, "a.": false, "-a": false, "a-": false, "a b": false, "a=b": false, "\u00e9.example": false,
		strings.Repeat("a", 64): false, strings.Repeat("abcdefg.", 32) + "a": false,
	} {
		if _, err := parseIssueValue(s); (err == nil) != ok {
			t.Errorf("%q: got %v, want well formed %v", s, err, ok)
		}
	}
}

// FuzzIssueValue: what parses can be written down again and parses to the same,
// and a record that counts for dns-persist-01 or CAA says so in plain sight.
func FuzzIssueValue(f *testing.F) {
	for _, s := range []string{"", ";", "ca.example", "ca.example; accounturi=acct; policy=wildcard; persistUntil=1", " a ; b = c", "a;b=1;B=2", "ca.example;x"} {
		f.Add(s)
	}
	rules := persistRules{issuers: []string{"ca.example"}, accounts: []string{"acct"}, now: time.Unix(1000, 0)}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseIssueValue(s)
		if err == nil {
			again := v.issuer
			for _, p := range v.parameters {
				again += ";" + p.tag + "=" + p.value
			}
			w, err := parseIssueValue(again)
			if err != nil || w.issuer != v.issuer || !slices.Equal(w.parameters, v.parameters) {
				t.Errorf("%q parses to %+v, and that to %+v, %v", s, v, w, err)
			}
		}
		lower := strings.ToLower(s)
		if _, failed := rules.judge([]string{s}); failed == nil {
			if err != nil || !strings.Contains(lower, "ca.example") || !strings.Contains(lower, "accounturi") || !strings.Contains(s, "acct") {
				t.Errorf("%q counts as a record of dns-persist-01", s)
			}
		}
		if judgeCAA([]egress.CAARecord{{Tag: "issue", Value: s}}, CAARequest{Identities: []string{"ca.example"}}) == "" && (err != nil || v.issuer != "ca.example" || len(v.all("accounturi"))+len(v.all("validationmethods")) != 0) {
			t.Errorf("%q lets us issue", s)
		}
	})
}

// FuzzCAARecords: whatever the records are, a critical one of an unknown kind
// forbids, and an issue record that does not name us never allows alone.
func FuzzCAARecords(f *testing.F) {
	f.Add(byte(0), "issue", "ca.example", true)
	f.Add(byte(128), "tbs", "x", false)
	f.Add(byte(1), "iodef", "mailto:a@b", false)
	us := []string{"ca.example"}
	f.Fuzz(func(t *testing.T, flags byte, tag, value string, wildcard bool) {
		records := []egress.CAARecord{{Tag: "issue", Value: "ca.example"}, {Flags: flags, Tag: tag, Value: value}}
		known := slices.Contains([]string{"issue", "issuewild", "iodef", "issuemail", "issuevmc"}, strings.ToLower(tag))
		why := judgeCAA(records, CAARequest{Identities: us, Wildcard: wildcard})
		if !known && flags&128 != 0 && why == "" {
			t.Errorf("%d %q does not forbid", flags, tag)
		}
		if !known && flags&129 == 0 && why != "" {
			t.Errorf("%d %q forbids: %s", flags, tag, why)
		}
		if judgeCAA([]egress.CAARecord{{Tag: "issue", Value: "other.example"}, {Flags: 0, Tag: "iodef", Value: value}}, CAARequest{Identities: us, Wildcard: wildcard}) == "" {
			t.Error("a record of another CA allows")
		}
	})
}
