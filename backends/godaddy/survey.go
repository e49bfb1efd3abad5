package godaddy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// aboutIssued is the group of facts that the newest certificate shows. Nobody can
// choose them, so that is where a change of the CA's can be seen.
const aboutIssued = "issued"

const (
	// surveyPages bounds how many orders a look reads: a key may ask once in a
	// second, and orders wait for the first look.
	surveyPages = 4
	// surveyAsks bounds, for the same reason, how many certificates it asks for their
	// product.
	surveyAsks = 5
	// overdue is how old an order is when somebody should look what it waits for.
	overdue = 3 * 24 * time.Hour
	// about is how near to the cut-off a certificate may be either.
	about = 7 * 24 * time.Hour
)

// Survey implements backends.Surveyor (SC-13, SC-19): whether the key is let in, and
// what the orders of the account show. Credits cannot be asked for, and no order
// bears a mark of ours.
func (b *Backend) Survey(ctx context.Context) (backends.Survey, error) {
	s := backends.Survey{Subject: fmt.Sprintf("%s shopper %d %s %s", b.client.root, b.cfg.Shopper, b.cfg.Product, b.cfg.RootType), Facts: map[string]string{}}
	customer, err := b.client.Customer(ctx, b.cfg.Shopper)
	if err == nil {
		b.mu.Lock()
		b.customer = customer
		b.mu.Unlock()
	}
	var orders []Certificate
	if err == nil {
		_, err = b.client.walk(ctx, customer, surveyPages, func(row Certificate) (bool, error) {
			orders = append(orders, row)
			return false, nil
		})
	}
	switch {
	case errors.Is(err, caclient.ErrForbidden):
		s.Unseen = append(s.Unseen, aboutIssued)
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingOther,
			Text: "the key may not list the orders of the account, so an order whose reply is lost waits for a person, and nothing can be revoked: give it that right",
		})
		return s, nil
	case errors.Is(err, caclient.ErrNotFound):
		s.Unseen = append(s.Unseen, aboutIssued)
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingProfile, Stops: backends.StopAll,
			Text: fmt.Sprintf("shopper %d is unknown to the CA, so nothing that is ordered could be found again: correct shopper_id", b.cfg.Shopper),
		})
		return s, nil
	case err != nil:
		return s, err
	}
	s.Findings = append(s.Findings, b.unfinished(orders)...)
	return s, b.newest(ctx, orders, &s)
}

// unfinished finds orders that somebody has to see to at the CA.
func (b *Backend) unfinished(orders []Certificate) []backends.Finding {
	var old, strange []string
	for _, row := range orders {
		status := strings.ToUpper(row.Status)
		line := fmt.Sprintf("%s for %s, %s", row.ID, caclient.Printable(row.CommonName), caclient.Printable(status))
		switch {
		case !slices.Contains(statuses(), status):
			strange = append(strange, line)
		case !strings.HasPrefix(status, "PENDING_"), row.Created.IsZero(), b.cfg.Now().Sub(row.Created.Time) < overdue:
		default:
			old = append(old, line+" since "+row.Created.UTC().Format(time.DateOnly))
		}
	}
	var found []backends.Finding
	for text, lines := range map[string][]string{
		"not finished after three days; is the domain's TXT record or file in place that the CA wants?": old,
		"in a state that nobody here has heard of; look at them in the account":                         strange,
	} {
		const shown = 3
		if n := len(lines); n > 0 {
			found = append(found, backends.Finding{
				Kind: backends.FindingOther, Text: fmt.Sprintf("orders at the CA are %s (%d: %s)", text, n, strings.Join(lines[:min(n, shown)], "; ")),
			})
		}
	}
	slices.SortFunc(found, func(x, y backends.Finding) int { return strings.Compare(x.Text, y.Text) })
	return found
}

// statuses are the words that orders have.
func statuses() []string {
	return []string{"PENDING_ISSUANCE", "ISSUED", "PENDING_REKEY", "PENDING_REVOCATION", "REVOKED", "CANCELED", "DENIED", "EXPIRED", "UNUSED"}
}

