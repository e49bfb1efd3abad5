package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

func subjectDER(n pkix.Name) []byte {
	der, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		panic(err)
	}
	return der
}

// subjectOf reads "C=FI O=Member serial=555 CN=ss1".
func subjectOf(text string) pkix.Name {
	var n pkix.Name
	for part := range strings.SplitSeq(text, " ") {
		last, value, _ := strings.Cut(part, "=")
		arc := map[string]int{"CN": 3, "serial": 5, "C": 6, "L": 7, "O": 10, "OU": 11, "category": 15}[last]
		n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, arc}, Value: value})
	}
	return n
}

func withInstance(r XRoadRule, instance string) XRoadRule {
	r.Instance = instance
	return r
}

// TestCheckXRoad: the subject is the member's identity, and nobody gets another
// one's (C-XR-8, SP-3).
func TestCheckXRoad(t *testing.T) {
	t.Parallel()
	const (
		authentication = 0xb0 // digitalSignature, keyEncipherment, dataEncipherment
		signing        = 0x44 // nonRepudiation, keyCertSign
	)
	basicAuth, basicSign := XRoadRule{Usage: XRoadAuth, Subject: XRoadBasic}, XRoadRule{Usage: XRoadSign, Subject: XRoadBasic}
	finnishAuth, finnishSign := XRoadRule{Usage: XRoadAuth, Subject: XRoadFinnish}, XRoadRule{Usage: XRoadSign, Subject: XRoadFinnish}
	for _, tt := range []struct {
		name     string
		rule     XRoadRule
		member   MemberID
		subject  string
		keyUsage byte
		dns      string
		kind     ProblemType
		why      string
	}{
		{"authentication", basicAuth, "EX:COM:555", "C=EX O=Member serial=555 CN=SS1.example.org", authentication, "SS1.Example.org", "", ""},
		{"authentication without SAN", basicAuth, "EX:COM:555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "", "", ""},
		{"authentication without key usage", basicAuth, "EX/COM/555", "C=EX O=Member serial=555 CN=ss1.example.org", 0, "ss1.example.org", "", ""},
		{"reversed", basicAuth, "EX:COM:555", "CN=ss1.example.org serial=555 O=Member C=EX", authentication, "ss1.example.org", "", ""},
		{"signing", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing, "ss1.example.org", "", ""},
		{"signing, Finnish", finnishSign, "FI-TEST:GOV:555", "C=FI O=Member serial=FI-TEST/ss1/GOV CN=555", signing, "ss1.example.org", "", ""},
		{"authentication, Finnish", finnishAuth, "FI-TEST:GOV:555", "C=FI O=Member serial=FI-TEST/ss1/GOV CN=ss1.example.org", authentication, "ss1.example.org", "", ""},

		{"authentication, Basic", XRoadRule{Usage: XRoadAuth, Subject: XRoadPlain}, "EX:COM:555", "CN=ss1.example.org serial=555 C=EX O=Member", authentication, "", "", ""},
		{"signing, Basic", XRoadRule{Usage: XRoadSign, Subject: XRoadPlain}, "EX:COM:555", "CN=Member O=Member category=COM C=EX serial=555", signing, "ss1.example.org", "", ""},
		{"authentication, EJBCA", XRoadRule{Usage: XRoadAuth, Subject: XRoadEJBCA}, "INST:COM:555", "C=INST CN=ss1", authentication, "ss1.example.org", "", ""},
		{"signing, EJBCA", XRoadRule{Usage: XRoadSign, Subject: XRoadEJBCA}, "INST:COM:555", "C=INST O=COM CN=555", signing, "ss1.example.org", "", ""},
		{"authentication, Iceland", XRoadRule{Usage: XRoadAuth, Subject: XRoadIceland}, "IS:GOV:555", "C=IS CN=ss1.example.org serial=IS/GOV/555/ss1", authentication, "", "", ""},
		{"signing, Iceland", XRoadRule{Usage: XRoadSign, Subject: XRoadIceland}, "IS:GOV:555", "C=IS O=IS OU=GOV CN=555 serial=IS/GOV/555/ss1", signing, "ss1.example.org", "", ""},
		{"authentication, Faroe", XRoadRule{Usage: XRoadAuth, Subject: XRoadFaroe}, "FO:GOV:555", "C=FO O=FO CN=FO/GOV/555/ss1", authentication, "ss1.example.org", "", ""},
		{"signing, Faroe", XRoadRule{Usage: XRoadSign, Subject: XRoadFaroe}, "FO:GOV:555", "C=FO O=FO OU=GOV CN=555 serial=7", signing, "ss1.example.org", "", ""},
		{"authentication, SK", XRoadRule{Usage: XRoadAuth, Subject: XRoadSK}, "EE:COM:12345678", "serial=12345678 CN=Member", authentication, "ss1.example.org", "", ""},
		{"signing, SK", XRoadRule{Usage: XRoadSign, Subject: XRoadSK}, "EE:COM:12345678", "serial=12345678 CN=Member", signing, "ss1.example.org", "", ""},
		{"another instance, EJBCA", XRoadRule{Usage: XRoadAuth, Subject: XRoadEJBCA}, "INST:COM:555", "C=OTHER CN=ss1", authentication, "ss1.example.org", Unauthorized, "instance"},
		{"another class, EJBCA", XRoadRule{Usage: XRoadSign, Subject: XRoadEJBCA}, "INST:COM:555", "C=INST O=GOV CN=555", signing, "ss1.example.org", Unauthorized, "class"},
		{"another code, EJBCA", XRoadRule{Usage: XRoadSign, Subject: XRoadEJBCA}, "INST:COM:555", "C=INST O=COM CN=556", signing, "ss1.example.org", Unauthorized, "code"},
		{"another host, Iceland", XRoadRule{Usage: XRoadAuth, Subject: XRoadIceland}, "IS:GOV:555", "C=IS CN=evil.example.org serial=x", authentication, "ss1.example.org", BadCSR, "not an identifier"},
		{"another class, Iceland", XRoadRule{Usage: XRoadSign, Subject: XRoadIceland}, "IS:GOV:555", "C=IS O=IS OU=COM CN=555 serial=x", signing, "ss1.example.org", Unauthorized, "class"},
		{"not the Faroe Islands", XRoadRule{Usage: XRoadAuth, Subject: XRoadFaroe}, "FO:GOV:555", "C=DK O=FO CN=ss1", authentication, "ss1.example.org", BadCSR, "not FO"},
		{"another instance, Faroe", XRoadRule{Usage: XRoadSign, Subject: XRoadFaroe}, "FO:GOV:555", "C=FO O=IS OU=GOV CN=555 serial=7", signing, "ss1.example.org", Unauthorized, "instance"},
		{"another code, SK", XRoadRule{Usage: XRoadSign, Subject: XRoadSK}, "EE:COM:12345678", "serial=12345679 CN=Member", signing, "ss1.example.org", Unauthorized, "code"},
		{"a unit too many, SK", XRoadRule{Usage: XRoadSign, Subject: XRoadSK}, "EE:COM:12345678", "serial=12345678 CN=Member OU=x", signing, "ss1.example.org", BadCSR, "OU"},

		{"another code", basicAuth, "EX:COM:555", "C=EX O=Member serial=556 CN=ss1.example.org", authentication, "ss1.example.org", Unauthorized, `"555"`},
		{"another code, signing", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=556 CN=Member", signing, "ss1.example.org", Unauthorized, "serialNumber"},
		{"another class, signing", basicSign, "EX:COM:555", "C=EX O=Member category=GOV serial=555 CN=Member", signing, "ss1.example.org", Unauthorized, "businessCategory"},
		{"another instance", finnishSign, "FI:GOV:555", "C=FI O=Member serial=FI-TEST/ss1/GOV CN=555", signing, "ss1.example.org", Unauthorized, "instance"},
		{"another class, Finnish", finnishAuth, "FI-TEST:COM:555", "C=FI O=Member serial=FI-TEST/ss1/GOV CN=ss1.example.org", authentication, "ss1.example.org", Unauthorized, "class"},
		{"another code, Finnish", finnishSign, "FI-TEST:GOV:556", "C=FI O=Member serial=FI-TEST/ss1/GOV CN=555", signing, "ss1.example.org", Unauthorized, "CN"},
		{"the instance of the profile", withInstance(basicSign, "EX"), "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing, "ss1.example.org", "", ""},
		{"the instance of the profile, with slashes", withInstance(basicAuth, "EX"), "EX/COM/555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", "", ""},
		{"another instance than the profile's", withInstance(basicSign, "EX"), "EX-TEST:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing, "ss1.example.org", Unauthorized, `members of instance "EX"`},
		{"an instance in other letters", withInstance(basicAuth, "EX"), "ex:COM:555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", Unauthorized, `members of instance "EX"`},
		// A member's name has up to 255 characters, of whatever alphabet.
		{"a long name", basicSign, "EX:COM:555", "C=EX O=" + strings.Repeat("Ж", 255) + " category=COM serial=555 CN=" + strings.Repeat("語", 255), signing, "ss1.example.org", "", ""},
		{"a name that is too long", basicSign, "EX:COM:555", "C=EX O=" + strings.Repeat("n", 257) + " category=COM serial=555 CN=Member", signing, "ss1.example.org", BadCSR, "too long"},
		{"another member's server, Iceland", XRoadRule{Usage: XRoadAuth, Subject: XRoadIceland}, "IS:GOV:555", "C=IS CN=ss1.example.org serial=IS/GOV/556/ss1", authentication, "", Unauthorized, "serialNumber"},
		{"another class's server, Iceland", XRoadRule{Usage: XRoadAuth, Subject: XRoadIceland}, "IS:GOV:555", "C=IS CN=ss1.example.org serial=IS:COM:555:ss1", authentication, "", Unauthorized, "serialNumber"},
		{"a server by other means, Iceland", XRoadRule{Usage: XRoadAuth, Subject: XRoadIceland}, "IS:GOV:555", "C=IS CN=ss1.example.org serial=ss1", authentication, "", "", ""},
		{"another instance's server, Faroe", XRoadRule{Usage: XRoadAuth, Subject: XRoadFaroe}, "FO:GOV:555", "C=FO O=FO CN=FO-TEST/GOV/555/ss1", authentication, "ss1.example.org", Unauthorized, "CN"},
		{"no member", basicAuth, "", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", Unauthorized, "INSTANCE:CLASS:CODE"},
		{"a member of two parts", basicAuth, "EX:555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", Unauthorized, "INSTANCE:CLASS:CODE"},

		{"a signing key for authentication", basicAuth, "EX:COM:555", "C=EX O=Member serial=555 CN=ss1.example.org", signing, "ss1.example.org", BadCSR, "signing key"},
		{"an authentication key for signing", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", authentication, "ss1.example.org", BadCSR, "authentication key"},
		{"cRLSign", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing | 0x02, "ss1.example.org", BadCSR, "cRLSign"},
		{"keyCertSign for authentication", basicAuth, "EX:COM:555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication | 0x04, "ss1.example.org", BadCSR, "keyCertSign"},
		{"keyCertSign alone", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", 0x04, "ss1.example.org", BadCSR, "nonRepudiation"},
		{"an attribute too few", basicAuth, "EX:COM:555", "O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "no C"},
		{"an attribute too many", basicAuth, "EX:COM:555", "C=EX L=There O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "2.5.4.7"},
		{"an attribute twice", basicAuth, "EX:COM:555", "C=EX O=Member serial=556 serial=555 CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "twice"},
		{"an empty attribute", basicAuth, "EX:COM:555", "C=EX O= serial=555 CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "empty"},
		{"another host", basicAuth, "EX:COM:555", "C=EX O=Member serial=555 CN=evil.example.org", authentication, "ss1.example.org", BadCSR, "not an identifier"},
		{"another name", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing, "evil.example.org", BadCSR, "evil.example.org"},
		{"signing without SAN", basicSign, "EX:COM:555", "C=EX O=Member category=COM serial=555 CN=Member", signing, "", BadCSR, "does not list"},
		{"not Finland", finnishAuth, "FI-TEST:GOV:555", "C=EE O=Member serial=FI-TEST/ss1/GOV CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "not FI"},
		{"two parts", finnishAuth, "FI-TEST:GOV:555", "C=FI O=Member serial=FI-TEST/GOV CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "server code"},
		{"a rule from the future", XRoadRule{Usage: XRoadAuth, Subject: "tomorrow"}, "EX:COM:555", "C=EX O=Member serial=555 CN=ss1.example.org", authentication, "ss1.example.org", BadCSR, "not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template := x509.CertificateRequest{RawSubject: subjectDER(subjectOf(tt.subject))}
			if tt.dns != "" {
				template.DNSNames = []string{tt.dns}
			}
			if tt.keyUsage != 0 {
				template.ExtraExtensions = []pkix.Extension{{Id: oidKeyUsage, Value: []byte{0x03, 0x02, 0x00, tt.keyUsage}}}
			}
			csr, p := ParseCSR(newCSR(t, testKey(), template))
			if p != nil {
				t.Fatal(p)
			}
			order := Order{Identifiers: names("ss1.example.org"), Member: tt.member}
			c, p := CheckCSR(order, Profile{Name: "x", XRoad: tt.rule}, csr)
			if tt.why != "" {
				if p == nil || p.Type != tt.kind || !strings.Contains(p.Detail, tt.why) {
					t.Errorf("%v, want %s with %q", p, tt.kind, tt.why)
				}
				return
			}
			want := map[XRoadUsage]KeyUsageRule{XRoadAuth: KeyUsageAuthentication, XRoadSign: KeyUsageSigning}[tt.rule.Usage]
			if p != nil || string(c.RequestedSubject) != string(template.RawSubject) || c.Subject != SubjectRequested || c.KeyUsage != want {
				t.Errorf("%v, contract %+v", p, c)
			}
		})
	}
}
