package localca

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"acmebridge/internal/keyfile"
)

// KeyType names a kind of CA key.
type KeyType string

// The key types. P-256 signs several times faster.
const (
	P256 KeyType = "p256"
	P384 KeyType = "p384"
)

// Config describes the CA. Only Dir and Name are needed. What is said of keys,
// names and validity of the CA's own certificates counts when they are made
// and is not held against those that exist.
type Config struct {
	// Dir is the folder of the CA. It is made when missing.
	Dir string
	// Name is the name of the backend. It appears in the paths of what is
	// published and, unless the names below are set, in the CA's own name.
	Name string

	// KeyType is for the issuing keys, RootKeyType for the root's. Both are
	// P256 unless set.
	KeyType     KeyType
	RootKeyType KeyType
	// Organization and Country go into the names of root and issuers; RootName
	// and IssuerName are their common names. Without them a name is made from
	// Name and the key, because two CAs of one name confuse trust stores.
	Organization string
	Country      string
	RootName     string
	IssuerName   string
	// RootValidity is 10 years unless set, IssuerValidity 5 years.
	RootValidity   time.Duration
	IssuerValidity time.Duration

	// LeafValidity is the longest validity that profiles ask for, 90 days
	// unless set. Check raises its alarm while there is still that much left,
	// and a month for the ceremony.
	LeafValidity time.Duration
	// Backdate is how long before the order a certificate begins, so that
	// clients whose clocks are behind accept it. One minute unless set.
	Backdate time.Duration

	// PublicURL is the base URL of the PKI listener, http://localhost:14080.
	// Certificates point there for the issuer's certificate and for the
	// revocation list; without it they point nowhere.
	PublicURL string
	// Alternates are files with further chains, in PEM: our root, or one of our
	// issuing keys, as another authority has certified it, then what lies above
	// that, up to and including the other root.
	Alternates []string
	// CRLValidity is how long a list may be used, a week unless set;
	// CRLInterval is when the next one is due, a day unless set.
	CRLValidity time.Duration
	CRLInterval time.Duration
	// OCSP has certificates point at PublicURL/ocsp for their state, and the CA
	// certify the keys that sign answers there. SignerValidity is how long such a
	// key is good, 30 days unless set; after half of that another follows.
	OCSP           bool
	SignerValidity time.Duration

	// Passphrase returns what the keys are encrypted with. Nil leaves them
	// protected by their file mode alone.
	Passphrase func() ([]byte, error)
	// Queued makes Backend hide that certificates could be had at once.
	Queued bool

	// Now is the clock, time.Now unless set. Random is where the serial
	// numbers of CA certificates come from, crypto/rand unless set.
	Now    func() time.Time
	Random io.Reader

	// iterations is keyfile.Iterations, but for tests that make many CAs.
	iterations int
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// pathName keeps names usable in URLs. There is no dot in it, because a dot
// sets off the number of an issuer: "local.2" is never a backend.
var pathName = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$`)

// complete returns the configuration with every default filled in, or says
// what is wrong with it.
func (c Config) complete() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("localca: no folder configured for the CA")
	}
	if !pathName.MatchString(c.Name) {
		return c, fmt.Errorf("localca: the name %q does not fit: use up to 40 lower case letters, digits, - and _", c.Name)
	}
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.RootValidity, 10*year)
	set(&c.IssuerValidity, 5*year)
	set(&c.LeafValidity, 90*day)
	set(&c.Backdate, time.Minute)
	set(&c.CRLValidity, 7*day)
	set(&c.CRLInterval, min(day, c.CRLValidity/2))
	set(&c.SignerValidity, 30*day)
	if c.KeyType == "" {
		c.KeyType = P256
	}
	if c.RootKeyType == "" {
		c.RootKeyType = P256
	}
	for _, t := range []KeyType{c.KeyType, c.RootKeyType} {
		if t != P256 && t != P384 {
			return c, fmt.Errorf("localca: key type %q is not known: use p256 or p384", t)
		}
	}
	if c.Organization == "" {
		c.Organization = "acmebridge"
	}
	for what, s := range map[string]string{"organization": c.Organization, "root name": c.RootName, "issuer name": c.IssuerName} {
		// X.520 allows 64 characters; 4 of them are for the number of an issuer.
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 60 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			return c, fmt.Errorf("localca: the %s %q does not fit: use up to 60 printable characters", what, s)
		}
	}
	if c.Country != "" && !regexp.MustCompile(`^[A-Z]{2}$`).MatchString(c.Country) {
		return c, fmt.Errorf("localca: the country %q is not two capital letters", c.Country)
	}
	switch {
	case c.Backdate < time.Second || c.Backdate > time.Hour:
		return c, fmt.Errorf("localca: backdate %s: use a second to an hour", c.Backdate)
	case c.IssuerValidity <= c.LeafValidity || c.RootValidity < c.IssuerValidity:
		return c, fmt.Errorf("localca: a root of %s, an issuer of %s and a certificate of %s: each must outlive the next", c.RootValidity, c.IssuerValidity, c.LeafValidity)
	case c.CRLValidity <= 0 || c.CRLInterval <= 0 || c.CRLInterval > c.CRLValidity:
		return c, fmt.Errorf("localca: a list valid for %s and renewed every %s: the next one must come before the last one ends", c.CRLValidity, c.CRLInterval)
	}
	if c.SignerValidity < time.Hour {
		return c, fmt.Errorf("localca: keys that sign OCSP answers for %s: use an hour or more", c.SignerValidity)
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return c, fmt.Errorf("localca: the public URL %q does not fit: use a form such as http://pki.example.org", c.PublicURL)
		}
		c.PublicURL = strings.TrimSuffix(u.String(), "/")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.iterations == 0 {
		c.iterations = keyfile.Iterations
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c, nil
}
