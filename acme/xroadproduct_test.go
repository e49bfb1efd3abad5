package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestXRoadProductID reads what Security Servers send, and what others might.
func TestXRoadProductID(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"profile_id=auth X-Road/7.8.0 acme4j/3.5.1 Java/21.0.9": "auth",
		"profile_id=null X-Road/7.8.0 acme4j/3.5.1 Java/21.0.9": "",
		"profile_id= X-Road/7.8.0 acme4j/3.5.1 Java/21.0.9":     "",
		"profile_id X-Road/7.8.0":                               "",
		"acme4j/3.5.1 Java/21.0.9":                              "",
		"":                                                      "",
		"X-Road/7.8.0 profile_id=a=b profile_id=c":              "a=b",
		"profile_id=caf\u00e9":                                  "",
		"profile_id=a\x01b":                                     "",
		"profile_id=" + fmt.Sprintf("%0101d", 0):                "",
	} {
		if got := XRoadProductID(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// TestChooseXRoad: the key comes first, then the CSR, and the profile id selects
// among what they leave.
func TestChooseXRoad(t *testing.T) {
	t.Parallel()
	profile := func(name ProfileName, usage XRoadUsage, id string) Profile {
		return Profile{Name: name, XRoad: XRoadRule{Usage: usage, Subject: XRoadBasic, ProfileID: id}}
	}
	all := []Profile{
		profile("auth", XRoadAuth, ""), profile("auth-gold", XRoadAuth, "gold"), profile("sign", XRoadSign, ""), profile("sign-gold", XRoadSign, "gold"),
		profile("sign-silver", XRoadSign, "silver"), {Name: "tls"},
	}
	auth, sign := csrFor(t, 0xb0), csrFor(t, 0x44)
	for _, tt := range []struct {
		name, current, key, id, remembered string
		csr                                CSR
		want                               string
		unknown                            bool
		refused                            string
	}{
		{name: "nothing said", current: "auth", key: "auth auth-gold", csr: auth, want: "auth"},
		{name: "by id", current: "auth", key: "auth auth-gold", id: "gold", csr: auth, want: "auth-gold"},
		{name: "by the profile's name", current: "auth-gold", key: "auth auth-gold", id: "auth", csr: auth, want: "auth"},
		{name: "one id for both usages", current: "auth", key: "auth auth-gold sign sign-gold", id: "gold", csr: sign, want: "sign-gold"},
		{name: "an id of another CA on the host", current: "auth", key: "auth", id: "platinum", csr: auth, want: "auth", unknown: true},
		{name: "of a profile that is not X-Road's", current: "auth", key: "auth tls", id: "tls", csr: auth, want: "auth", unknown: true},
		{name: "beyond the key", current: "auth", key: "auth", id: "gold", csr: auth, refused: "does not allow"},
		{name: "of the other usage", current: "auth", key: "auth auth-gold sign sign-silver", id: "silver", csr: auth, refused: "not for auth certificates"},
		{name: "of the other usage, and beyond the key", current: "sign", key: "sign", id: "auth", csr: sign, refused: "not for sign certificates"},
		{name: "one key for both, by CSR", current: "auth", key: "auth sign sign-gold", csr: sign, want: "sign"},
		{name: "one key for both, what was remembered", current: "auth", key: "auth sign sign-gold", remembered: "sign-gold", csr: sign, want: "sign-gold"},
		{name: "what was remembered and the key does not allow", current: "auth", key: "auth sign", remembered: "sign-gold", csr: sign, want: "sign"},
		{name: "one key for both, and an id", current: "auth", key: "auth sign sign-silver", id: "silver", csr: sign, want: "sign-silver"},
		{name: "the key has the first word", current: "auth", key: "auth auth-gold", csr: sign, want: "auth"}, // and CheckCSR the last
		{name: "a CSR that does not say", current: "sign", key: "auth sign", csr: csrFor(t, 0), want: "sign"},
		{name: "a CSR that says both", current: "sign", key: "auth sign", csr: csrFor(t, 0xc0), want: "sign"},
		{name: "what the key does not allow any more", current: "auth", key: "sign", csr: auth, want: "auth"}, // and is refused
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fields := func(s string) (names []ProfileName) {
				for p := range all {
					if slices.Contains(strings.Fields(s), string(all[p].Name)) {
						names = append(names, all[p].Name)
					}
				}
				return names
			}
			current := all[slices.IndexFunc(all, func(p Profile) bool { return string(p.Name) == tt.current })]
			got, known, p := ChooseXRoad(current, XRoadWish{
				Offered: all, Allowed: func(n ProfileName) bool { return slices.Contains(fields(tt.key), n) }, Remembered: fields(tt.remembered), ID: tt.id,
			}, tt.csr)
			if tt.refused != "" {
				if p == nil || p.Type != Unauthorized || !strings.Contains(p.Detail, tt.refused) {
					t.Errorf("got %v, want %q", p, tt.refused)
				}
				return
			}
			if p != nil || string(got.Name) != tt.want || known == tt.unknown {
				t.Errorf("got %s, known %t, %v", got.Name, known, p)
			}
		})
	}
}

// TestRemember keeps one profile for each usage, and forgets those that are gone.
func TestRemember(t *testing.T) {
	t.Parallel()
	profiles := map[ProfileName]Profile{}
	for name, usage := range map[ProfileName]XRoadUsage{"a": XRoadAuth, "b": XRoadAuth, "s": XRoadSign} {
		profiles[name] = Profile{Name: name, XRoad: XRoadRule{Usage: usage}}
	}
	before := []ProfileName{"gone", "a"}
	account := Account{Products: before}
	for _, step := range []struct {
		name    ProfileName
		changed bool
		want    []ProfileName
	}{{"s", true, []ProfileName{"a", "s"}}, {"s", false, []ProfileName{"a", "s"}}, {"b", true, []ProfileName{"s", "b"}}} {
		if changed := account.Remember(profiles[step.name], profiles); changed != step.changed || !slices.Equal(account.Products, step.want) {
			t.Errorf("after %s: %v, %t", step.name, account.Products, changed)
		}
	}
	if before[0] != "gone" || before[1] != "a" {
		t.Errorf("the record that it came from has become %v", before)
	}
}

func csrFor(t *testing.T, keyUsage byte) CSR {
	t.Helper()
	template := x509.CertificateRequest{DNSNames: []string{"ss1.example.org"}}
	if keyUsage != 0 {
		template.ExtraExtensions = []pkix.Extension{{Id: oidKeyUsage, Value: []byte{0x03, 0x02, 0x00, keyUsage}}}
	}
	csr, p := ParseCSR(newCSR(t, testKey(), template))
	if p != nil {
		t.Fatal(p)
	}
	return csr
}
