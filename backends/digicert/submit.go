package digicert

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// The words for clients are ours; what the CA says is for the operator (SC-18).
const (
	refusedKey      = "the certificate authority takes RSA keys of 2048, 3072 and 4096 bits and EC keys on P-256 and P-384"
	refusedUsage    = "the certificate authority gives serverAuth and clientAuth, and no other usage"
	refusedRequest  = "the certificate authority does not accept this request; ask its operator with the number of the order"
	refusedCAA      = "a CAA record of one of the names does not let this certificate authority issue, or could not be looked up"
	refusedByPerson = "the request was rejected at the certificate authority"
	refusedCanceled = "the request was cancelled at the certificate authority; place a new order"
	refusedGone     = "the certificate authority has issued the certificate and revoked it; place a new order"
	refusedAgain    = "the certificate authority has issued something else than was ordered, and does not issue it again"
	refusedLost     = "the certificate authority does not know the request any more; place a new order"
)

// maxNames is how many names one X9 certificate may have.
const maxNames = 250

// wishFor says what a certificate for that request is: everything is said,
// because what is not said is a default that an account may have changed.
func (b *Backend) wishFor(r backends.Request) (Wish, error) {
	w := Wish{CommonName: r.Contract.CommonName}
	switch n := len(r.Contract.Identifiers); {
	case n > maxNames:
		return w, backends.Refused(fmt.Sprintf("the certificate authority puts up to %d names into a certificate", maxNames), nil)
	case n == 0:
		return w, backends.Refused("the certificate authority wants at least one name", nil)
	}
	for _, id := range r.Contract.Identifiers {
		if why := b.wrongName(id); why != "" {
			return w, backends.Refused(why, nil)
		}
		w.Names = append(w.Names, id.Value)
		if w.CommonName == "" && id.Type == acme.DNSIdentifier && len(id.Value) <= 64 {
			w.CommonName = id.Value
		}
	}
	if w.CommonName == "" {
		return w, backends.Refused("the certificate authority wants a DNS name of at most 64 characters among the names", nil)
	}
	var err error
	if w.Hash, err = hashFor(r.PublicKey); err != nil {
		return w, backends.Refused(refusedKey, err)
	}
	if err := b.want(&w, r.Contract.Usages); err != nil {
		return w, err
	}
	w.CSR = armoured("CERTIFICATE REQUEST", r.CSR)
	return w, nil
}

// errKey says that the product has no certificates for a key.
var errKey = errors.New("a key of another kind or size")

// hashFor says what a certificate for a key is to be signed with; an error, that
// there is none for it.
func hashFor(publicKey []byte) (string, error) {
	public, err := x509.ParsePKIXPublicKey(publicKey)
	if err != nil {
		return "", err
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		if slices.Contains([]int{2048, 3072, 4096}, k.N.BitLen()) {
			return "sha256", nil
		}
	case *ecdsa.PublicKey:
		switch k.Params().BitSize {
		case 256:
			return "sha256", nil
		case 384:
			return "sha384", nil
		}
	}
	return "", errKey
}

// bothUsages has a public product certify servers that are clients, too. Where it is
// not said they are for servers.
const bothUsages = "server_client_auth_eku"

// before is how long before a product is for servers only nothing else is ordered:
// it may be issued after that.
const before = 7 * 24 * time.Hour

// want puts usages into a wish: as lists where the product is X9, whose certificates
// may have either alone.
func (b *Backend) want(w *Wish, want []acme.Usage) error {
	server, client := slices.Contains(want, acme.ServerAuth), slices.Contains(want, acme.ClientAuth)
	for _, u := range want {
		if usageWords[u] == "" {
			return backends.Refused(refusedUsage, nil)
		}
	}
	from, public := b.cfg.ServerOnlyFrom, b.cfg.Product != X9
	switch {
	case len(want) == 0:
		return backends.Refused(refusedUsage, nil)
	case public && !server:
		return backends.Refused("this product of the certificate authority is for servers, and for nothing else alone", nil)
	case public && client && !from.IsZero() && !b.cfg.Now().Before(from.Add(-before)):
		return backends.Refused("this product of the certificate authority is for servers only from "+from.Format(time.DateOnly)+
			" on; order a certificate of a profile for servers, and one for clients from another certificate authority", nil)
	case public && client:
		w.Profile = bothUsages
	case !public:
		w.Usages = []string{"digital_signature"}
		if b.cfg.KeyExchange {
			w.Usages = append(w.Usages, "key_agreement_encipherment")
		}
		for _, u := range want {
			w.Extended = append(w.Extended, usageWords[u])
		}
	}
	return nil
}

var usageWords = map[acme.Usage]string{acme.ServerAuth: "server_authentication", acme.ClientAuth: "client_authentication"}

// wrongName says why the product does not take a name.
func (b *Backend) wrongName(id acme.Identifier) string {
	switch id.Type {
	case acme.DNSIdentifier:
		if b.cfg.Product == X9 && strings.Contains(id.Value, "*") {
			return "the certificate authority issues no certificates for wildcard names"
		}
		if !strings.Contains(id.Value, ".") {
			return "the certificate authority wants fully qualified names, and " + id.Value + " is none"
		}
	case acme.IPIdentifier:
		a, err := netip.ParseAddr(id.Value)
		if err != nil || !a.IsGlobalUnicast() || a.IsPrivate() {
			return "the certificate authority issues for public addresses, and " + id.Value + " is none"
		}
	default:
		return "the certificate authority issues for DNS names and addresses"
	}
	return ""
}

