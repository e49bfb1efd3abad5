package digicerttest

import (
	"net/http"
	"strings"
	"time"
)

func (ca *CA) user(c *call) {
	roles := []map[string]any{}
	for i, name := range ca.cfg.Roles {
		roles = append(roles, map[string]any{"id": i + 1, "name": name})
	}
	c.JSON(http.StatusOK, map[string]any{
		"id": 7, "username": "bridge", "account": map[string]any{"id": 42}, "status": "active", "is_admin": true, "access_roles": roles,
	})
}

func (ca *CA) listProducts(c *call) {
	list := []map[string]any{}
	for _, name := range ca.products {
		list = append(list, map[string]any{"group_name": "private_ssl_certificate", "name_id": name, "name": strings.ToUpper(name), "type": "private_ssl"})
	}
	c.JSON(http.StatusOK, map[string]any{"products": list})
}

func (ca *CA) hasProduct(name string) bool {
	for _, p := range ca.products {
		if p == name {
			return true
		}
	}
	return false
}

func (ca *CA) showProduct(c *call) {
	name := c.PathValue("id")
	if !ca.hasProduct(name) {
		c.fail(http.StatusNotFound, "not_found|product", "no such product")
		return
	}
	c.JSON(http.StatusOK, map[string]any{
		"name_id": name, "name": strings.ToUpper(name), "allowed_validity_years": []int{1}, "additional_dns_names_allowed": true,
		"signature_hash_types": map[string]any{"default_hash_type_id": "sha256", "allowed_hash_types": []map[string]string{{"id": "sha256"}, {"id": "sha384"}, {"id": "sha512"}}},
		"csr_required":         true, "duplicates_allowed": true,
	})
}

// stamp is how the service writes times.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

func (ca *CA) listOrganizations(c *call) {
	list := []map[string]any{}
	for _, o := range ca.organizations {
		row := map[string]any{"id": o.ID, "name": o.Name, "display_name": o.Name, "status": "active", "is_active": !o.Inactive, "container": map[string]any{"id": 1}}
		if c.URL.Query().Get("include_validation") == "true" {
			validations := []map[string]any{{"type": "ov", "name": "OV", "status": "active", "validated_until": stamp(ca.Time().AddDate(1, 0, 0))}}
			if !o.ValidUntil.IsZero() {
				status := "active"
				if !ca.Time().Before(o.ValidUntil) {
					status = "expired"
				}
				validations = append(validations, map[string]any{
					"type": "x9", "name": "X9 PKI", "description": "X9 PKI Organization Validation", "status": status, "validated_until": stamp(o.ValidUntil),
				})
			}
			row["validations"] = validations
		}
		list = append(list, row)
	}
	c.JSON(http.StatusOK, map[string]any{"organizations": list})
}

func (ca *CA) organization(id int64) *Organization {
	for i := range ca.organizations {
		if ca.organizations[i].ID == id {
			return &ca.organizations[i]
		}
	}
	return nil
}

func (ca *CA) listDomains(c *call) {
	list := []map[string]any{}
	for _, d := range ca.domains {
		row := map[string]any{"id": d.ID, "name": d.Name, "is_active": true, "organization": map[string]any{"id": d.Organization}}
		if c.URL.Query().Get("include_validation") == "true" && !d.ValidUntil.IsZero() {
			status := "active"
			if !ca.Time().Before(d.ValidUntil) {
				status = "expired"
			}
			row["validations"] = []map[string]any{{"type": "x9", "status": status, "validated_until": stamp(d.ValidUntil)}}
		}
		list = append(list, row)
	}
	from, to := window(c, len(list))
	c.JSON(http.StatusOK, map[string]any{"domains": list[from:to], "page": map[string]int{"total": len(list), "offset": from, "limit": to - from}})
}

func (ca *CA) metadata(c *call) {
	list := []map[string]any{{"id": 1, "label": "remark", "is_required": false, "is_active": true, "data_type": "text"}}
	for _, id := range ca.cfg.Required {
		list = append(list, map[string]any{"id": id, "label": "cost centre", "is_required": true, "is_active": true, "data_type": "text"})
	}
	c.JSON(http.StatusOK, map[string]any{"metadata": list})
}

// lacks is a field that the account wants and an order has not; zero when there
// is none.
func (ca *CA) lacks(b orderBody) int64 {
	for _, id := range ca.cfg.Required {
		found := false
		for _, f := range b.CustomFields {
			found = found || f.ID == id && f.Value != ""
		}
		if !found {
			return id
		}
	}
	return 0
}

// validated says whether everything of an order was looked at by the CA.
func (ca *CA) validated(o *order) bool {
	org := ca.organization(o.organization)
	if org == nil || org.Inactive || !ca.Time().Before(org.ValidUntil) {
		return false
	}
	names, _, _ := splitNames(append([]string{o.wish.commonName}, o.wish.names...))
	for _, name := range names {
		if !ca.domainValid(name, o.organization) {
			return false
		}
	}
	return true
}

func (ca *CA) domainValid(name string, organization int64) bool {
	for _, d := range ca.domains {
		if d.Organization == organization && (name == d.Name || strings.HasSuffix(name, "."+d.Name)) && ca.Time().Before(d.ValidUntil) {
			return true
		}
	}
	return false
}
