package globalsign

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/caclient"
)

// Policy is what an account's certificates may be.
type Policy struct {
	Validity *struct {
		SecondsMin   int64 `json:"secondsmin"`
		SecondsMax   int64 `json:"secondsmax"`
		NegativeSkew int64 `json:"not_before_negative_skew"`
	} `json:"validity"`
	// Subject has a rule for each part of the subject, by its name.
	Subject map[string]Field `json:"subject_dn"`
	SAN     *struct {
		Names     *List `json:"dns_names"`
		Addresses *List `json:"ip_addresses"`
	} `json:"san"`
	Usages *struct {
		List List `json:"ekus"`
	} `json:"extended_key_usages"`
	PublicKey *struct {
		Type    string `json:"key_type"`
		Lengths []int  `json:"allowed_lengths"`
		Format  string `json:"key_format"`
	} `json:"public_key"`
	// KeySignature says whether possession of the key has to be proved apart.
	KeySignature string `json:"public_key_signature"`
	Signature    *struct {
		Hash *struct {
			List []string `json:"list"`
		} `json:"hash_algorithm"`
	} `json:"signature"`

	// all are the rules as the CA has them, those that are not known here too.
	all map[string]json.RawMessage
}

// Field is the rule for one value.
type Field struct {
	// Presence is REQUIRED, OPTIONAL, FORBIDDEN or STATIC.
	Presence string `json:"presence"`
	Format   string `json:"format"`
	// Static and Min are those of a part that may be there more than once.
	Static bool `json:"static"`
	Min    int  `json:"mincount"`
}

// always says that the value is in each certificate.
func (f Field) always() bool {
	return f.Static || f.Min > 0 || f.Presence == "STATIC" || f.Presence == "REQUIRED"
}

// List is the rule for several values.
type List struct {
	// Static values are put in by the CA, and may not be sent.
	Static bool     `json:"static"`
	Values []string `json:"list"`
	Min    int      `json:"mincount"`
	Max    int      `json:"maxcount"`
}

// Policy reads the policy of the account.
func (c *Client) Policy(ctx context.Context) (p Policy, err error) {
	reply, err := c.get(ctx, caclient.Call{Op: "read the validation policy", Path: "validationpolicy"}, &p)
	if err == nil {
		err = reply.JSON(&p.all)
	}
	return p, err
}

// allows says whether a value is one of a list, each entry of which is a value or
// a regular expression for one; an empty list leaves it open.
func (l List) allows(value string) bool {
	return len(l.Values) == 0 || slices.ContainsFunc(l.Values, func(entry string) bool { return fits(entry, value) })
}

// longestPattern bounds what is compiled.
const longestPattern = 4096

