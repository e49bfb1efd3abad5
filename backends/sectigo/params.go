package sectigo

import (
	"fmt"
	"slices"
	"strings"

	"acmebridge/acme"
)

// Placeholders are what a parameter may have in place of a value: what the
// registry says of the member that an order is for.
func Placeholders() []string {
	return []string{"{country}", "{state}", "{locality}", "{organization}", "{unit}"}
}

// Placeholder reports whether a parameter is taken from the registry.
func Placeholder(value string) bool { return slices.Contains(Placeholders(), value) }

// params are what goes along with a request. A value that is missing is not made
// up, and is not left to whatever the CA puts there (2.3).
func (b *Backend) params(c acme.Contract) (map[string]string, error) {
	if len(b.cfg.Params) == 0 {
		return nil, nil
	}
	known := map[string]string{
		"{country}": c.Names.Country, "{state}": c.Names.State, "{locality}": c.Names.Locality,
		"{organization}": c.Names.Organization, "{unit}": c.Names.Unit,
	}
	params := map[string]string{}
	for name, value := range b.cfg.Params {
		if Placeholder(value) {
			if value = known[value]; value == "" {
				return nil, fmt.Errorf("sectigo: the parameter %s is to be the %s of the member, which profile %s does not take from the registry", name, strings.Trim(b.cfg.Params[name], "{}"), c.Profile)
			}
		}
		params[name] = value
	}
	return params, nil
}