// Submit implements backends.Backend. A request that takes over from an earlier
// one sends nothing here: Poll brings the order to its key, and may be
// interrupted anywhere.
func (b *Backend) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if err := ctx.Err(); err != nil {
		return "", backends.NotSent(err)
	}
	w, err := b.wishFor(r)
	if err != nil {
		return "", err
	}
	if r.TakesOver != "" {
		t, err := takeOver(r)
		if err != nil {
			return "", backends.NotSent(err)
		}
		b.unwatch(t.order)
		return t.String(), nil
	}
	if err := b.mayOrder(ctx, namesOf(r)); err != nil {
		return "", err
	}
	p := Purchase{
		Certificate: w, Organization: Ref{b.cfg.Organization}, Validity: Days{b.cfg.Days}, Comments: b.comment(r), Payment: b.cfg.Payment,
		SkipApproval: !b.cfg.WaitForApproval, Reference: r.Key, CustomFields: b.cfg.CustomFields,
	}
	if b.cfg.Container != 0 {
		p.Container = &Ref{b.cfg.Container}
	}
	if p.RenewalOf, err = b.predecessor(ctx, r, w); err != nil {
		return "", backends.NotSent(err)
	}
	placed, err := b.client.Place(ctx, b.cfg.Product, p)
	if caclient.OutcomeOf(err) == caclient.Refused && p.RenewalOf != 0 && strings.Contains(caclient.CodeOf(err), "renew") {
		// The CA has said no to the link, so nothing was bought, and a plain
		// order is what remains.
		p.RenewalOf = 0
		placed, err = b.client.Place(ctx, b.cfg.Product, p)
	}
	if err != nil {
		return "", b.classify(err)
	}
	t := ticketFor(int64(placed.ID), r)
	b.look(t.order, int64(placed.Certificate))
	return t.String(), nil
}

// namesOf are the DNS names of a request.
func namesOf(r backends.Request) []string {
	var names []string
	for _, id := range r.Contract.Identifiers {
		if id.Type == acme.DNSIdentifier {
			names = append(names, id.Value)
		}
	}
	return names
}

// classify says what an error of a purchase means to the engine.
func (b *Backend) classify(err error) error {
	code := caclient.CodeOf(err)
	switch caclient.OutcomeOf(err) {
	case caclient.NotSent:
		return backends.NotSent(err)
	case caclient.Refused:
		b.forget()
		switch {
		case hasCode(err, "not_found"), strings.Contains(code, "product"):
			return backends.NotSent(fmt.Errorf("%w; is the product %s switched on for the account?", err, b.cfg.Product))
		case strings.Contains(code, "organization"):
			return backends.NotSent(fmt.Errorf("%w; see to organization %d", err, b.cfg.Organization))
		case strings.Contains(code, "custom_field"), strings.Contains(code, "metadata"):
			return backends.NotSent(fmt.Errorf("%w; see to the fields that the account wants in each order", err))
		case strings.Contains(code, "fund"), strings.Contains(code, "balance"), strings.Contains(code, "payment"):
			// A lack of balance is no fault of the order (SC-16).
			return backends.NotSent(err)
		case hasCode(err, "caa_check_failed"), hasCode(err, "caa_not_found"):
			return backends.Refused(refusedCAA, err)
		}
		return backends.Refused(refusedRequest, err)
	case caclient.Unknown:
	}
	return err
}

// commentMark follows the reference in a comment.
const commentMark = " acmebridge order "

// comment is the trace of a request in the portal. It begins with the
// reference, for the case that the field for it is dropped, and says whose need
// it serves, by which a later order finds its predecessor.
func (b *Backend) comment(r backends.Request) string {
	return r.Key + commentMark + string(r.Order) + " " + needOf(r)
}

// needOf names account, profile and names in a way that says nothing of them.
func needOf(r backends.Request) string {
	names := []string{}
	for _, id := range r.Contract.Identifiers {
		names = append(names, string(id.Type)+":"+id.Value)
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(string(r.Account) + "\x00" + string(r.Contract.Profile) + "\x00" + strings.Join(names, "\x00")))
	return fmt.Sprintf("need:%x", sum[:12])
}

// predecessorsAtMost bounds how many earlier orders are looked at.
const predecessorsAtMost = 5

// predecessor is the order for the same need whose certificate runs out soon,
// so that what is left of it is not lost; zero when there is none.
func (b *Backend) predecessor(ctx context.Context, r backends.Request, w Wish) (int64, error) {
	if b.cfg.Renewal == 0 {
		return 0, nil
	}
	orders, _, err := b.client.Orders(ctx, map[string]string{"common_name": w.CommonName, "product_name_id": b.cfg.Product, "status": "issued"})
	if err != nil {
		return 0, err
	}
	now := b.cfg.Now()
	slices.SortFunc(orders, func(x, y Order) int { return int(y.ID - x.ID) })
	looked := 0
	for _, o := range orders {
		end := o.Certificate.ValidTill
		if end.IsZero() || end.Before(now) || end.Sub(now) > b.cfg.Renewal {
			continue
		}
		if looked++; looked > predecessorsAtMost {
			break
		}
		info, err := b.client.Order(ctx, int64(o.ID))
		if err != nil {
			return 0, err
		}
		if slices.ContainsFunc(info.Requests, func(q Request) bool { return strings.HasSuffix(q.Comments, needOf(r)) }) {
			return int64(o.ID), nil
		}
	}
	return 0, nil
}
