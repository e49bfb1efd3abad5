package acme

import (
	"slices"
	"strings"
	"time"
)

// maxProductID is longer than any profile id of a Central Server.
const maxProductID = 100

// XRoadProductID returns the certificate profile id in the User-Agent of a
// Security Server, or "" when it has none. It is the first word that contains
// profile_id, as acme2certifier has it. Without an id for one usage, Security
// Servers send the word null.
func XRoadProductID(userAgent string) string {
	for word := range strings.FieldsSeq(userAgent) {
		if !strings.Contains(word, "profile_id") {
			continue
		}
		_, id, _ := strings.Cut(word, "=")
		if id == "null" || len(id) > maxProductID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return ""
		}
		return id
	}
	return ""
}

// ProductID is the certificate profile id by which the Central Server names the
// profile; without one it is the profile's name.
func (p Profile) ProductID() string {
	if p.XRoad.ProfileID != "" {
		return p.XRoad.ProfileID
	}
	return string(p.Name)
}

// XRoadWish is what is known, when an order is finalized, of the profile that a
// Security Server means. It names none in orders.
type XRoadWish struct {
	// Offered are the profiles of the directory, in its order, and Allowed says
	// which of them the external account key allows.
	Offered []Profile
	Allowed func(ProfileName) bool
	// Remembered are the profiles that the account was given before.
	Remembered []ProfileName
	// ID is the profile id of the User-Agent, which comes with first orders only.
	ID string
}

// ChooseXRoad returns the profile under which an order for current is finalized.
// The external account key has the first word and the key usage of the CSR the
// second; the profile id selects among what these leave and contradicts neither.
// A profile id that the directory does not have is of another CA on the same
// host, whose id a Security Server sends to all of them: known is false then,
// and the rest decides.
func ChooseXRoad(current Profile, w XRoadWish, csr CSR) (chosen Profile, known bool, problem *Problem) {
	ours := slices.DeleteFunc(slices.Clone(w.Offered), func(p Profile) bool { return p.XRoad.Usage == "" })
	allowed := slices.DeleteFunc(slices.Clone(ours), func(p Profile) bool { return !w.Allowed(p.Name) })
	usage := current.XRoad.Usage
	if asked := xroadUsageOf(csr); asked != "" && slices.ContainsFunc(allowed, func(p Profile) bool { return p.XRoad.Usage == asked }) {
		usage = asked
	}
	of := func(all []Profile, matches func(Profile) bool) (Profile, bool) {
		i := slices.IndexFunc(all, func(p Profile) bool { return p.XRoad.Usage == usage && matches(p) })
		if i < 0 {
			return Profile{}, false
		}
		return all[i], true
	}
	named := func(p Profile) bool { return p.ProductID() == w.ID }
	if w.ID != "" {
		if p, ok := of(allowed, named); ok {
			return p, true, nil
		}
		if _, ok := of(ours, named); ok {
			return current, true, Problemf(Unauthorized,
				"the User-Agent asks for the profile id %q, which the external account key of this account does not allow; ask the operator for a key that does, or correct the profile id of the CA at the Central Server", w.ID)
		}
		if slices.ContainsFunc(ours, named) {
			return current, true, Problemf(Unauthorized,
				"the User-Agent asks for the profile id %q, which is not for %s certificates, and this is one; correct the profile ids of the CA at the Central Server, or use the external account key of the other usage", w.ID, usage)
		}
	}
	if current.XRoad.Usage == usage && w.Allowed(current.Name) {
		return current, w.ID == "", nil
	}
	if p, ok := of(allowed, func(p Profile) bool { return slices.Contains(w.Remembered, p.Name) }); ok {
		return p, w.ID == "", nil
	}
	if p, ok := of(allowed, func(Profile) bool { return true }); ok {
		return p, w.ID == "", nil
	}
	return current, w.ID == "", nil // which is refused for what it lacks
}

// xroadUsageOf is what the CSR's key is for, where it says that clearly.
func xroadUsageOf(csr CSR) XRoadUsage {
	i := slices.IndexFunc(csr.Extensions, extensionIs(oidKeyUsage))
	if i < 0 {
		return ""
	}
	asked, err := readKeyUsage(csr.Extensions[i].Value)
	if err != nil {
		return ""
	}
	sign, auth := slices.Contains(asked, "nonRepudiation"), slices.ContainsFunc(asked, func(bit string) bool { return slices.Contains(authenticationBits, bit) })
	switch {
	case sign && !auth:
		return XRoadSign
	case auth && !sign:
		return XRoadAuth
	default:
		return ""
	}
}

// authenticationBits are those by which a Security Server knows keys and
// certificates for authentication.
var authenticationBits = []string{"digitalSignature", "keyEncipherment", "dataEncipherment"}

// Remember adds a profile to those that the account was given, in place of what
// it had of the same usage; profiles has those that there are. changed is false
// when it was there already.
func (a *Account) Remember(p Profile, profiles map[ProfileName]Profile) (changed bool) {
	if slices.Contains(a.Products, p.Name) {
		return false
	}
	kept := slices.DeleteFunc(slices.Clone(a.Products), func(n ProfileName) bool {
		return profiles[n].XRoad.Usage == p.XRoad.Usage || profiles[n].XRoad.Usage == ""
	})
	a.Products = append(kept, p.Name)
	return true
}

// The pauses that Security Servers are told to make between two looks. They add
// Retry-After to the Date of the answer, and give the order up when that lies in
// the past; and they look five times, with a person in front of it.
const (
	xroadShortestPause = 5 * time.Second
	xroadLongestPause  = time.Minute
)

// Pause returns how long a client is told to wait before it looks again at what
// is expected to be done after d: at least RetryAfter. Security Servers are told
// 5 to 60 seconds, or RetryAfter where that is longer.
func (p Profile) Pause(d time.Duration) time.Duration {
	if p.XRoad.Usage == "" {
		return max(d, p.RetryAfter)
	}
	shortest := max(p.RetryAfter, xroadShortestPause)
	return min(max(d, shortest), max(shortest, xroadLongestPause))
}

// xroadLooks is how often a Security Server looks at an order.
const xroadLooks = 5

// Patience is how long a client that makes its pauses by Pause waits for an order;
// zero where nobody knows.
func (p Profile) Patience() time.Duration {
	if p.XRoad.Usage == "" {
		return 0
	}
	return xroadLooks * p.Pause(0)
}