// newest looks at the latest certificate of the product: where it leads to, and what
// it is for.
func (b *Backend) newest(ctx context.Context, orders []Certificate, s *backends.Survey) error {
	latest, err := b.latest(ctx, orders)
	if err != nil {
		return err
	}
	if latest.ID == "" {
		s.Unseen = append(s.Unseen, aboutIssued)
		return nil
	}
	leaf, upper, err := b.client.Download(ctx, latest.ID)
	if err != nil {
		return err
	}
	root := b.rootOf(leaf, upper)
	s.Facts[aboutIssued+"/root"] = caclient.Fact(root)
	if root == noRoot {
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingProfile,
			Text: fmt.Sprintf("the newest certificate of the product, %s, is issued by %q, which leads to no certificate in roots_file: compare it with GoDaddy, and add its root",
				latest.ID, caclient.Printable(leaf.Issuer.String())),
		})
	}
	is := usagesOf(leaf)
	const expected = "those of the day"
	s.Facts[aboutIssued+"/usages"] = expected
	if !b.expected(leaf, is) {
		s.Facts[aboutIssued+"/usages"] = is
		s.Findings = append(s.Findings, backends.Finding{
			Kind: backends.FindingProfile,
			Text: fmt.Sprintf("the newest certificate of the product, %s of %s, is for %s, and server_only_from says otherwise: correct it, or what is ordered is paid for and not delivered",
				latest.ID, leaf.NotBefore.UTC().Format(time.DateOnly), is),
		})
	}
	return nil
}

// latest is the latest certificate that is known to be of the product; it has no id
// when none is. The list need not say of what product a certificate is, so it is
// asked for by itself then. One that does not say so either is passed over: it may
// be for signing code, and what it is for would be taken for a change (SC-19).
func (b *Backend) latest(ctx context.Context, orders []Certificate) (Certificate, error) {
	issued := slices.DeleteFunc(slices.Clone(orders), func(row Certificate) bool { return !strings.EqualFold(row.Status, "ISSUED") })
	slices.SortStableFunc(issued, func(x, y Certificate) int { return y.Created.Compare(x.Created.Time) })
	asked := 0
	for _, row := range issued {
		if row.Product == "" {
			if asked == surveyAsks {
				break
			}
			asked++
			got, err := b.client.Certificate(ctx, row.ID)
			if err != nil {
				return Certificate{}, err
			}
			row.Product = got.Product
		}
		if row.Product == b.cfg.Product {
			return row, nil
		}
	}
	return Certificate{}, nil
}

// noRoot is the root of what leads to none of the configured ones.
const noRoot = "none of roots_file"

// rootOf names the configured root that a certificate leads to.
func (b *Backend) rootOf(leaf *x509.Certificate, upper []*x509.Certificate) string {
	chain := caclient.Chain(leaf, append(slices.Clone(upper), b.intermediates...))
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // it was read before
		}
		for _, der := range b.cfg.Roots {
			if root, err := x509.ParseCertificate(der); err == nil && cert.CheckSignatureFrom(root) == nil {
				return root.Subject.String()
			}
		}
	}
	return noRoot
}

// usagesOf says what a certificate is for.
func usagesOf(leaf *x509.Certificate) string {
	var words []string
	for _, u := range leaf.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			words = append(words, string(acme.ServerAuth))
		case x509.ExtKeyUsageClientAuth:
			words = append(words, string(acme.ClientAuth))
		default:
			words = append(words, "something else")
		}
	}
	slices.Sort(words)
	return strings.Join(words, " and ")
}

// expected says whether a certificate is for what the configuration has for its day.
func (b *Backend) expected(leaf *x509.Certificate, is string) bool {
	const one, both = string(acme.ServerAuth), string(acme.ClientAuth) + " and " + string(acme.ServerAuth)
	from := b.cfg.ServerOnlyFrom
	switch since := leaf.NotBefore.Sub(from); {
	case is != one && is != both:
		return false
	case from.IsZero(), since < -about:
		return is == both
	case since > about:
		return is == one
	}
	return true
}

// Check implements backends.Checker: it surveys, and complains of whatever it
// finds.
func (b *Backend) Check(ctx context.Context) error {
	s, err := b.Survey(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, f := range s.Findings {
		all = append(all, errors.New("godaddy: "+f.Text))
	}
	return errors.Join(all...)
}
