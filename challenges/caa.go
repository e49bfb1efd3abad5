package challenges

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/egress"
)

// CAAResolver looks CAA records up. [egress.Resolver] is the one to use.
type CAAResolver interface {
	LookupCAA(ctx context.Context, names ...string) []egress.CAAAnswer
}

// CAAConfig says how CAA is looked up.
type CAAConfig struct {
	Resolver CAAResolver // required
	// Timeout bounds one check; 0 means 20 s.
	Timeout time.Duration
}

// CAA checks whether the holder of a domain lets a CA issue for it (RFC 8659,
// RFC 8657).
type CAA struct {
	resolver CAAResolver
	timeout  time.Duration
}

// NewCAA checks cfg and returns the checker.
func NewCAA(cfg CAAConfig) (*CAA, error) {
	c := &CAA{resolver: cfg.Resolver, timeout: cfg.Timeout}
	switch {
	case c.resolver == nil:
		return nil, errors.New("challenges: CAA needs a resolver")
	case c.timeout < 0:
		return nil, errors.New("challenges: the time-out of CAA cannot be negative")
	case c.timeout == 0:
		c.timeout = 20 * time.Second
	}
	return c, nil
}

// CAARequest is what is about to be issued, or has been proved just now.
type CAARequest struct {
	Name     string // without the wildcard prefix
	Wildcard bool
	// Identities are the domain names, in lower case, by which records name
	// the CA, as the caaIdentities of the directory say them (R8555-7.1.1-4).
	// In front of a CA that checks CAA itself, they have to be that CA's.
	Identities []string
	// AccountURL and Method are who asks, and how control was proved.
	AccountURL string
	Method     acme.ChallengeType
}

// Check looks the records up and judges them. The outcome is valid when
// issuance is allowed. A problem of type caa is the word of the holder; one of
// type dns means that nobody could say, which is not permission (SD-4,
// R8659-V-1).
func (c *CAA) Check(caller context.Context, r CAARequest) acme.Outcome {
	if _, err := netip.ParseAddr(r.Name); err == nil {
		return acme.Outcome{Valid: true} // R8738-P-1
	}
	name, why := canonicalHost(strings.ToLower(r.Name))
	if why != "" {
		return acme.Outcome{Problem: acme.Problemf(acme.CAA, "the CAA records of %q cannot be looked up: %s", r.Name, why)}
	}
	r.Name = name
	ctx, tr, done := begin(caller, c.timeout)
	defer done()
	failed, problem := c.check(ctx, tr, r)
	tr.learn()
	out := acme.Outcome{Valid: problem == nil, Problem: problem, Steps: tr.steps}
	if failed != nil {
		out.Retry = failed.retry
	}
	return out
}

// check climbs from the name to its top-level domain. failed is set when the
// DNS is what went wrong.
func (c *CAA) check(ctx context.Context, tr *trial, r CAARequest) (failed *failure, _ *acme.Problem) {
	names := levels(r.Name)
	for i, answer := range c.resolver.LookupCAA(ctx, names...) {
		top := i == len(names)-1
		switch {
		case errors.Is(answer.Err, egress.ErrNoSuchName) && !top:
			// An empty answer, below the top-level domain (R8659-BR-3).
		case errors.Is(answer.Err, egress.ErrNoSuchName):
			return nil, acme.Problemf(acme.DNS, "CAA of %s: the top-level domain %s does not exist, so nobody can say whether %s may have a certificate", answer.Name, answer.Name, r.Name)
		case answer.Err != nil:
			failed = tr.queryFailure(answer.Err)
			return failed, acme.Problemf(failed.kind, "CAA of %s, which has to be known before %s may have a certificate: %s", answer.Name, r.Name, failed.why)
		case len(answer.Records) > 0:
			// R8659-3-1: the nearest set of records counts, and no other.
			if why := judgeCAA(answer.Records, r); why != "" {
				return nil, acme.Problemf(acme.CAA, "the CAA records of %s do not let %s issue for %s%s: %s",
					answer.Name, strings.Join(r.Identities, ", "), wildcardPrefix(r), r.Name, why)
			}
			return nil, nil
		}
	}
	return nil, nil
}

func wildcardPrefix(r CAARequest) string {
	if r.Wildcard {
		return "*."
	}
	return ""
}

// levels are the names from name up to its top-level domain; the root is not
// asked (R8659-3-1).
func levels(name string) []string {
	var all []string
	for name != "" {
		all = append(all, name)
		_, name, _ = strings.Cut(name, ".")
	}
	return all
}

// judgeCAA says why a set of records forbids r; it is empty when it does not.
func judgeCAA(records []egress.CAARecord, r CAARequest) (why string) {
	var issue, issuewild []string
	for _, record := range records {
		switch strings.ToLower(record.Tag) {
		case "issue":
			issue = append(issue, record.Value)
		case "issuewild":
			issuewild = append(issuewild, record.Value)
		case "iodef", "issuemail", "issuevmc": // R8659-4-1: known, and not about this
		default:
			// R8659-4.1-1. The lowest bit is what some take for the flag, who
			// count bits from the other end.
			if record.Flags&(1<<7|1) != 0 {
				return "one of them is critical, and of a kind that is not known here"
			}
		}
	}
	relevant := issue
	if r.Wildcard && len(issuewild) > 0 { // R8659-4.3-1, -2
		relevant = issuewild
	}
	if len(relevant) == 0 {
		return ""
	}
	foreign := 0
	for _, value := range relevant {
		v, err := parseIssueValue(value)
		// R8659-4.2-1: what does not follow the grammar names nobody.
		if err != nil || !slices.Contains(r.Identities, v.issuer) {
			foreign++
			continue
		}
		if why = restricted(v, r); why == "" {
			return "" // any one will do
		}
	}
	if foreign == len(relevant) {
		return "it is not named among " + several(foreign, "record", "records") + " that say who may"
	}
	return why
}

// restricted says why a record that names us is not meant for r (RFC 8657).
func restricted(v issueValue, r CAARequest) (why string) {
	switch account := v.all("accounturi"); {
	case len(account) > 1: // R8657-3-1
		return "a record that names it has two accounturi parameters"
	case len(account) == 1 && (account[0] != r.AccountURL || r.AccountURL == ""):
		return "a record that names it is for another account (accounturi)"
	}
	switch methods := v.all("validationmethods"); {
	case len(methods) > 1: // R8657-4-1
		return "a record that names it has two validationmethods parameters"
	case len(methods) == 1:
		listed := strings.Split(methods[0], ",")
		if slices.ContainsFunc(listed, func(m string) bool { return !isMethod(m) }) {
			return "a record that names it has a validationmethods parameter that is not well formed"
		}
		if !slices.Contains(listed, string(r.Method)) {
			return fmt.Sprintf("a record that names it does not allow the method %s (validationmethods)", r.Method)
		}
	}
	return ""
}

// isMethod accepts the labels of validation methods (RFC 8657, section 4).
func isMethod(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}
