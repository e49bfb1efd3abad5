package sectigotest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"acmebridge/internal/standin"
)

func (ca *CA) profile(id int64) Profile {
	for _, p := range ca.tenant.Profiles {
		if p.ID == id {
			return p
		}
	}
	return Profile{}
}

func id(c *standin.Call) int64 {
	n, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (ca *CA) licenses(c *standin.Call) {
	c.JSON(http.StatusOK, map[string]int64{"ordered": ca.tenant.Ordered, "issued": ca.tenant.Issued})
}

func (ca *CA) allowed() []map[string]any {
	list := []map[string]any{}
	for _, p := range ca.tenant.Profiles {
		list = append(list, map[string]any{
			"id": p.AuthorityID, "ecosystemId": 100, "signerCertificateId": 0, "ecosystemName": "TRISA",
			"balance": ca.cfg.FieldBalance, "enabled": !p.Disabled, "profileId": p.ID, "profileName": p.Name,
		})
	}
	return list
}

func (ca *CA) authorities(c *standin.Call) { c.JSON(http.StatusOK, ca.allowed()) }

func (ca *CA) balance(c *standin.Call) {
	n, ok := ca.tenant.Balances[id(c)]
	if !ok {
		ca.fail(c, http.StatusNotFound, "Authority not found")
		return
	}
	c.JSON(http.StatusOK, n)
}

func (ca *CA) profiles(c *standin.Call) {
	list := []map[string]any{}
	for _, p := range ca.tenant.Profiles {
		list = append(list, map[string]any{"profileId": p.ID, "algorithms": p.Keys, "ca": "Stand-in Issuing CA"})
	}
	c.JSON(http.StatusOK, list)
}

func (ca *CA) showProfile(c *standin.Call) {
	p := ca.profile(id(c))
	if p.ID == 0 {
		ca.fail(c, http.StatusNotFound, "Profile not found")
		return
	}
	raw, _ := json.Marshal(map[string]any{"keys": p.Keys, "subject": p.Subject}) // strings only
	c.JSON(http.StatusOK, map[string]any{
		"profileName": p.Name, "profileId": p.ID, "rawProfileConfig": string(raw), "name": p.Name, "keyAlgorithmInfo": "RSA 2048-4096, EC P-256 P-384",
	})
}

func (ca *CA) params(c *standin.Call) {
	p := ca.profile(id(c))
	if p.ID == 0 {
		ca.fail(c, http.StatusNotFound, "Profile not found")
		return
	}
	c.JSON(http.StatusOK, append([]Param{}, p.Params...))
}

func (ca *CA) organization(c *standin.Call) {
	c.JSON(http.StatusOK, map[string]any{
		"organizationId": 7, "organizationName": "Example VASP", "address": "1 Example Street", "primaryContactName": "Alex Example",
		"primaryContactEmail": "alex@example.org", "primaryContactPhone": "+1 555 0100", "manufactureId": "M-7", "logo": "",
		"authorities": ca.allowed(), "ecosystemId": 100, "organizationParameters": map[string]string{"region": "EU"}, "orgStatus": "ACTIVE",
	})
}

// check holds the parameters of a request against the profile, and says what
// is wrong with them.
func (p Profile) check(scope string, given map[string]string) string {
	for _, want := range p.Params {
		if len(want.Scopes) > 0 && !slices.Contains(want.Scopes, scope) {
			continue
		}
		value, ok := given[want.Name]
		if !ok || value == "" {
			if want.Required && want.Value == nil {
				return "Parameter " + want.Name + " is required"
			}
			continue
		}
		if want.ValidationPattern == "" {
			continue
		}
		if pattern, err := regexp.Compile(want.ValidationPattern); err == nil && !pattern.MatchString(value) {
			return "Parameter " + want.Name + " is invalid: " + want.Message
		}
	}
	for name := range given {
		if !slices.ContainsFunc(p.Params, func(known Param) bool { return known.Name == name }) {
			return "Parameter " + name + " is unknown"
		}
	}
	return ""
}
