package config

import (
	"strings"

	"acmebridge/acme"
)

// checkSubjectFrom wants a subject from the registry to say where it comes from,
// and whatever takes something from it to find it there.
func checkSubjectFrom(c *Config, p Profile, key string, r *report) {
	from := acme.SubjectNames(p.SubjectFrom)
	switch {
	case p.Subject == acme.SubjectRegistry && from == (acme.SubjectNames{}):
		r.add(key+".subject_from", "is missing; it says where in the record of a member the subject comes from, for example {organization: name}")
	case p.Subject != acme.SubjectRegistry && from != (acme.SubjectNames{}):
		r.add(key+".subject_from", "has no effect without subject: registry")
	}
	b := c.Backends[p.Backend]
	if b.Type != TypeSectigo {
		return
	}
	has := map[string]string{"{country}": from.Country, "{state}": from.State, "{locality}": from.Locality, "{organization}": from.Organization, "{unit}": from.Unit}
	for i, entry := range b.Sectigo.Params {
		_, value, _ := strings.Cut(entry, "=")
		if source, placeholder := has[value]; placeholder && source == "" {
			r.add(at("backends."+p.Backend+".params", i), "%s is what the registry says of the member, and profiles.%s does not take it from there: give it subject: registry and subject_from", value, strings.TrimPrefix(key, "profiles."))
		}
	}
}
