package globalsign

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// aboutPolicy is the group of facts that are in the validation policy.
const aboutPolicy = "policy/"

// Survey implements backends.Surveyor (SC-16, SC-19): it looks at everything that
// an order will need, and a month ahead. What bears our mark cannot be looked
// for, because the CA keeps no reference of ours.
func (b *Backend) Survey(ctx context.Context) (backends.Survey, error) {
	s := backends.Survey{Subject: b.client.root, Facts: map[string]string{}}
	account, err := b.account(ctx, true)
	if err != nil {
		return s, err
	}
	for name, value := range account.policy.all {
		describe(s.Facts, aboutPolicy+name, value)
	}
	s.Findings = append(s.Findings, b.holdAgainst(account.policy)...)
	s.Findings = append(s.Findings, b.proofs(account)...)
	for _, look := range []func(context.Context, *backends.Survey) error{b.weigh, b.lead} {
		if err := look(ctx, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// describe makes facts of a rule of the policy, one for each of its parts.
func describe(facts map[string]string, name string, rule json.RawMessage) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(rule, &parts) != nil || len(parts) == 0 {
		parts = map[string]json.RawMessage{"": rule}
	}
	for part, raw := range parts {
		var value any
		if json.Unmarshal(raw, &value) != nil || value == nil {
			continue
		}
		// Encoded anew, so that neither blanks nor the order of keys matter.
		if text, err := json.Marshal(value); err == nil {
			facts[caclient.Fact(strings.TrimSuffix(name+"."+part, "."))] = caclient.Fact(string(text))
		}
	}
}

// holdAgainst finds what the policy does not give, of what is going to be asked
// for. What no order could be made with stops them all; what one profile cannot
// have is refused to its orders alone.
func (b *Backend) holdAgainst(p Policy) (found []backends.Finding) {
	if err := p.usable(); err != nil {
		found = append(found, backends.Finding{Kind: backends.FindingProfile, Stops: backends.StopAll, Text: err.Error()})
	}
	for _, usages := range b.cfg.Usages {
		if _, why := p.usages(usages); why != "" {
			found = append(found, backends.Finding{Kind: backends.FindingProfile, Text: "a profile wants something else: " + why})
		}
	}
	return found
}

// usable says why nobody could order under the policy.
func (p Policy) usable() error {
	if p.PublicKey != nil && p.PublicKey.Format != "" && p.PublicKey.Format != "PKCS10" && p.KeySignature == "REQUIRED" {
		return fmt.Errorf("%w: its policy wants a proof of possession beside a bare key; have GlobalSign set the format of keys to PKCS10", errAccount)
	}
	if _, ok := p.hash(); !ok {
		return fmt.Errorf("%w: its policy has no hash of the SHA-2 family", errAccount)
	}
	return nil
}

// proofs finds the configured domains whose proof is over soon.
func (b *Backend) proofs(s standing) (found []backends.Finding) {
	if b.cfg.AnyDomain {
		return nil
	}
	soon := b.cfg.Now().Add(notice)
	for _, name := range b.cfg.Domains {
		if _, good := s.domainAt(name, soon); !good {
			found = append(found, backends.Finding{
				Kind: backends.FindingOther,
				Text: fmt.Sprintf("the domain %s has no proof that is good until %s; verify it in Atlas", name, soon.Format(time.DateOnly)),
			})
		}
	}
	return found
}

// weigh counts what is left, where the CA counts.
func (b *Backend) weigh(ctx context.Context, s *backends.Survey) error {
	left, err := b.left(ctx)
	if err != nil || left == nil {
		return err
	}
	s.Balance = left
	f := backends.Finding{Kind: backends.FindingBalance}
	switch n := *left; {
	case n <= 0:
		f.Stops, f.Text = backends.StopAll, "the account may issue no more certificates; have its quota raised"
	case n <= b.cfg.Floor:
		f.Stops = backends.StopNew
		f.Text = fmt.Sprintf("%d left of the quota, and the floor of %d is kept for renewals: have the quota raised, or lower balance_floor", n, b.cfg.Floor)
	case n <= b.cfg.Low:
		f.Text = fmt.Sprintf("%d left of the quota: have it raised before the floor of %d is reached", n, b.cfg.Floor)
	default:
		return nil
	}
	s.Findings = append(s.Findings, f)
	return nil
}

// lead looks where certificates lead to: what ends in a root that nobody has
// admitted would be paid for and never delivered.
func (b *Backend) lead(ctx context.Context, s *backends.Survey) error {
	chain, err := b.client.TrustChain(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return b.rooted([][]byte{c.Raw}) }) {
		return nil
	}
	s.Findings = append(s.Findings, backends.Finding{
		Kind: backends.FindingProfile, Stops: backends.StopAll,
		Text: fmt.Sprintf("certificates of the account lead to %q, and no certificate in roots_file has signed that: compare it with GlobalSign, and add its root",
			caclient.Printable(chain[len(chain)-1].Issuer.String())),
	})
	return nil
}

// left is what the quota leaves; nil where nobody counts, or shows it.
func (b *Backend) left(ctx context.Context) (*int64, error) {
	left, err := b.client.Quota(ctx)
	if errors.Is(err, caclient.ErrForbidden) || errors.Is(err, caclient.ErrNotFound) {
		return nil, nil
	}
	return left, err
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
		all = append(all, errors.New("globalsign: "+f.Text))
	}
	return errors.Join(all...)
}
