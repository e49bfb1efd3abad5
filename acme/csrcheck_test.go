package acme

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func keyUsageBits(t testing.TB, bits ...int) pkix.Extension {
	t.Helper()
	b := make([]byte, 2)
	for _, i := range bits {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return extension(t, oidKeyUsage, asn1.BitString{Bytes: b, BitLength: 9})
}

func extKeyUsages(t testing.TB, oids ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	return extension(t, oidExtKeyUsage, oids)
}

func constraints(ca bool) pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if ca {
			b.AddASN1Boolean(true)
		}
	})
	return pkix.Extension{Id: oidBasicConstraints, Value: b.BytesOrPanic()}
}

func ipIdentifier(a string) Identifier { return Identifier{Type: IPIdentifier, Value: a} }

// TestCheckCSR: what a certificate will hold is decided by the order and the
// profile; the CSR gives its key, and is refused for asking for anything else
// (R8555-10.5-1, RPROF-6, EK-14).
func TestCheckCSR(t *testing.T) {
	t.Parallel()
	server, client := usageOIDs[ServerAuth], usageOIDs[ClientAuth]
	anyUsage := asn1.ObjectIdentifier{2, 5, 29, 37, 0}
	long := strings.Repeat("a", 61) + ".net" // 65 characters
	san := func(dns ...string) x509.CertificateRequest { return x509.CertificateRequest{DNSNames: dns} }
	with := func(extensions ...pkix.Extension) x509.CertificateRequest {
		return x509.CertificateRequest{DNSNames: []string{"a.net"}, ExtraExtensions: extensions}
	}
	named := func(subject pkix.Name, dns ...string) x509.CertificateRequest {
		return x509.CertificateRequest{Subject: subject, DNSNames: dns}
	}
	tests := []struct {
		name    string
		order   []Identifier
		csr     x509.CertificateRequest
		profile Profile // usages default to both
		cn      string  // of the contract
		why     string  // empty: accepted
	}{
		{"R8555-7.4F-3 SAN", names("a.net"), san("a.net"), Profile{}, "a.net", ""},
		{"R8555-7.4F-3 SAN in another order and case", names("a.net", "b.net"), san("B.net", "A.NET"), Profile{}, "a.net", ""},
		{"R8555-7.4F-3 common name only", names("a.net"), named(cn("A.net")), Profile{}, "a.net", ""},
		{"R8555-7.4F-3 both", names("a.net", "b.net"), named(cn("b.net"), "a.net", "b.net"), Profile{}, "b.net", ""},
		{"SAN twice", names("a.net"), san("a.net", "A.net"), Profile{}, "a.net", ""},
		{"wildcard", names("*.a.net"), san("*.a.net"), Profile{}, "*.a.net", ""},
		{"ip", []Identifier{ipIdentifier("192.0.2.1"), ipIdentifier("2001:db8::1")},
			x509.CertificateRequest{IPAddresses: []net.IP{net.ParseIP("2001:db8::1"), net.ParseIP("192.0.2.1")}}, Profile{}, "", ""},
		{"R8738-P-1 ip in the common name is passed over", []Identifier{ipIdentifier("192.0.2.1")},
			x509.CertificateRequest{Subject: cn("192.0.2.1"), IPAddresses: []net.IP{net.ParseIP("192.0.2.1")}}, Profile{}, "", ""},
		{"empty subject by profile", names("a.net"), named(cn("a.net"), "a.net"), Profile{Subject: SubjectEmpty}, "", ""},
		{"first name that fits", names(long, "b.net"), san(long, "b.net"), Profile{}, "b.net", ""},
		{"no name fits", names(long), san(long), Profile{}, "", ""},
		{"keyUsage of OpenSSL's own configuration", names("a.net"), with(constraints(false), keyUsageBits(t, 0, 1, 2)), Profile{}, "a.net", ""},
		{"critical", names("a.net"), with(pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: extKeyUsages(t, server).Value}), Profile{}, "a.net", ""},
		{"keyAgreement", names("a.net"), with(keyUsageBits(t, 0, 4)), Profile{}, "a.net", ""},
		{"usages granted", names("a.net"), with(extKeyUsages(t, server, client)), Profile{}, "a.net", ""},
		{"fewer usages", names("a.net"), with(extKeyUsages(t, client)), Profile{}, "a.net", ""},

		{"R8555-7.4F-3 extra", names("a.net"), san("a.net", "b.net"), Profile{}, "", `names "b.net", which the order does not list`},
		{"R8555-7.4F-3 missing", names("a.net", "b.net"), san("a.net"), Profile{}, "", `does not name "b.net"`},
		{"R8555-7.4F-3 other", names("a.net"), san("b.net"), Profile{}, "", `and not "a.net"`},
		{"no names", names("a.net"), x509.CertificateRequest{}, Profile{}, "", `does not name "a.net"`},
		{"wildcard for its base", names("a.net"), san("*.a.net"), Profile{}, "", `"*.a.net"`},
		{"PX-2 trailing dot", names("a.net"), san("a.net."), Profile{}, "", `"a.net."`},
		{"PX-2 NUL", names("a.net"), san("a.net\x00.b.net"), Profile{}, "", `"a.net\x00.b.net"`},
		{"PX-2 empty name", names("a.net"), x509.CertificateRequest{ExtraExtensions: []pkix.Extension{rawSAN(dnsName("a.net"), dnsName(""))}}, Profile{}, "", `names ""`},
		{"address as a name", []Identifier{ipIdentifier("192.0.2.1")}, san("192.0.2.1"), Profile{}, "", "does not list"},
		{"name as an address", names("192.0.2.1"), x509.CertificateRequest{IPAddresses: []net.IP{net.ParseIP("192.0.2.1")}}, Profile{}, "", "does not list"},
		{"mapped address", []Identifier{ipIdentifier("192.0.2.1")}, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
			rawSAN(generalName(cbasn1.Tag(7).ContextSpecific(), string(net.ParseIP("192.0.2.1").To16())))}}, Profile{}, "", "::ffff:192.0.2.1"},
		{"R8555-7.4F-11 e-mail", names("a.net"), x509.CertificateRequest{DNSNames: []string{"a.net"}, EmailAddresses: []string{"x@a.net"}}, Profile{}, "", "e-mail address"},
		{"R8555-7.4F-4 foreign common name", names("a.net"), named(cn("b.net"), "a.net"), Profile{}, "", `common name "b.net" of the CSR is not an identifier of the order`},
		{"R8555-7.4F-4 common name missing in the SAN", names("a.net", "b.net"), named(cn("b.net"), "a.net"), Profile{}, "", `"b.net"`},
		{"R8555-7.4F-4 common name beside an empty SAN", names("a.net"), x509.CertificateRequest{Subject: cn("a.net"), ExtraExtensions: []pkix.Extension{rawSAN()}}, Profile{}, "", `"a.net"`},
		{"common name only, order of two", names("a.net", "b.net"), named(cn("a.net")), Profile{}, "", `"b.net"`},
		{"common name too long", names(long), named(cn(long), long), Profile{}, "", "longer than 64"},
		{"R8555-7.4-2 organization", names("a.net"), named(pkix.Name{CommonName: "a.net", Organization: []string{"Bank"}, Country: []string{"NL"}}, "a.net"), Profile{}, "", "the subject of the CSR has C, O"},
		{"e-mail in the subject", names("a.net"), named(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "x@a.net"}}}, "a.net"), Profile{}, "", "emailAddress"},
		{"unknown subject attribute", names("a.net"), named(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "x"}}}, "a.net"), Profile{}, "", "1.2.3.4"},
		{"R8555-7.4F-5 keyCertSign", names("a.net"), with(keyUsageBits(t, 0, 5, 6)), Profile{}, "", "keyCertSign, cRLSign"},
		{"R8555-7.4F-5 decipherOnly", names("a.net"), with(keyUsageBits(t, 4, 8)), Profile{}, "", "decipherOnly"},
		{"keyUsage beyond its bits", names("a.net"), with(extension(t, oidKeyUsage, asn1.BitString{Bytes: []byte{0, 0, 1}, BitLength: 24})), Profile{}, "", "bit 23"},
		{"keyUsage not readable", names("a.net"), with(pkix.Extension{Id: oidKeyUsage, Value: []byte{4, 0}}), Profile{}, "", "keyUsage that"},
		{"R8555-7.4F-5 usage not granted", names("a.net"), with(extKeyUsages(t, server, client)), Profile{Usages: []Usage{ServerAuth}}, "", "extKeyUsage client_auth, which this profile does not grant; it grants server_auth"},
		{"R8555-7.4F-5 any usage", names("a.net"), with(extKeyUsages(t, anyUsage)), Profile{}, "", "2.5.29.37.0"},
		{"extKeyUsage not readable", names("a.net"), with(pkix.Extension{Id: oidExtKeyUsage, Value: []byte{0x30, 2, 5, 0}}), Profile{}, "", "extKeyUsage that"},
		{"R8555-7.4F-5 CA", names("a.net"), with(constraints(true)), Profile{}, "", "CA:TRUE"},
		{"CA that is neither true nor false", names("a.net"), with(pkix.Extension{Id: oidBasicConstraints, Value: []byte{0x30, 3, 1, 1, 7}}), Profile{}, "", "basicConstraints that"},
		{"basicConstraints not readable", names("a.net"), with(pkix.Extension{Id: oidBasicConstraints, Value: []byte{5, 0}}), Profile{}, "", "basicConstraints that"},
		{"R8555-7.4F-5 must-staple", names("a.net"), with(extension(t, oidTLSFeature, []int{5})), Profile{}, "", "must-staple"},
		{"R8555-7.4F-5 any other", names("a.net"), with(pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99}, Value: []byte{5, 0}}), Profile{}, "", "1.3.6.1.4.1.99"},
		{"R8555-7.4F-10 key type", names("a.net"), san("a.net"), Profile{Keys: KeyPolicy{Types: []string{"rsa"}}}, "", "key of type p256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.profile.Usages == nil {
				tt.profile.Usages = []Usage{ServerAuth, ClientAuth}
			}
			if tt.profile.Subject == "" {
				tt.profile.Subject = SubjectCommonName
			}
			tt.profile.Name = "tls"
			csr, p := ParseCSR(newCSR(t, testKey(), tt.csr))
			if p != nil {
				t.Fatal(p)
			}
			contract, p := CheckCSR(Order{Identifiers: tt.order}, tt.profile, csr)
			checkProblem(t, p, BadCSR, tt.why)
			if p != nil || tt.why != "" {
				return
			}
			if contract.Profile != "tls" || !slices.Equal(contract.Identifiers, tt.order) || contract.KeyHash != csr.KeyHash ||
				!slices.Equal(contract.Usages, tt.profile.Usages) || contract.Subject != tt.profile.Subject || contract.CommonName != tt.cn {
				t.Errorf("contract %+v", contract)
			}
		})
	}
}

func TestCheckCSREd25519(t *testing.T) { // EK-5
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, p := ParseCSR(newCSR(t, key, x509.CertificateRequest{DNSNames: []string{"a.net"}}))
	if p != nil {
		t.Fatal(p)
	}
	o := Order{Identifiers: names("a.net")}
	_, p = CheckCSR(o, Profile{}, csr)
	checkProblem(t, p, BadCSR, "key of type ed25519")
	_, p = CheckCSR(o, Profile{Keys: KeyPolicy{Types: []string{"ed25519"}}}, csr)
	checkProblem(t, p, BadCSR, "")
}

func TestListIsShort(t *testing.T) {
	t.Parallel()
	if got := list([]string{"1", "2", "3", "4", "5", "6", "7"}); got != "1, 2, 3, 4, 5 and 2 more" {
		t.Errorf("list = %q", got)
	}
}
