package ib1

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Tree is one of the hierarchies of a framework.
type Tree string

// The trees.
const (
	Client  Tree = "client"
	Signing Tree = "signing"
	Server  Tree = "server"
)

// Trees lists them.
func Trees() []Tree { return []Tree{Client, Signing, Server} }

// word is the tree in the names of its CAs.
func (t Tree) word() (string, error) {
	switch t {
	case Client:
		return "Client", nil
	case Signing:
		return "Signing", nil
	case Server:
		return "Server", nil
	}
	return "", fmt.Errorf("ib1: there is no tree %q: use client, signing or server", t)
}

const day = 24 * time.Hour

// Settings describe a framework in one environment. They go into certificates,
// so the machine that keeps the roots and those that issue must have the same.
type Settings struct {
	// Label is what the names of the CAs begin with: Core Trust Framework.
	Label string `json:"label"`
	// Country and Organization are those of the operator of the framework. The
	// organization is the label unless set.
	Country      string `json:"country"`
	Organization string `json:"organization"`
	// RootNames and IssuerNames are common names to use instead of the label
	// and "Client CA" or "Client Issuer".
	RootNames   map[Tree]string `json:"root_names,omitempty"`
	IssuerNames map[Tree]string `json:"issuer_names,omitempty"`
	// PublicURL is where revocation lists and CA certificates are published. It
	// is http: a list that needed a verified connection could not be fetched by
	// whoever is verifying one.
	PublicURL string `json:"public_url"`
	// MemberDays is the validity of client and signing certificates, 365 unless
	// set; RegenerationDays is for how long an issuer signs them, 90 unless set.
	MemberDays       int `json:"member_days"`
	RegenerationDays int `json:"regeneration_days"`
	// ListParts is into how many lists the revocations of one issuer are divided,
	// 1 unless set. Each part is fetched on its own, so more than 1 is for
	// frameworks that expect some 100,000 revocations in the life of an issuer.
	ListParts int `json:"list_parts,omitempty"`
}

// Framework is checked settings.
type Framework struct{ settings Settings }

// New checks settings and fills in the defaults.
func New(s Settings) (*Framework, error) {
	if s.Organization == "" {
		s.Organization = s.Label
	}
	if s.MemberDays == 0 {
		s.MemberDays = 365
	}
	if s.RegenerationDays == 0 {
		s.RegenerationDays = 90
	}
	f := &Framework{settings: s}
	if s.Label == "" {
		return nil, errors.New("ib1: the framework has no label: set one such as Core Trust Framework")
	}
	// Two weeks keep the lists of all live issuers below the 30 that load
	// balancers take (reference, section 7).
	if s.MemberDays < 1 || s.MemberDays > 1000 || s.RegenerationDays < 14 || s.RegenerationDays > 1000 {
		return nil, fmt.Errorf("ib1: %d days for members and %d for regeneration: use 1 to 1000, and 14 to 1000", s.MemberDays, s.RegenerationDays)
	}
	if s.ListParts < 0 || s.ListParts > maxListParts {
		return nil, fmt.Errorf("ib1: %d parts of revocation lists: use 1 to %d", s.ListParts, maxListParts)
	}
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != s.PublicURL || strings.HasSuffix(s.PublicURL, "/") || !ascii(s.PublicURL) {
		return nil, fmt.Errorf("ib1: the public URL %q does not fit: use a form such as http://pki.example.org, with http and without a slash at the end", s.PublicURL)
	}
	for _, t := range Trees() {
		root, issuer := f.RootName(t), f.IssuerName(t)
		if err := errors.Join(root.check(), issuer.check()); err != nil {
			return nil, fmt.Errorf("ib1: the names of the %s tree: %w", t, err)
		}
		if root == issuer {
			return nil, fmt.Errorf("ib1: root and issuer of the %s tree have one name: verifiers would take one for the other", t)
		}
	}
	seen := map[Name]Tree{}
	for _, t := range Trees() {
		for _, n := range []Name{f.RootName(t), f.IssuerName(t)} {
			if other, ok := seen[n]; ok {
				return nil, fmt.Errorf("ib1: %q is in the %s and in the %s tree: nothing but the tree tells their certificates apart", n.CommonName, other, t)
			}
			seen[n] = t
		}
	}
	return f, nil
}

// Settings returns the settings with the defaults filled in.
func (f *Framework) Settings() Settings { return f.settings }

// RootName is the name of the root of a tree.
func (f *Framework) RootName(t Tree) Name { return f.name(t, f.settings.RootNames, "CA") }

// IssuerName is the name of the issuers of a tree, in every generation.
func (f *Framework) IssuerName(t Tree) Name { return f.name(t, f.settings.IssuerNames, "Issuer") }

func (f *Framework) name(t Tree, names map[Tree]string, role string) Name {
	common := names[t]
	if common == "" {
		word, _ := t.word() // of an unknown tree there is no name, and no certificate
		common = f.settings.Label + " " + word + " " + role
	}
	return Name{f.settings.Country, f.settings.Organization, common}
}

// Validity is how long certificates of a tree are valid (sections 1.5 and 1.7).
func (f *Framework) Validity(t Tree) time.Duration {
	if t == Server {
		return day
	}
	return time.Duration(f.settings.MemberDays) * day
}

// Regeneration is for how long an issuer signs certificates.
func (f *Framework) Regeneration() time.Duration {
	return time.Duration(f.settings.RegenerationDays) * day
}

// IssuerValidity is how long an issuer of a tree is valid.
func (f *Framework) IssuerValidity(t Tree) time.Duration { return f.Validity(t) + f.Regeneration() }

const maxListParts = 256

// CRLName is where below the public URL the list of an authority of the tree is
// published, CAName where its certificate is. Both name the key: the URL stands
// in certificates, and the next generation must not take it over.
func CRLName(t Tree, authority *x509.Certificate) string {
	return fmt.Sprintf("crl/ib1-%s-%s.crl", t, keyName(authority))
}

// CAName is described at CRLName.
func CAName(t Tree, authority *x509.Certificate) string {
	return fmt.Sprintf("ca/ib1-%s-%s.cer", t, keyName(authority))
}

func keyName(authority *x509.Certificate) string {
	id := authority.SubjectKeyId
	return hex.EncodeToString(id[:min(len(id), 10)])
}

func (f *Framework) url(name string) string { return f.settings.PublicURL + "/" + name }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
