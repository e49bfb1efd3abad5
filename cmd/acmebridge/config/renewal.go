package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
)

// Renewal says when clients are told to renew (RFC 9773).
type Renewal struct {
	WindowStart    string `key:"window_start" doc:"Begin of the window: a part of the life that has passed, such as 2/3, or the time that is left of it, such as 30d. Empty, like window_end: the window lies around 2/3 of the life, or 1/2 of one under ten days, a hundredth of it either way. So does that of a certificate whose life is too short for these."`
	WindowEnd      string `key:"window_end" doc:"End of the window, written in the same way."`
	ExplanationURL string `key:"explanation_url" doc:"URL of a page for people that says why certificates are renewed when they are. The operator can give single ones another one."`
}

// policy returns what the rules make of it. A loaded configuration has no
// errors here.
func (r Renewal) policy() (acme.RenewalPolicy, bool) {
	start, ok1 := renewalPoint(r.WindowStart)
	end, ok2 := renewalPoint(r.WindowEnd)
	return acme.RenewalPolicy{Start: start, End: end, Explanation: r.ExplanationURL}, ok1 && ok2
}

// renewalPoint reads a moment in the life of a certificate.
func renewalPoint(text string) (p acme.RenewalPoint, ok bool) {
	if text == "" {
		return p, true
	}
	if strings.Contains(text, "/") {
		p, err := acme.ParseFraction(text)
		return p, err == nil
	}
	d, err := ParseDuration(text)
	return acme.RenewalPoint{Left: d}, err == nil && d > 0
}

func checkRenewal(p Profile, key string, r *report) {
	if (p.Renewal.WindowStart == "") != (p.Renewal.WindowEnd == "") {
		r.add(key, "needs both window_start and window_end, or neither")
	}
	for _, v := range []struct{ key, text string }{{"window_start", p.Renewal.WindowStart}, {"window_end", p.Renewal.WindowEnd}} {
		if _, ok := renewalPoint(v.text); !ok {
			r.add(key+"."+v.key, "must be a part of the life such as 2/3, or the time that is left of it such as 30d")
		}
	}
	checkLink(p.Renewal.ExplanationURL, key+".explanation_url", r)
	policy, ok := p.Renewal.policy()
	if !ok || policy.Start.IsZero() || policy.End.IsZero() {
		return
	}
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	from, to := policy.Start.In(begin, begin.Add(p.Validity)), policy.End.In(begin, begin.Add(p.Validity))
	switch {
	case !from.After(begin):
		r.add(key+".window_start", "is before the certificate begins; its validity is %s", FormatDuration(p.Validity))
	case !to.After(from):
		r.add(key+".window_end", "is not after window_start, for a validity of %s", FormatDuration(p.Validity))
	}
}

// unreachableProfiles says which profiles no new account can ever order.
func (c *Config) unreachableProfiles() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d := c.Directories[name]
		if d.ExternalAccount != acme.ExternalAccountOff {
			continue
		}
		for _, p := range d.Profiles {
			if rule := c.Profiles[string(p)].Authorization; rule.AsksRegistry() {
				all = append(all, "directories."+name+": no new account can order profile "+string(p)+", which asks the registry for the account's member (authorization: "+
					string(rule)+"), because external_account: off lets no account have one; use required or optional")
			}
		}
	}
	return all
}
