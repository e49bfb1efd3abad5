package godaddy

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// The words for clients are ours; what the CA says is for the operator (SC-18).
const (
	refusedKey      = "the certificate authority takes RSA keys of 2048 to 4096 bits, and no others"
	refusedRequest  = "the certificate authority does not accept this request; ask its operator with the number of the order"
	refusedSubject  = "the certificate authority puts a common name of its choice into the subject: the profile needs subject: by_ca"
	refusedDenied   = "the certificate authority has denied the request"
	refusedCanceled = "the request was cancelled at the certificate authority; place a new order"
	refusedGone     = "the certificate authority has issued the certificate and revoked it; place a new order"
)

// Product is what a product type gives.
type Product struct {
	// Wildcard takes one wildcard name, and nothing else.
	Wildcard bool
	// Several takes as many names as there are slots.
	Several bool
}

// Products are the types that are certificates for TLS.
func Products() map[string]Product {
	return map[string]Product{
		"DV_SSL": {}, "OV_SSL": {}, "EV_SSL": {}, "DV_WILDCARD_SSL": {Wildcard: true}, "OV_WILDCARD_SSL": {Wildcard: true},
		"UCC_DV_SSL": {Several: true}, "UCC_OV_SSL": {Several: true}, "UCC_EV_SSL": {Several: true},
	}
}

// slots are the sizes that products for several names have, smallest first.
var slots = []struct {
	names int
	word  string
}{
	{5, "FIVE"}, {10, "TEN"}, {15, "FIFTEEN"}, {20, "TWENTY"}, {30, "THIRTY"}, {40, "FOURTY"}, {50, "FIFTY"}, {100, "ONE_HUNDRED"},
}

// maxNames is how many names the largest slot has.
const maxNames = 100

// before is how long before the cut-off nothing with clientAuth is ordered any
// more: what is ordered then may be issued after it, and be for servers only.
const before = 7 * 24 * time.Hour

// usages says why certificates of today do not have exactly these. Nobody can
// choose them.
func (b *Backend) usages(want []acme.Usage, now time.Time) string {
	from := b.cfg.ServerOnlyFrom
	server, client := slices.Contains(want, acme.ServerAuth), slices.Contains(want, acme.ClientAuth)
	day := from.Format(time.DateOnly)
	switch {
	case !server || len(slices.Compact(slices.Sorted(slices.Values(want)))) > 2 || len(want) > 1 && !client:
		return "the certificate authority gives certificates for servers, and for no other usage alone"
	case client && !from.IsZero() && !now.Before(from):
		return "the certificate authority gives no certificates for clients since " + day +
			"; order one of a profile for servers, and one for clients from another certificate authority"
	case client && !from.IsZero() && !now.Before(from.Add(-before)):
		return "the certificate authority gives no certificates for clients from " + day + " on, and one that is ordered today may be issued after that"
	case !client && (from.IsZero() || now.Before(from)):
		return "the certificate authority gives certificates for servers and clients, and this profile wants one for servers alone"
	}
	return ""
}

// purchaseFor says what is bought for a request, or why there is nothing that
// fits.
func (b *Backend) purchaseFor(r backends.Request) (p Purchase, err error) {
	no := func(format string, args ...any) (Purchase, error) {
		return p, backends.Refused(fmt.Sprintf(format, args...), nil)
	}
	if why := b.usages(r.Contract.Usages, b.cfg.Now()); why != "" {
		return no("%s", why)
	}
	if r.Contract.Subject != acme.SubjectByCA && r.Contract.Subject != acme.SubjectCommonName {
		return no(refusedSubject)
	}
	if r.Contract.Subject == acme.SubjectCommonName && !strings.Contains(b.cfg.Product, "DV") {
		return no("the certificate authority puts the organization into the subject: the profile needs subject: by_ca")
	}
	public, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if k, ok := public.(*rsa.PublicKey); err != nil || !ok || k.N.BitLen() < 2048 || k.N.BitLen() > 4096 {
		return p, backends.RefusedAs(acme.BadCSR, refusedKey, err)
	}
	var names []string
	for _, id := range r.Contract.Identifiers {
		wild := strings.HasPrefix(id.Value, "*.")
		switch {
		case id.Type != acme.DNSIdentifier:
			return no("the certificate authority issues for DNS names, and %s is none", id.Value)
		case wild && !b.product.Wildcard:
			return no("the product %s is not for wildcard names", b.cfg.Product)
		case !wild && b.product.Wildcard:
			return no("the product %s is for a wildcard name, and %s is none", b.cfg.Product, id.Value)
		}
		names = append(names, id.Value)
	}
	p = Purchase{
		CommonName: r.Contract.CommonName, Period: b.cfg.Years, Product: b.cfg.Product, Root: b.cfg.RootType,
		CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.CSR})),
	}
	if len(names) == 0 {
		return no("the certificate authority wants a name")
	}
	if p.CommonName == "" {
		i := slices.IndexFunc(names, func(n string) bool { return len(n) <= 64 })
		if i < 0 {
			return no("the certificate authority wants a name of at most 64 characters")
		}
		p.CommonName = names[i]
	}
	switch {
	case !b.product.Several && len(names) > 1:
		return no("the product %s is for one name, and this order has %d", b.cfg.Product, len(names))
	case len(names) > min(b.cfg.MaxNames, maxNames):
		return no("the product %s is for up to %d names, and this order has %d", b.cfg.Product, min(b.cfg.MaxNames, maxNames), len(names))
	case b.product.Several:
		p.Names = names
		for _, s := range slots {
			if s.names >= b.cfg.MaxNames || s.names == maxNames {
				p.Slots = s.word
				break
			}
		}
	}
	return p, nil
}

// Submit implements backends.Backend.
func (b *Backend) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if err := ctx.Err(); err != nil {
		return "", backends.NotSent(err)
	}
	p, err := b.purchaseFor(r)
	if err != nil {
		return "", err
	}
	if r.TakesOver != "" {
		return b.takeOver(ctx, r, p)
	}
	if err := b.client.Validate(ctx, p); err != nil {
		// A dry run buys nothing, whatever came of it.
		if caclient.OutcomeOf(err) == caclient.Refused {
			return "", b.classify(err)
		}
		return "", backends.NotSent(err)
	}
	id, renewed, err := b.renew(ctx, r, p)
	if err != nil {
		return "", err
	}
	if !renewed {
		if id, err = b.client.Order(ctx, p); err != nil {
			return "", b.classify(err)
		}
	}
	return ticketFor(id, r), nil
}

// noCredit says whether a lack of credits is what is wrong.
func noCredit(err error) bool {
	return caclient.StatusOf(err)/100 == 4 && strings.Contains(strings.ToUpper(caclient.CodeOf(err)), "CREDIT")
}

// classify says what an error of a purchase means to the engine.
func (b *Backend) classify(err error) error {
	if noCredit(err) {
		// A lack of credits is no fault of the order (SC-16).
		return backends.NotSent(fmt.Errorf("godaddy: the account has no credit for %s; buy one: %w: %w", b.cfg.Product, backends.ErrExhausted, err))
	}
	switch caclient.OutcomeOf(err) {
	case caclient.NotSent:
		return backends.NotSent(err)
	case caclient.Refused:
		if errors.Is(err, caclient.ErrNotFound) {
			return backends.NotSent(fmt.Errorf("%w; is the URL that of the API, without a version?", err))
		}
		return backends.Refused(refusedRequest, err)
	case caclient.Unknown:
	}
	return err
}
