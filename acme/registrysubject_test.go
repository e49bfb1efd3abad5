package acme

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

var registryProfile = Profile{Name: "mainnet", Subject: SubjectRegistry, SubjectFrom: SubjectNames{Country: "country", State: "state", Locality: "city", Organization: "name"}}

func registryMember() *Member {
	return &Member{ID: "vasp-17", Name: "Example Exchange", Attributes: map[string]string{"country": "US", "state": "California", "city": "Menlo Park"}}
}

var registryNames = SubjectNames{Country: "US", State: "California", Locality: "Menlo Park", Organization: "Example Exchange"}

// TestSubjectForMember: what the registry does not have is not made up.
func TestSubjectForMember(t *testing.T) {
	t.Parallel()
	if got, p := SubjectFor(registryProfile, registryMember()); p != nil || got != registryNames {
		t.Errorf("%+v, %v", got, p)
	}
	for says, spoil := range map[string]func(*Member){
		"has no city":              func(m *Member) { delete(m.Attributes, "city") },
		"has no name":              func(m *Member) { m.Name = " " },
		"longer than 64":           func(m *Member) { m.Name = strings.Repeat("x", 65) },
		"spaces around":            func(m *Member) { m.Attributes["state"] = "California " },
		"not for print":            func(m *Member) { m.Attributes["state"] = "Cali\nfornia" },
		"with two capital letters": func(m *Member) { m.Attributes["country"] = "USA" },
	} {
		m := registryMember()
		spoil(m)
		if got, p := SubjectFor(registryProfile, m); p == nil || p.Type != Unauthorized || !strings.Contains(p.Detail, says) || got != (SubjectNames{}) {
			t.Errorf("%+v, %v; want %q", got, p, says)
		}
	}
	if _, p := SubjectFor(registryProfile, nil); p == nil || p.Type != Unauthorized {
		t.Errorf("an account without a member: %v", p)
	}
}

// TestRequestedNames: a CSR says of its member what the registry says, or less.
func TestRequestedNames(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"CN=a.example": "", "CN=a.example O=Example-Exchange": `O "Example-Exchange"`, "CN=a.example C=US": "", "C=DE": `C "DE"`, "CN=a.example serial=1": "does not have one",
	} {
		subject := subjectOf(text)
		subject.Names = subject.ExtraNames
		p := registryNames.CheckRequestedNames(subject)
		if (p == nil) != (says == "") || p != nil && (p.Type != BadCSR || !strings.Contains(p.Detail, says)) {
			t.Errorf("%s: %v, want %q", text, p, says)
		}
	}
}

// TestSubjectFromRegistry: nothing is delivered that says something else of the
// member than its registry.
func TestSubjectFromRegistry(t *testing.T) {
	t.Parallel()
	c := Contract{Subject: SubjectRegistry, Identifiers: names("a.example"), CommonName: "a.example", Names: registryNames}
	good := pkix.Name{Country: []string{"US"}, Province: []string{"California"}, Locality: []string{"Menlo Park"}, Organization: []string{"Example Exchange"}, CommonName: "a.example"}
	for name, tt := range map[string]struct {
		change func(*pkix.Name)
		ok     bool
	}{
		"as it should be":     {func(*pkix.Name) {}, true},
		"without common name": {func(n *pkix.Name) { n.CommonName = "" }, true},
		"another host":        {func(n *pkix.Name) { n.CommonName = "b.example" }, false},
		"another place":       {func(n *pkix.Name) { n.Locality[0] = "Elsewhere" }, false},
		"no place":            {func(n *pkix.Name) { n.Locality = nil }, false},
		"two organizations":   {func(n *pkix.Name) { n.Organization = append(n.Organization, "Example Exchange") }, false},
		"a unit":              {func(n *pkix.Name) { n.OrganizationalUnit = []string{"TRISA"} }, false},
		"other capitals":      {func(n *pkix.Name) { n.Organization[0] = "EXAMPLE EXCHANGE" }, false},
		"a serial number":     {func(n *pkix.Name) { n.SerialNumber = "1" }, false},
	} {
		subject := pkix.Name{
			Country: []string{good.Country[0]}, Province: []string{good.Province[0]}, Locality: []string{good.Locality[0]},
			Organization: []string{good.Organization[0]}, CommonName: good.CommonName,
		}
		tt.change(&subject)
		leaf := &x509.Certificate{}
		leaf.Subject.FillFromRDNSequence(new(subject.ToRDNSequence()))
		if err := checkLeafSubject(c, leaf); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What this server signs passes its own gate.
	der, err := registryNames.Encode("a.example")
	if err != nil {
		t.Fatal(err)
	}
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{}
	leaf.Subject.FillFromRDNSequence(&rdns)
	if err := checkLeafSubject(c, leaf); err != nil {
		t.Error(err)
	}
}
