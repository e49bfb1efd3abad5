package challenges

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/egress"
)

// TXTResolver looks TXT records up. [egress.Resolver] is the one to use.
type TXTResolver interface {
	LookupTXT(ctx context.Context, name string) (egress.TXTAnswer, error)
}

// DNSConfig says how the methods with a TXT record look it up. Which servers
// are asked, how, and whether answers need DNSSEC is the resolver's business.
type DNSConfig struct {
	Resolver TXTResolver // required
	// Timeout bounds a whole validation; 0 means 30 s. The time for look-ups
	// is bounded to 15 s besides.
	Timeout time.Duration
}

// txt is what the methods with a TXT record share.
type txt struct {
	resolver TXTResolver
	timeout  time.Duration
}

func newTXT(method acme.ChallengeType, cfg DNSConfig) (txt, error) {
	switch {
	case cfg.Resolver == nil:
		return txt{}, fmt.Errorf("challenges: %s needs a resolver", method)
	case cfg.Timeout < 0:
		return txt{}, fmt.Errorf("challenges: the time-out of %s cannot be negative", method)
	case cfg.Timeout == 0:
		cfg.Timeout = 30 * time.Second
	}
	return txt{resolver: cfg.Resolver, timeout: cfg.Timeout}, nil
}

// dnsIdentifier returns the name that t is about, or why it is none
// (R8555-8.4-8, R8738-7-1).
func dnsIdentifier(t Target) (name, why string) {
	name, why = canonicalHost(strings.ToLower(t.Identifier.Value))
	if why != "" {
		return "", why
	}
	if _, err := netip.ParseAddr(name); err == nil || t.Identifier.Type != acme.DNSIdentifier {
		return "", "addresses cannot be proved through the DNS"
	}
	return name, ""
}

func unfit(method acme.ChallengeType, why string) acme.Outcome {
	return acme.Outcome{Problem: acme.Problemf(acme.Malformed, "%s cannot validate this identifier: %s", method, why)}
}

// validate looks the TXT records of name up and has them judged. It returns
// the answer as well.
func (v txt) validate(ctx context.Context, name string, judge func(values []string) *failure) (acme.Outcome, egress.TXTAnswer) {
	ctx, tr, done := begin(ctx, v.timeout)
	defer done()
	answer, err := v.resolver.LookupTXT(ctx, name)
	tr.learn()
	var failed *failure
	switch {
	case err == nil:
		failed = judge(answer.Values)
	case errors.Is(err, egress.ErrNoSuchName) || errors.Is(err, egress.ErrNoRecord):
		// An answer, though not the right one (R8555-8.4-6).
		failed = &failure{kind: acme.Unauthorized, why: "there is no such name (NXDOMAIN); publish the record, and wait until all name servers have it"}
		if errors.Is(err, egress.ErrNoRecord) {
			failed.why = "the name exists, but has no TXT record; publish the record, and wait until all name servers have it"
		}
	default:
		failed = tr.queryFailure(err)
	}
	return tr.outcome(failed, func() string { return "TXT of " + name + through(answer) }), answer
}

// through says in a few words how an answer was come by: what the DNS holds is
// shown as numbers and names only (SV-8).
func through(answer egress.TXTAnswer) string {
	var about []string
	if n := len(answer.Aliases); n > 0 {
		about = append(about, fmt.Sprintf("%s, the last to %s", several(n, "alias", "aliases"), answer.Aliases[n-1]))
	}
	if n := len(answer.Values); n > 0 {
		about = append(about, several(n, "record", "records"))
		if answer.Authenticated {
			about = append(about, "authenticated by DNSSEC")
		}
	}
	if len(about) == 0 {
		return ""
	}
	return " (" + strings.Join(about, ", ") + ")"
}

func several(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// queryFailure is the failure for a question that nobody answered (SD-4).
func (t *trial) queryFailure(err error) *failure {
	dns := func(retry bool, why string) *failure {
		return &failure{kind: acme.DNS, retry: retry, why: why}
	}
	switch {
	case errors.Is(t.caller.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, egress.ErrBadAlias):
		return dns(false, "its aliases (CNAME, DNAME) go in a circle or on for too long")
	case errors.Is(err, egress.ErrServerFailed):
		return dns(true, "the DNS server could not answer (SERVFAIL or the like; wrong DNSSEC signatures are a frequent cause)")
	case errors.Is(err, egress.ErrNotAuthenticated):
		return dns(false, "the answer is not authenticated by DNSSEC, which this server insists on; sign the zone")
	case errors.Is(err, egress.ErrLimit):
		return dns(false, "the answer is larger, or takes more questions, than one validation may use")
	default:
		return dns(true, egress.ErrNoAnswer.Error()+" in time")
	}
}

// digestOf is what a TXT record has to hold (R8555-8.4-2).
func digestOf(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// judgeDigest looks for the digest of the key authorization among values: any
// record will do (R8555-8.4-3), and it has to be the same to the letter
// (R8555-8.4-4).
func judgeDigest(values []string, keyAuthorization string) *failure {
	want := digestOf(keyAuthorization)
	near := map[string]int{}
	for _, v := range values {
		if subtle.ConstantTimeCompare([]byte(v), []byte(want)) == 1 {
			return nil
		}
		near[kindOfWrong(v, want, keyAuthorization)]++
	}
	var kinds []string
	for _, kind := range []string{looseDigest, plainAuthorization, otherDigest, otherText} {
		if n := near[kind]; n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
		}
	}
	return &failure{kind: acme.Unauthorized, why: "no record is the digest of the key authorization, which has 43 characters: " + strings.Join(kinds, ", ")}
}

// What a wrong record can be, without showing any of it.
const (
	looseDigest        = "with it in quotes, with spaces or in another case (publish it exactly)"
	plainAuthorization = "with the key authorization itself (publish its SHA-256 in base64url)"
	otherDigest        = "with another digest (of another order, or of another account key)"
	otherText          = "with something else"
)

func kindOfWrong(v, want, keyAuthorization string) string {
	bare := strings.Trim(v, "\"' \t\r\n=")
	switch {
	case strings.EqualFold(bare, want):
		return looseDigest
	case bare == keyAuthorization:
		return plainAuthorization
	case len(v) == len(want) && !strings.ContainsFunc(v, notBase64URL):
		return otherDigest
	default:
		return otherText
	}
}

// fits refuses names that are too long for the labels in front of them.
func fits(name string) (why string) {
	if len(name) > 253 {
		return "with the labels of the method in front, the name is longer than 253 characters"
	}
	return ""
}
