package acme

import (
	"slices"
	"strings"
)

// Limits of contacts (SL-9). An address has no more than 254 characters to be
// deliverable at all.
const (
	maxContacts      = 10
	maxContactLength = 254
)

const mailto = "mailto:"

// CheckContacts returns nil when every contact is an address that mail could
// reach. mailto is all there is (R8555-7.3-2); it may hold one address and no
// header fields (R8555-7.3-3). Whether the last label of the domain is
// registered is not asked: members may live in names of their own. Nor are the
// domains reserved for examples refused: nobody here writes to a contact by
// itself, and a first try with admin@example.org should not fail over it.
func CheckContacts(contacts []string) *Problem { return checkContacts(contacts, false) }

// checkContacts takes addresses at hosts of a single label where singleLabel says so.
func checkContacts(contacts []string, singleLabel bool) *Problem {
	if len(contacts) > maxContacts {
		return Problemf(InvalidContact, "there are %d contacts; at most %d are kept", len(contacts), maxContacts)
	}
	for _, contact := range contacts {
		scheme, address, found := strings.Cut(contact, ":")
		if found && !strings.EqualFold(scheme+":", mailto) && isScheme(scheme) { // R8555-7.3-4
			return Problemf(UnsupportedContact, "contacts of scheme %s are not supported; use %s", quote(scheme), mailto)
		}
		if why := contactFault(contact, address, found, singleLabel); why != "" { // R8555-7.3-5
			return Problemf(InvalidContact, "the contact %s is not usable: %s", quote(contact), why)
		}
	}
	return nil
}

// CheckContacts is the function of that name by the directory's own rule. A
// Security Server sends what its mail.yml has, and mail within an organization
// may go to root@mailhost: who could not register would not know why.
func (d Directory) CheckContacts(contacts []string) *Problem {
	if !d.PlainContacts {
		return CheckContacts(contacts)
	}
	contacts = slices.Clone(contacts)
	for i, c := range contacts {
		if c != "" && !strings.Contains(c, ":") {
			contacts[i] = mailto + c
		}
	}
	return checkContacts(contacts, true)
}

func contactFault(contact, address string, hasScheme, singleLabel bool) string {
	switch {
	case contact == "":
		return "it is empty"
	case !hasScheme:
		return "it has to start with " + mailto
	case len(address) > maxContactLength:
		return "its address is too long"
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "an address has only visible ASCII characters here; write its domain in A-labels"
	case strings.ContainsAny(address, "?#"):
		return "header fields and fragments are not allowed"
	case strings.ContainsRune(address, '%'):
		return "write the address without percent signs"
	case strings.ContainsAny(address, `,;:<>()[]"\`):
		return "give exactly one plain address"
	}
	local, domain, found := strings.Cut(address, "@")
	domain = lowerASCII(domain)
	switch {
	case !found || local == "" || strings.ContainsRune(domain, '@'):
		return "an address has the form name@domain"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "the dots before the @ are misplaced"
	}
	if why := nameFault(domain); why != "" {
		return "its domain is not a DNS name: " + why
	}
	if !singleLabel && !strings.ContainsRune(domain, '.') {
		return "its domain has a single label, which mail does not reach"
	}
	return ""
}

// isScheme reports whether s could be the scheme of a URI (RFC 3986, 3.1),
// rather than the start of something else that has a colon.
func isScheme(s string) bool {
	for i, c := range []byte(lowerASCII(s)) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}
