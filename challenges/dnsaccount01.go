package challenges

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"acmebridge/acme"
)

// DNSAccount01 is dns-01 at a name of the account's own, so that several
// clients can keep their records for one identifier apart
// (draft-ietf-acme-dns-account-label).
type DNSAccount01 struct{ txt }

var _ Validator = (*DNSAccount01)(nil)

// NewDNSAccount01 checks cfg and returns the validator.
func NewDNSAccount01(cfg DNSConfig) (*DNSAccount01, error) {
	t, err := newTXT(acme.DNSAccount01, cfg)
	if err != nil {
		return nil, err
	}
	return &DNSAccount01{t}, nil
}

// Type returns dns-account-01.
func (v *DNSAccount01) Type() acme.ChallengeType { return acme.DNSAccount01 }

// Validate looks for the record.
func (v *DNSAccount01) Validate(ctx context.Context, t Target) acme.Outcome {
	name, why := dnsIdentifier(t)
	if why == "" {
		why = tokenFits(t)
	}
	if why == "" && t.AccountURL == "" {
		why = "it names no account"
	}
	at := AccountLabel(t.AccountURL) + "._acme-challenge." + name
	if why == "" {
		why = fits(at)
	}
	if why != "" {
		return unfit(acme.DNSAccount01, why)
	}
	out, _ := v.validate(ctx, at, func(values []string) *failure {
		return judgeDigest(values, t.KeyAuthorization)
	})
	if out.Problem != nil {
		// RDAL-4: a client that made the label of another spelling of the URL
		// has no other way to notice.
		out.Problem.Detail += "; the label is made of the account URL " + t.AccountURL
	}
	return out
}

// AccountLabel is the label that stands for an account: the first ten bytes of
// the SHA-256 of its URL (RDAL-1).
func AccountLabel(accountURL string) string {
	sum := sha256.Sum256([]byte(accountURL))
	return "_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
