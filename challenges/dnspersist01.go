package challenges

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
)

// DNSPersist01Config says how dns-persist-01 is tried.
type DNSPersist01Config struct {
	DNSConfig
	// AccountHashPrefix is what hashed account URIs begin with, as the meta
	// object of the directory tells clients. Required unless Draft01.
	AccountHashPrefix string
	// Draft01 takes the URL of the account in the clear, as revision 01 of the
	// draft and those before it have it, instead of the hash of revision 02.
	Draft01 bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DNSPersist01 proves control by a TXT record that stays: it names the CA and
// the account, and serves one order after the other
// (draft-ietf-acme-dns-persist).
type DNSPersist01 struct {
	txt
	prefix  string
	draft01 bool
	now     func() time.Time
}

var _ Validator = (*DNSPersist01)(nil)

// NewDNSPersist01 checks cfg and returns the validator.
func NewDNSPersist01(cfg DNSPersist01Config) (*DNSPersist01, error) {
	t, err := newTXT(acme.DNSPersist01, cfg.DNSConfig)
	if err != nil {
		return nil, err
	}
	if !cfg.Draft01 && (cfg.AccountHashPrefix == "" || strings.ContainsFunc(cfg.AccountHashPrefix, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' })) {
		return nil, errors.New("challenges: dns-persist-01 needs an account hash prefix, such as https://ca.example/account-hash/")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &DNSPersist01{txt: t, prefix: cfg.AccountHashPrefix, draft01: cfg.Draft01, now: cfg.Now}, nil
}

// CheckIssuerDomainNames says what is wrong with a list of names for the CA
// (RDP-1).
func CheckIssuerDomainNames(names []string) error {
	if len(names) < 1 || len(names) > 10 {
		return fmt.Errorf("challenges: dns-persist-01 needs one to ten issuer domain names, and has %d", len(names))
	}
	for _, n := range names {
		if !isIssuer(n) || n != strings.ToLower(n) {
			return fmt.Errorf("challenges: issuer domain name %q: write a domain name in lower case, without a dot at the end", n)
		}
	}
	return nil
}

// Type returns dns-persist-01.
func (v *DNSPersist01) Type() acme.ChallengeType { return acme.DNSPersist01 }

// Validate looks for the record. It is looked for at the identifier itself
// only: a record of a domain above it does not count, whatever its policy.
func (v *DNSPersist01) Validate(ctx context.Context, t Target) acme.Outcome {
	name, why := dnsIdentifier(t)
	if why == "" && t.AccountURL == "" {
		why = "it names no account"
	}
	if why == "" && len(t.IssuerDomainNames) == 0 {
		why = "its challenge offered no name for the CA"
	}
	accounts := []string{t.AccountURL}
	if !v.draft01 {
		accounts = v.hashedURIs(name, t)
	}
	if why == "" && len(accounts) == 0 {
		why = "the key of the account is not known"
	}
	at := "_validation-persist." + name
	if why == "" {
		why = fits(at)
	}
	if why != "" {
		return unfit(acme.DNSPersist01, why)
	}
	r := persistRules{issuers: t.IssuerDomainNames, accounts: accounts, wildcard: t.Wildcard, now: v.now()} // RDP-3
	var until time.Time
	out, answer := v.validate(ctx, at, func(values []string) (failed *failure) {
		until, failed = r.judge(values)
		return failed
	})
	switch {
	case !out.Valid:
	case v.draft01:
		// Up to revision 01 the life of the record in caches bounds for how
		// long others may rely on it (RDP-8); a second is the least there is.
		out.ReuseFor = max(answer.TTL, time.Second)
	default:
		out.Expires = until // since revision 02, persistUntil does
	}
	return out
}

// hashedURIs are all that a record may give for the account: made of each of
// its keys, and of the name or, by the choice of the client, of none.
func (v *DNSPersist01) hashedURIs(name string, t Target) []string {
	keys := t.Thumbprints
	if i := strings.LastIndexByte(t.KeyAuthorization, '.'); i >= 0 && i+1 < len(t.KeyAuthorization) {
		keys = append([]string{t.KeyAuthorization[i+1:]}, keys...)
	}
	var uris []string
	for _, key := range keys {
		for _, domain := range []string{name, "*"} {
			uris = append(uris, HashedAccountURI(v.prefix, domain, key, t.AccountURL))
		}
	}
	return uris
}

// HashedAccountURI is how revision 02 of the draft names an account in a
// record for domain. thumbprint is that of the account's key; domain "*" makes
// a URI for all domains.
func HashedAccountURI(prefix, domain, thumbprint, accountURL string) string {
	sum := sha256.Sum256([]byte(string([]byte{byte(len(domain))}) + domain + thumbprint + accountURL))
	return prefix + "sha-256/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// persistRules are what a record has to say.
type persistRules struct {
	issuers  []string
	accounts []string
	wildcard bool
	now      time.Time
}

// judge tries each record that names us, and ignores all others (RDP-7). until
// is when the record that counts ends by its own word.
func (r persistRules) judge(values []string) (until time.Time, failed *failure) {
	ours := 0
	for _, s := range values {
		if !slices.Contains(r.issuers, strings.TrimSuffix(issuerOf(s), ".")) {
			continue
		}
		ours++
		end, wrong := r.record(s)
		if wrong == nil {
			return end, nil
		}
		if failed == nil {
			failed = wrong
		}
	}
	if failed == nil {
		return until, &failure{kind: acme.Unauthorized, why: fmt.Sprintf("no record names this CA; begin it with %s", strings.Join(r.issuers, " or "))} // RDP-3
	}
	if ours > 1 {
		failed.why = fmt.Sprintf("none of the %d records that name this CA will do; the first: %s", ours, failed.why)
	}
	return until, failed
}

func (r persistRules) record(s string) (until time.Time, failed *failure) {
	wrong := func(kind acme.ProblemType, why string) (time.Time, *failure) {
		return time.Time{}, &failure{kind: kind, why: why}
	}
	v, err := parseIssueValue(s)
	switch {
	case err != nil:
		return wrong(acme.Malformed, "the record is not of the form issuer; tag=value; tag=value (RFC 8659, section 4.2)")
	case v.duplicate(): // RDP-6
		return wrong(acme.Malformed, "the record has a parameter twice")
	}
	account := v.all("accounturi")
	if len(account) == 0 { // RDP-4
		return wrong(acme.Malformed, "the record has no accounturi")
	}
	if written := v.all("persistUntil"); len(written) == 1 { // RDP-5
		if until, err = unixTime(written[0]); err != nil {
			return wrong(acme.Malformed, "persistUntil of the record is not a number of seconds since 1970")
		}
	}
	policy := v.all("policy")
	switch {
	case !slices.Contains(r.accounts, account[0]):
		return wrong(acme.Unauthorized, "accounturi of the record is not that of this account")
	case !until.IsZero() && r.now.After(until):
		return wrong(acme.Unauthorized, "the record has ended by its persistUntil")
	case r.wildcard && (len(policy) == 0 || !strings.EqualFold(policy[0], "wildcard")):
		return wrong(acme.Unauthorized, "the record does not allow wildcards; add policy=wildcard")
	}
	return until, nil
}

// farFuture is later than any number that a clock will reach.
const farFuture = 253402300799 // the end of the year 9999

// unixTime reads a decimal number of seconds.
func unixTime(s string) (time.Time, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, errGrammar
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > farFuture {
		n = farFuture
	}
	return time.Unix(n, 0).UTC(), nil
}
