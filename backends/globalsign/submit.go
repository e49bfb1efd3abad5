package globalsign

import (
	"context"
	"crypto/ecdsa"
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
	refusedUsage   = "the certificate authority gives serverAuth and clientAuth, and no other usage"
	refusedKey     = "the account at the certificate authority does not take keys of this kind"
	refusedRequest = "the certificate authority does not accept this request; ask its operator with the number of the order"
	refusedGone    = "the certificate authority has issued the certificate and revoked it; place a new order"
)

// errAccount is in the chain of an error when orders wait until somebody has seen
// to the account: none of it is a fault of theirs.
var errAccount = errors.New("the account at GlobalSign cannot be ordered with")

// wishFor says what a certificate for that request is, or why there can be none:
// whatever the policy of the account would not give is refused here, before it is
// paid for.
func (b *Backend) wishFor(r backends.Request, p Policy) (w Wish, err error) {
	no := func(why string) error { return backends.Refused(why, nil) }
	now := b.cfg.Now()
	if from := b.cfg.ServerOnlyFrom; !from.IsZero() && !now.Before(from) && slices.Contains(r.Contract.Usages, acme.ClientAuth) {
		return w, no("the certificate authority gives no certificates for clients since " + from.Format(time.DateOnly) +
			"; order one of a profile for servers, and one for clients from another certificate authority")
	}
	var why string
	if w.Usages, why = p.usages(r.Contract.Usages); why != "" {
		return w, no(why)
	}
	if w.Subject, why = p.subject(r.Contract); why != "" {
		return w, no(why)
	}
	for _, id := range r.Contract.Identifiers {
		switch id.Type {
		case acme.DNSIdentifier:
			w.SAN.Names = append(w.SAN.Names, id.Value)
		case acme.IPIdentifier:
			w.SAN.Addresses = append(w.SAN.Addresses, id.Value)
		default:
			return w, no("the certificate authority issues for DNS names and addresses")
		}
	}
	if why := p.names(w.SAN); why != "" {
		return w, no(why)
	}
	if w.PublicKey, err = p.key(r); err != nil {
		return w, err
	}
	if w.Validity, why = b.validity(r, p, now); why != "" {
		return w, no(why)
	}
	hash, ok := p.hash()
	if !ok {
		return w, backends.NotSent(fmt.Errorf("globalsign: %w: its policy has no hash of the SHA-2 family", errAccount))
	}
	w.Signature.Hash = hash
	return w, nil
}

// names says why the policy does not take these names.
func (p Policy) names(san SAN) string {
	var names, addresses *List
	if p.SAN != nil {
		names, addresses = p.SAN.Names, p.SAN.Addresses
	}
	if why := names.count(len(san.Names), "names"); why != "" {
		return why
	}
	if why := addresses.count(len(san.Addresses), "addresses"); why != "" {
		return why
	}
	for _, name := range san.Names {
		if !names.allows(name) {
			return "the account at the certificate authority does not take the name " + name
		}
	}
	for _, address := range san.Addresses {
		if !addresses.allows(address) {
			return "the account at the certificate authority does not take the address " + address
		}
	}
	return ""
}

