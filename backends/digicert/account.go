package digicert

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Roles are those of the user that the key belongs to.
func (c *Client) Roles(ctx context.Context) ([]string, error) {
	var me struct {
		Roles []struct{ Name string } `json:"access_roles"`
	}
	if err := c.get(ctx, "look at the user of the key", "user/me", nil, &me); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range me.Roles {
		names = append(names, r.Name)
	}
	return names, nil
}

// Products are the ids of what the account may order.
func (c *Client) Products(ctx context.Context) ([]string, error) {
	var list struct {
		Products []struct {
			ID string `json:"name_id"`
		}
	}
	if err := c.get(ctx, "list the products", "product", nil, &list); err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range list.Products {
		ids = append(ids, p.ID)
	}
	return ids, nil
}

// Approval is one that the CA gave to an organization or a domain.
type Approval struct {
	Type, Name, Description, Status string
	Until                           Moment `json:"validated_until"`
}

// Organization is one that certificates may be ordered for.
type Organization struct {
	ID          Number
	Name        string
	Status      string
	Active      *bool `json:"is_active"`
	Validations []Approval
}

// Organizations are those of the account, with their validations.
func (c *Client) Organizations(ctx context.Context) ([]Organization, error) {
	var list struct{ Organizations []Organization }
	err := c.get(ctx, "list the organizations", "organization", url.Values{"include_validation": {"true"}}, &list)
	return list.Organizations, err
}

// Domain is one that the account has.
type Domain struct {
	ID           Number
	Name         string
	Active       *bool `json:"is_active"`
	Organization Object[ID]
	Validations  []Approval
}

// Domains are those of the account, with their validations.
func (c *Client) Domains(ctx context.Context) (all []Domain, err error) {
	const limit = 1000
	for range maxPages {
		var page struct {
			Domains []Domain
			Page    Object[struct{ Total Number }]
		}
		query := url.Values{"include_validation": {"true"}, "limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(len(all))}}
		if err := c.get(ctx, "list the domains", "domain", query, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Domains...)
		total := int64(page.Page.Value.Total)
		if len(page.Domains) == 0 || int64(len(all)) >= total && (total > 0 || len(page.Domains) < limit) {
			break
		}
	}
	return all, nil
}

// Required are the numbers of the account's own fields that an order must have.
func (c *Client) Required(ctx context.Context) ([]int64, error) {
	var list struct {
		Metadata []struct {
			ID       Number
			Required bool  `json:"is_required"`
			Active   *bool `json:"is_active"`
		}
	}
	if err := c.get(ctx, "list the fields of orders", "account/metadata", nil, &list); err != nil {
		return nil, err
	}
	var ids []int64
	for _, m := range list.Metadata {
		if m.Required && (m.Active == nil || *m.Active) {
			ids = append(ids, int64(m.ID))
		}
	}
	return ids, nil
}

// good says whether an approval is in force at a time.
func (a Approval) good(now time.Time) bool {
	return a.Status != "expired" && a.Status != "pending" && (a.Until.IsZero() || now.Before(a.Until.Time))
}
