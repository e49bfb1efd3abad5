package extension_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"acmebridge/backends/ib1/extension"
)

const (
	perseus   = "https://registry.core.trust.ib1.org/scheme/perseus/role/"
	energy    = perseus + "energy-data-provider"
	carbon    = perseus + "carbon-accounting-provider"
	financial = perseus + "financial-service-provider"
	auditor   = "https://registry.core.trust.ib1.org/scheme/example/role/auditor"
)

// TestGolden holds the encoder and the decoder against bytes that were made
// without them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		roles  []string
		length int
		prefix string // hex
		sum    string // SHA-256, hex
	}{
		{"one", []string{"https://a.example/r"}, 23, "30150c1368747470733a2f2f612e6578616d706c652f72", ""},
		{"as in a certificate in use", []string{energy}, 80,
			"304e0c4c68747470733a2f2f72656769737472792e636f72652e74727573742e6962312e6f72672f736368656d652f706572736575732f726f6c652f656e657267792d646174612d70726f7669646572", ""},
		{"two, length in the long form", []string{financial, auditor}, 152, "3081950c52687474", ""},
		{"four, length of two octets", []string{energy, carbon, financial, auditor}, 315, "308201370c4c6874",
			"16193e7e3461dc89b904d289bd0fe68d325787b6bd3f67075e0621a3ec5bba84"},
		{"of the golden chain", []string{
			"https://registry.core.trust.ib1.org/scheme/energy/role/data-provider",
			"https://registry.core.trust.ib1.org/scheme/energy/role/auditor"}, 137, "3081860c44",
			"e06f412b21b9f0fd957c3134e62b77d4e81d21923f0df6540922892fa2cc4cc3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			der, err := extension.MarshalRoles(tt.roles)
			if err != nil {
				t.Fatal(err)
			}
			if len(der) != tt.length || !strings.HasPrefix(hex.EncodeToString(der), tt.prefix) {
				t.Errorf("%d octets %x, want %d that start with %s", len(der), der, tt.length, tt.prefix)
			}
			if sum := sha256.Sum256(der); tt.sum != "" && hex.EncodeToString(sum[:]) != tt.sum {
				t.Errorf("SHA-256 %x, want %s", sum, tt.sum)
			}
			if got, err := extension.ParseRoles(der); err != nil || !slices.Equal(got, tt.roles) {
				t.Errorf("read back as %q, %v", got, err)
			}
		})
	}
	for member, want := range map[string]string{
		"https://directory.core.trust.ib1.org/member/2876152": "0c3368747470733a2f2f6469726563746f72792e636f72652e74727573742e6962312e6f72672f6d656d6265722f32383736313532",
		"https://directory.core.trust.ib1.org/m/827252":       "0c2d68747470733a2f2f6469726563746f72792e636f72652e74727573742e6962312e6f72672f6d2f383237323532",
	} {
		der, err := extension.MarshalMember(member)
		if err != nil || hex.EncodeToString(der) != want {
			t.Errorf("%s: %x, %v", member, der, err)
		}
		if got, err := extension.ParseMember(der); err != nil || got != member {
			t.Errorf("%s: read back as %q, %v", member, got, err)
		}
	}
	for want, oid := range map[string]asn1.ObjectIdentifier{
		"060a2b0601040183e6790101": extension.RolesOID(), "060a2b0601040183e6790103": extension.MemberOID(),
	} {
		if der, err := asn1.Marshal(oid); err != nil || hex.EncodeToString(der) != want {
			t.Errorf("%s: %x, %v", oid, der, err)
		}
	}
}

func TestParseRolesRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, der string
		class     error
		form      error
	}{
		{"PrintableString", "30151313" + hexOf("https://a.example/r"), extension.ErrRolesMalformed, extension.ErrStringType},
		{"IA5String", "30151613" + hexOf("https://a.example/r"), extension.ErrRolesMalformed, extension.ErrStringType},
		{"one of two is no UTF8String", "30060c0161130162", extension.ErrRolesMalformed, extension.ErrStringType},
		{"no role", "3000", extension.ErrRolesEmpty, nil},
		{"no sequence around it", "0c13" + hexOf("https://a.example/r"), extension.ErrRolesMalformed, extension.ErrStructure},
		{"a set", "31030c0161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"trailing octet", "30030c016100", extension.ErrRolesMalformed, extension.ErrTrailing},
		{"trailing octet inside", "30040c016100", extension.ErrRolesMalformed, extension.ErrStructure},
		{"role of no length", "30020c00", extension.ErrRolesMalformed, extension.ErrEmptyString},
		{"not UTF-8", "30030c01ff", extension.ErrRolesMalformed, extension.ErrUTF8},
		{"string in pieces", "30052c030c0161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"length not minimal", "3081030c0161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"length inside not minimal", "30040c810161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"indefinite length", "30800c01610000", extension.ErrRolesMalformed, extension.ErrStructure},
		{"context tag", "3003 8c0161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"sequence in sequence", "300530030c0161", extension.ErrRolesMalformed, extension.ErrStructure},
		{"cut off", "30150c13687474", extension.ErrRolesMalformed, extension.ErrStructure},
		{"nothing", "", extension.ErrRolesMalformed, extension.ErrStructure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			roles, err := extension.ParseRoles(unhex(t, tt.der))
			if roles != nil || !errors.Is(err, tt.class) || (tt.form != nil && !errors.Is(err, tt.form)) {
				t.Errorf("%q, %v", roles, err)
			}
		})
	}
}

func TestParseMemberRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, der string
		form      error
	}{
		{"PrintableString", "1313" + hexOf("https://a.example/r"), extension.ErrStringType},
		{"sequence", "30150c13" + hexOf("https://a.example/r"), extension.ErrStructure},
		{"trailing octet", "0c13" + hexOf("https://a.example/r") + "00", extension.ErrTrailing},
		{"twice", "0c13" + hexOf("https://a.example/r") + "0c13" + hexOf("https://a.example/r"), extension.ErrTrailing},
		{"no length", "0c00", extension.ErrEmptyString},
		{"http", "0c12" + hexOf("http://a.example/r"), extension.ErrURL},
		{"no host", "0c0a" + hexOf("https:///r"), extension.ErrURL},
		{"port and no host", "0c0d" + hexOf("https://:443/"), extension.ErrURL},
		{"no URL", "0c03" + hexOf("m12"), extension.ErrURL},
		{"a space", "0c14" + hexOf("https://a.example/ r"), extension.ErrURL},
		{"not UTF-8", "0c01ff", extension.ErrUTF8},
		{"nothing", "", extension.ErrStructure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			member, err := extension.ParseMember(unhex(t, tt.der))
			if member != "" || !errors.Is(err, extension.ErrMemberMalformed) || !errors.Is(err, tt.form) {
				t.Errorf("%q, %v", member, err)
			}
		})
	}
}

// What we would not read, or would not want others to, is not written.
func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		roles []string
		want  error
	}{
		{"none", nil, extension.ErrRolesEmpty},
		{"no URL", []string{"auditor"}, extension.ErrURL},
		{"empty", []string{auditor, ""}, extension.ErrEmptyString},
		{"twice", []string{auditor, energy, auditor}, extension.ErrRepeated},
		{"beyond ASCII", []string{"https://a.example/ü"}, extension.ErrURL},
		{"fragment", []string{"https://a.example/#r"}, extension.ErrURL},
		{"user", []string{"https://u@a.example/"}, extension.ErrURL},
	} {
		if der, err := extension.MarshalRoles(tt.roles); der != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %x, %v", tt.name, der, err)
		}
	}
	if der, err := extension.MarshalMember("http://directory.example/m/1"); der != nil || !errors.Is(err, extension.ErrURL) {
		t.Errorf("member: %x, %v", der, err)
	}
}