// key is the public key as the policy wants it.
func (p Policy) key(r backends.Request) (string, error) {
	public, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		return "", backends.RefusedAs(acme.BadCSR, refusedKey, err)
	}
	kind, length := "", 0
	switch k := public.(type) {
	case *rsa.PublicKey:
		kind, length = "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		kind, length = "ECDSA", k.Params().BitSize
	default:
		return "", backends.RefusedAs(acme.BadCSR, refusedKey, nil)
	}
	format := "PKCS10"
	if rule := p.PublicKey; rule != nil {
		if rule.Type != "" && rule.Type != kind {
			detail := refusedKey
			if rule.Type == "RSA" || rule.Type == "ECDSA" { // what else the CA writes may be anything (SC-18)
				detail += ": it takes " + rule.Type
			}
			return "", backends.RefusedAs(acme.BadCSR, detail, nil)
		}
		if len(rule.Lengths) > 0 && !slices.Contains(rule.Lengths, length) {
			return "", backends.RefusedAs(acme.BadCSR, fmt.Sprintf("%s: it takes %s with %v bits", refusedKey, kind, rule.Lengths), nil)
		}
		format = or(rule.Format, format)
	}
	if format == "PKCS10" {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.CSR})), nil
	}
	if p.KeySignature == "REQUIRED" {
		// Only the client could make one, and ACME has no place for it.
		return "", backends.NotSent(fmt.Errorf("globalsign: %w: its policy wants a proof of possession beside a bare key; have GlobalSign set the format of keys to PKCS10", errAccount))
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: r.PublicKey})), nil
}

// slack is what a request may take to the CA, where certificates must not begin
// too long ago.
const slack = 30 * time.Second

// validity is what is asked for: to the second what was promised, from when it
// was ordered, as far as the policy lets a certificate begin in the past.
func (b *Backend) validity(r backends.Request, p Policy, now time.Time) (v Validity, why string) {
	begin, earliest := r.At, now
	if p.Validity != nil && p.Validity.NegativeSkew > 0 {
		earliest = now.Add(-max(time.Duration(min(p.Validity.NegativeSkew, forever))*time.Second-slack, 0))
	}
	for _, t := range []time.Time{earliest, r.Contract.NotBefore} {
		if t.After(begin) {
			begin = t
		}
	}
	v = Validity{NotBefore: begin.Unix(), NotAfter: r.Contract.NotAfter.Unix()}
	granted := time.Duration(v.NotAfter-v.NotBefore) * time.Second
	for _, longest := range []time.Duration{p.longest(), b.cfg.MaxValidity} {
		if longest > 0 && granted > longest {
			return v, fmt.Sprintf("the certificate authority issues for up to %s, and this profile asks for %s", days(longest), days(granted))
		}
	}
	if p.Validity != nil && granted < time.Duration(min(p.Validity.SecondsMin, forever))*time.Second {
		return v, "the certificate authority does not issue for as short as that"
	}
	return v, ""
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// Submit implements backends.Backend.
func (b *Backend) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	if err := ctx.Err(); err != nil {
		return "", backends.NotSent(err)
	}
	s, err := b.account(ctx, false)
	if err != nil {
		return "", backends.NotSent(err)
	}
	w, err := b.wishFor(r, s.policy)
	if err == nil {
		err = b.claimed(s, w.SAN)
	}
	if err != nil {
		// What an operator has seen to meanwhile is not held against the order.
		if s, fresh := b.account(ctx, true); fresh != nil {
			return "", backends.NotSent(fresh)
		} else if w, err = b.wishFor(r, s.policy); err != nil {
			return "", err
		} else if err = b.claimed(s, w.SAN); err != nil {
			return "", err
		}
	}
	if err := b.covered(ctx, r.Renewal); err != nil {
		return "", err
	}
	serial, err := b.client.Order(ctx, w)
	if err != nil {
		return "", b.classify(err)
	}
	return ticketFor(serial, r), nil
}

// classify says what an error of a purchase means to the engine.
func (b *Backend) classify(err error) error {
	switch OutcomeOf(err) {
	case caclient.NotSent:
		return backends.NotSent(err)
	case caclient.Refused:
		b.forget()
		text := strings.ToLower(err.Error())
		switch {
		case errors.Is(err, caclient.ErrNotFound):
			return backends.NotSent(fmt.Errorf("%w; is the URL that of the API, with its version?", err))
		case strings.Contains(text, "quota"):
			// A lack of them is no fault of the order (SC-16).
			return backends.NotSent(fmt.Errorf("%w: %w", backends.ErrExhausted, err))
		}
		return backends.Refused(refusedRequest, err)
	case caclient.Unknown:
	}
	return err
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
