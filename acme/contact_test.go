package acme

import (
	"slices"
	"strings"
	"testing"
)

// TestCheckContacts has the vectors listed in the checklist under A.9
// (R8555-7.3-2).
func TestCheckContacts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		contacts []string
		want     ProblemType // empty: accepted
		why      string
	}{
		{"none", nil, "", ""},
		{"one", []string{"mailto:person@mail.net"}, "", ""},
		{"two", []string{"mailto:person@mail.net", "mailto:other+tag@MAIL.net"}, "", ""},
		{"scheme in capitals", []string{"MAILTO:person@mail.net"}, "", ""},
		{"A-label", []string{"mailto:person@xn--bcher-kva.net"}, "", ""},
		{"unknown TLD is a switch", []string{"mailto:person@mail.member-network"}, "", ""},
		{"ten", slices.Repeat([]string{"mailto:person@mail.net"}, 10), "", ""},
		{"SL-9 too many", slices.Repeat([]string{"mailto:person@mail.net"}, 11), InvalidContact, "at most 10"},
		{"SL-9 too long", []string{"mailto:" + strings.Repeat("a", 246) + "@mail.net"}, InvalidContact, "too long"},
		{"longest", []string{"mailto:" + strings.Repeat("a", 245) + "@mail.net"}, "", ""},
		{"empty", []string{"mailto:person@mail.net", ""}, InvalidContact, "empty"},
		{"R8555-7.3-4 foreign scheme", []string{"tel:+1-201-555-0123"}, UnsupportedContact, "use mailto:"},
		{"R8555-7.3-4 URL", []string{"https://mail.net/me"}, UnsupportedContact, "use mailto:"},
		{"no scheme", []string{"person@mail.net"}, InvalidContact, "start with mailto:"},
		{"nothing after the scheme", []string{"mailto:"}, InvalidContact, "name@domain"},
		{"no @", []string{"mailto:mail.net"}, InvalidContact, "name@domain"},
		{"no name", []string{"mailto:@mail.net"}, InvalidContact, "name@domain"},
		{"no domain", []string{"mailto:person@"}, InvalidContact, "empty"},
		{"two @", []string{"mailto:a@b@mail.net"}, InvalidContact, "name@domain"},
		{"not ASCII", []string{"mailto:señor@mail.net"}, InvalidContact, "ASCII"},
		{"domain not ASCII", []string{"mailto:me@bücher.net"}, InvalidContact, "A-labels"},
		{"control character", []string{"mailto:a\nb@mail.net"}, InvalidContact, "visible"},
		{"R8555-7.3-3 list", []string{"mailto:a@mail.net,b@mail.net"}, InvalidContact, "exactly one"},
		{"R8555-7.3-3 header field", []string{"mailto:a@mail.net?subject=x"}, InvalidContact, "header fields"},
		{"bare ?", []string{"mailto:a@mail.net?"}, InvalidContact, "header fields"},
		{"fragment", []string{"mailto:a@mail.net#x"}, InvalidContact, "fragments"},
		{"bare #", []string{"mailto:a@mail.net#"}, InvalidContact, "fragments"},
		{"percent", []string{"mailto:a%40mail.net"}, InvalidContact, "percent"},
		{"display name", []string{"mailto:Me <a@mail.net>"}, InvalidContact, "visible"},
		{"a domain for examples", []string{"mailto:a@mail.Example.net"}, "", ""},
		{"localhost", []string{"mailto:a@localhost"}, InvalidContact, "single label"},
		{"IP domain", []string{"mailto:a@192.0.2.1"}, InvalidContact, "IP address"},
		{"bracketed IP", []string{"mailto:a@[192.0.2.1]"}, InvalidContact, "plain"},
		{"trailing dot", []string{"mailto:a@mail.net."}, InvalidContact, "dot"},
		{"dot in front", []string{"mailto:.a@mail.net"}, InvalidContact, "misplaced"},
		{"underscore domain", []string{"mailto:a@b_c.net"}, InvalidContact, "underscore"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, CheckContacts(tt.contacts), tt.want, tt.why)
		})
	}
}

// TestPlainContacts: a directory for X-Road takes the address as it stands in
// mail.yml, at a host of a single label as well, and nothing else that
// CheckContacts refuses (R8555-7.3-4).
func TestPlainContacts(t *testing.T) {
	t.Parallel()
	plain := Directory{PlainContacts: true}
	sent := []string{"person@mail.net", "mailto:person@mail.net", "root@mailhost", "mailto:root@localhost"}
	if p := plain.CheckContacts(sent); p != nil || sent[0] != "person@mail.net" {
		t.Errorf("%q: %v", sent, p)
	}
	if p := (Directory{}).CheckContacts(sent); p == nil || p.Type != InvalidContact {
		t.Errorf("without the rule: %v, want invalidContact", p)
	}
	if p := (Directory{}).CheckContacts([]string{"mailto:root@mailhost"}); p == nil || p.Type != InvalidContact {
		t.Errorf("a single label without the rule: %v, want invalidContact", p)
	}
	for bad, want := range map[string]ProblemType{
		"": InvalidContact, "mail.net": InvalidContact, "a@mail.net,b@mail.net": InvalidContact, "person@": InvalidContact,
		"a@192.0.2.1": InvalidContact, "tel:+1-201-555-0123": UnsupportedContact,
	} {
		if p := plain.CheckContacts([]string{bad}); p == nil || p.Type != want {
			t.Errorf("%q: %v, want %s", bad, p, want)
		}
	}
}
