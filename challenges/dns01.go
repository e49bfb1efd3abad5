package challenges

import (
	"context"
	"strings"

	"acmebridge/acme"
)

// DNS01 proves control by a TXT record at _acme-challenge under the identifier
// (RFC 8555, section 8.4).
type DNS01 struct{ txt }

var _ Validator = (*DNS01)(nil)

// NewDNS01 checks cfg and returns the validator.
func NewDNS01(cfg DNSConfig) (*DNS01, error) {
	t, err := newTXT(acme.DNS01, cfg)
	if err != nil {
		return nil, err
	}
	return &DNS01{t}, nil
}

// Type returns dns-01.
func (v *DNS01) Type() acme.ChallengeType { return acme.DNS01 }

// Validate looks for the record. A wildcard is proved at the name under it
// (R8555-8.4-1).
func (v *DNS01) Validate(ctx context.Context, t Target) acme.Outcome {
	name, why := dnsIdentifier(t)
	if why == "" {
		why = tokenFits(t)
	}
	at := "_acme-challenge." + name
	if why == "" {
		why = fits(at)
	}
	if why != "" {
		return unfit(acme.DNS01, why)
	}
	out, _ := v.validate(ctx, at, func(values []string) *failure {
		return judgeDigest(values, t.KeyAuthorization)
	})
	return out
}

// tokenFits says what is wrong with the token and the key authorization.
func tokenFits(t Target) (why string) {
	if t.Token == "" || strings.ContainsFunc(t.Token, notBase64URL) {
		return "its token is not base64url"
	}
	if rest, ok := strings.CutPrefix(t.KeyAuthorization, t.Token+"."); !ok || rest == "" {
		return "its key authorization does not begin with its token"
	}
	return ""
}
