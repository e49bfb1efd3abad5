package digicert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// standing is what was last seen of the account, to save calls.
type standing struct {
	at           time.Time // zero never
	organization *Organization
	domains      []Domain
}

// standingAge is how long that is believed.
const standingAge = 10 * time.Minute

// What keeps an order from being placed, for an operator to see to. The orders
// wait meanwhile: none of it is a fault of theirs (SC-16).
var (
	errOrganization = errors.New("the organization cannot be ordered for")
	errDomain       = errors.New("a domain's validation has run out; renew it in CertCentral")
)

// notice is how long before the end of a validation Check begins to complain.
const notice = 30 * 24 * time.Hour

// account looks at organization and domains, now and then.
func (b *Backend) account(ctx context.Context, fresh bool) (standing, error) {
	now := b.cfg.Now()
	b.mu.Lock()
	known := b.ready
	b.mu.Unlock()
	if !fresh && !known.at.IsZero() && now.Sub(known.at) < standingAge {
		return known, nil
	}
	organizations, err := b.client.Organizations(ctx)
	if err != nil {
		return standing{}, err
	}
	known = standing{at: now}
	for i, o := range organizations {
		if int64(o.ID) == b.cfg.Organization {
			known.organization = &organizations[i]
		}
	}
	if known.domains, err = b.client.Domains(ctx); err != nil {
		return standing{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = known
	return known, nil
}

// forget has the account looked at anew.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = standing{}
}

// organizationAt says what is wrong with the organization at a time.
func (b *Backend) organizationAt(s standing, at time.Time) error {
	o := s.organization
	switch {
	case o == nil:
		return fmt.Errorf("%w: the account has none with the number %d", errOrganization, b.cfg.Organization)
	case o.Active != nil && !*o.Active, o.Status != "" && o.Status != "active":
		return fmt.Errorf("%w: %d is not active", errOrganization, b.cfg.Organization)
	}
	for _, v := range o.Validations {
		if b.fits(v) && v.good(at) {
			return nil
		}
	}
	return fmt.Errorf("%w: %d has no validation for %s that is good at %s; renew it in CertCentral", errOrganization, b.cfg.Organization, b.cfg.Product, at.Format(time.DateOnly))
}

// fits says whether a validation of an organization is the one that the product
// wants. How it is called is not documented, so a part of any of its names will
// do.
func (b *Backend) fits(v Approval) bool {
	want := strings.ToLower(b.cfg.Validation)
	return slices.ContainsFunc([]string{v.Type, v.Name, v.Description}, func(s string) bool { return strings.Contains(strings.ToLower(s), want) })
}

// domainAt says whether a name lies in a domain of the organization: known at
// all, and validated at a time.
func (b *Backend) domainAt(s standing, name string, at time.Time) (known, good bool) {
	for _, d := range s.domains {
		below := name == d.Name || strings.HasSuffix(name, "."+d.Name)
		owner := int64(d.Organization.Value.ID)
		if !below || d.Active != nil && !*d.Active || owner != 0 && owner != b.cfg.Organization || len(d.Validations) == 0 {
			continue
		}
		known = true
		if slices.ContainsFunc(d.Validations, func(v Approval) bool { return v.good(at) }) {
			return true, true
		}
	}
	return known, false
}

// mayOrder looks at everything that would leave an order lying at the CA.
// Before that is found out, nothing is paid for.
func (b *Backend) mayOrder(ctx context.Context, names []string) error {
	now := b.cfg.Now()
	s, err := b.account(ctx, false)
	if err != nil {
		return backends.NotSent(err)
	}
	if err := b.judge(s, names, now); err == nil {
		return nil
	}
	// What an operator has seen to meanwhile is not held against the order.
	if s, err = b.account(ctx, true); err != nil {
		return backends.NotSent(err)
	}
	return b.judge(s, names, now)
}

func (b *Backend) judge(s standing, names []string, now time.Time) error {
	if err := b.organizationAt(s, now); err != nil {
		return backends.NotSent(fmt.Errorf("digicert: %w", err))
	}
	if b.cfg.AnyDomain {
		return nil
	}
	for _, name := range names {
		switch known, good := b.domainAt(s, name, now); {
		case !known:
			return backends.Refused("the certificate authority has not validated a domain of this organization that "+name+" lies in", nil)
		case !good:
			return backends.NotSent(fmt.Errorf("digicert: %s: %w", name, errDomain))
		}
	}
	return nil
}

// Check implements backends.Checker: it looks at everything that an order will
// need, and a month ahead.
func (b *Backend) Check(ctx context.Context) error {
	roles, err := b.client.Roles(ctx)
	if errors.Is(err, caclient.ErrCredentials) {
		return fmt.Errorf("digicert: the API key was refused: it is wrong, or of another region: %w", err)
	}
	if err != nil {
		return err
	}
	if may := slices.Contains(roles, "Administrator") || slices.Contains(roles, "Manager"); !may && !b.cfg.WaitForApproval {
		return fmt.Errorf("digicert: the user of the API key is %s; without the role Administrator orders and revocations wait for one", or(strings.Join(roles, ", "), "without a role"))
	}
	products, err := b.client.Products(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(products, b.cfg.Product) {
		return fmt.Errorf("digicert: the product %s is not switched on for the account, which has %s; ask the account manager", b.cfg.Product, or(strings.Join(products, ", "), "none"))
	}
	s, err := b.account(ctx, true)
	if err != nil {
		return err
	}
	soon := b.cfg.Now().Add(notice)
	if err := b.organizationAt(s, soon); err != nil {
		return fmt.Errorf("digicert: %w", err)
	}
	for _, name := range b.cfg.Domains {
		if _, good := b.domainAt(s, name, soon); !good {
			return fmt.Errorf("digicert: the domain %s has no validation that is good until %s", name, soon.Format(time.DateOnly))
		}
	}
	required, err := b.client.Required(ctx)
	if err != nil {
		return err
	}
	for _, id := range required {
		if !slices.ContainsFunc(b.cfg.CustomFields, func(f Field) bool { return f.ID == id }) {
			return fmt.Errorf("digicert: the account wants its field %d in each order; give a value for it", id)
		}
	}
	return nil
}