func fits(pattern, value string) bool {
	if pattern == value {
		return true
	}
	if len(pattern) > longestPattern {
		return false
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$") // which takes time in proportion to the value, whatever the pattern
	return err == nil && re.MatchString(value)
}

// count says what is wrong with a number of values.
func (l *List) count(n int, what string) string {
	switch {
	case n == 0 && (l == nil || l.Min == 0):
	case l == nil:
		return "the account at the certificate authority takes no " + what
	case n > l.Max && l.Max > 0, n > 0 && l.Max == 0 && l.Min == 0 && len(l.Values) == 0:
		return fmt.Sprintf("the account at the certificate authority takes up to %d %s, and this order has %d", l.Max, what, n)
	case n < l.Min:
		return fmt.Sprintf("the account at the certificate authority wants %d %s or more, and this order has %d", l.Min, what, n)
	}
	return ""
}

const commonName = "common_name"

// subject says what to send so that the subject turns out as the contract wants,
// or why it cannot.
func (p Policy) subject(c acme.Contract) (s *Subject, why string) {
	byCA := c.Subject == acme.SubjectByCA
	for name, f := range p.Subject {
		if name != commonName && f.always() && !byCA {
			return nil, "the account at the certificate authority puts more into the subject than a name: the profile needs subject: by_ca"
		}
	}
	rule := p.Subject[commonName]
	free := rule.Presence == "REQUIRED" || rule.Presence == "OPTIONAL"
	switch {
	case c.Subject == acme.SubjectCommonName && !free && c.CommonName != "":
		return nil, "the account at the certificate authority takes no common name: the profile needs subject: empty or by_ca"
	case c.Subject == acme.SubjectEmpty && rule.always():
		return nil, "the account at the certificate authority wants a common name: the profile needs another subject than empty"
	case c.Subject == acme.SubjectEmpty, !free:
		return nil, ""
	case c.Subject != acme.SubjectCommonName && !byCA:
		return nil, "the certificate authority takes no subject of a client's choice"
	}
	if name := nameForSubject(c); name != "" {
		return &Subject{CommonName: name}, ""
	}
	if rule.Presence == "REQUIRED" {
		return nil, "the certificate authority wants a DNS name of at most 64 characters among the names"
	}
	return nil, ""
}

func nameForSubject(c acme.Contract) string {
	if c.CommonName != "" || c.Subject == acme.SubjectCommonName {
		return c.CommonName
	}
	for _, id := range c.Identifiers {
		if id.Type == acme.DNSIdentifier && len(id.Value) <= 64 {
			return id.Value
		}
	}
	return ""
}

// hashes are those that may be asked for, the usual one first.
var hashes = []string{"SHA-256", "SHA-384", "SHA-512"}

func (p Policy) hash() (string, bool) {
	if p.Signature == nil || p.Signature.Hash == nil || len(p.Signature.Hash.List) == 0 {
		return hashes[0], true
	}
	for _, h := range hashes {
		if slices.Contains(p.Signature.Hash.List, h) {
			return h, true
		}
	}
	return "", false
}

var usageOIDs = map[acme.Usage]string{acme.ServerAuth: "1.3.6.1.5.5.7.3.1", acme.ClientAuth: "1.3.6.1.5.5.7.3.2"}

// usages says which OIDs to send so that a certificate has exactly these usages,
// or why it cannot.
func (p Policy) usages(want []acme.Usage) (oids []string, why string) {
	for _, u := range want {
		oid := usageOIDs[u]
		if oid == "" {
			return nil, refusedUsage
		}
		oids = append(oids, oid)
	}
	if len(oids) == 0 {
		return nil, refusedUsage
	}
	if p.Usages == nil {
		return nil, "the account at the certificate authority gives certificates no usages"
	}
	l := p.Usages.List
	if l.Static {
		given := slices.Sorted(slices.Values(l.Values))
		if !slices.Equal(given, slices.Sorted(slices.Values(oids))) {
			return nil, "the account at the certificate authority gives all certificates the usages " + words(given) + ", and this profile wants " + words(oids)
		}
		return nil, ""
	}
	for _, oid := range oids {
		if !l.allows(oid) {
			return nil, "the account at the certificate authority gives no certificates for " + words([]string{oid})
		}
	}
	return oids, l.count(len(oids), "usages")
}

// words names usages.
func words(oids []string) string {
	var all []string
	for _, oid := range oids {
		switch oid {
		case usageOIDs[acme.ServerAuth]:
			oid = "serverAuth"
		case usageOIDs[acme.ClientAuth]:
			oid = "clientAuth"
		default:
			oid = "another usage" // what the CA writes may be anything (SC-18)
		}
		all = append(all, oid)
	}
	return strings.Join(all, " and ")
}

// forever bounds what a number of seconds is taken for.
const forever = 100 * 365 * 24 * 3600

// longest is the longest validity, zero where nothing is said.
func (p Policy) longest() time.Duration {
	if p.Validity == nil || p.Validity.SecondsMax <= 0 || p.Validity.SecondsMax > forever {
		return 0
	}
	return time.Duration(p.Validity.SecondsMax) * time.Second
}