func TestFromExtensions(t *testing.T) {
	t.Parallel()
	want := extension.Values{Roles: []string{energy, auditor}, Member: "https://directory.core.trust.ib1.org/m/827252"}
	both, err := want.Extensions()
	if err != nil {
		t.Fatal(err)
	}
	other := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 2}, Critical: true, Value: both[1].Value}
	roles, member := both[0], both[1]
	if roles.Critical || member.Critical {
		t.Error("an extension is critical")
	}
	got, err := extension.FromExtensions([]pkix.Extension{other, member, roles})
	if err != nil || got.Member != want.Member || !slices.Equal(got.Roles, want.Roles) {
		t.Errorf("%+v, %v", got, err)
	}
	critical := func(e pkix.Extension) pkix.Extension { e.Critical = true; return e }
	for _, tt := range []struct {
		name string
		all  []pkix.Extension
		want []error
	}{
		{"no member, as in the generation before", []pkix.Extension{roles, other}, []error{extension.ErrMemberMissing}},
		{"no roles", []pkix.Extension{member}, []error{extension.ErrRolesMissing}},
		{"member twice", []pkix.Extension{member, roles, member}, []error{extension.ErrMemberMalformed, extension.ErrRepeated}},
		{"roles twice", []pkix.Extension{member, roles, roles}, []error{extension.ErrRolesMalformed, extension.ErrRepeated}},
		{"critical member", []pkix.Extension{critical(member), roles}, []error{extension.ErrMemberMalformed, extension.ErrCritical}},
		{"critical roles", []pkix.Extension{member, critical(roles)}, []error{extension.ErrRolesMalformed, extension.ErrCritical}},
		{"exchanged", []pkix.Extension{{Id: extension.MemberOID(), Value: roles.Value}, {Id: extension.RolesOID(), Value: member.Value}},
			[]error{extension.ErrMemberMalformed, extension.ErrStructure}},
	} {
		got, err := extension.FromExtensions(tt.all)
		for _, want := range tt.want {
			if !errors.Is(err, want) || got.Roles != nil || got.Member != "" {
				t.Errorf("%s: %+v, %v, want %v", tt.name, got, err, want)
			}
		}
	}
}

// Roles that others issued need not be URLs, nor differ.
func TestRolesAreOpaque(t *testing.T) {
	t.Parallel()
	got, err := extension.ParseRoles(unhex(t, "30060c01610c0161"))
	if err != nil || !slices.Equal(got, []string{"a", "a"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzParseRoles: there is one encoding, so what is read has been written so.
func FuzzParseRoles(f *testing.F) {
	for _, seed := range []string{"3000", "30030c0161", "30060c01610c0162", "30151313", "3081950c", "30800c01610000", "30020c00"} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	if der, err := extension.MarshalRoles([]string{energy, carbon, financial, auditor}); err == nil {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		roles, err := extension.ParseRoles(der)
		if err != nil {
			if roles != nil || (!errors.Is(err, extension.ErrRolesMalformed) && !errors.Is(err, extension.ErrRolesEmpty)) {
				t.Fatalf("%q, %v", roles, err)
			}
			return
		}
		var again []asn1.RawValue
		for _, role := range roles {
			if role == "" {
				t.Fatal("an empty role")
			}
			again = append(again, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(role)})
		}
		if back, err := asn1.Marshal(again); err != nil || !bytes.Equal(back, der) {
			t.Fatalf("%x was read and is written as %x, %v", der, back, err)
		}
	})
}

// FuzzParseMember: the same, and what is read could have been written by us.
func FuzzParseMember(f *testing.F) {
	f.Add([]byte("\x0c\x13https://a.example/r"))
	f.Add([]byte("\x13\x13https://a.example/r"))
	f.Add([]byte("\x0c\x00"))
	f.Fuzz(func(t *testing.T, der []byte) {
		member, err := extension.ParseMember(der)
		if err != nil {
			if member != "" || !errors.Is(err, extension.ErrMemberMalformed) {
				t.Fatalf("%q, %v", member, err)
			}
			return
		}
		if back, err := extension.MarshalMember(member); err != nil || !bytes.Equal(back, der) {
			t.Fatalf("%x was read and is written as %x, %v", der, back, err)
		}
	})
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
