package config

import (
	"maps"
	"slices"

	"acmebridge/acme"
)

// IB1Profile makes a profile one of an IB1 trust framework.
type IB1Profile struct {
	Tree     acme.IB1Tree `key:"tree" default:"none" enum:"none,client,signing,server" doc:"Tree of the framework that certificates are from. client and signing: for the application that the account's external account key is bound to; all of the certificate but the key comes from the registry, and orders name the URL of the application or its handle. server: for host names that the record of the member has, each proved by a challenge, for at most 24 hours. The framework decides, so authorization, usages, subject, validity, key_types (p256), dates and reuse_authorizations have no effect here. none: not of a framework."`
	Reissues Rate         `key:"reissues" default:"5/5d" doc:"Client or signing certificates for one application; renewals in time pass. Some clients look in the certificate for the host name that they have ordered, do not find it, and order again with every run."`
}

// tree is empty for profiles that are not of a framework; none is the word for
// that.
func (p IB1Profile) tree() acme.IB1Tree {
	if p.Tree == "none" {
		return ""
	}
	return p.Tree
}

func ib1Rule(p IB1Profile, b IB1) acme.IB1Rule {
	if p.tree() == "" {
		return acme.IB1Rule{}
	}
	return acme.IB1Rule{Tree: p.tree(), Reissues: p.Reissues.Count, Per: p.Reissues.Per, Hosts: b.Hosts}
}

// deriveIB1 sets what the framework decides, so that the configuration that is
// printed is the one in force.
func deriveIB1(p *Profile) {
	t := p.IB1.tree()
	if t == "" {
		return
	}
	p.KeyTypes, p.Dates, p.ReuseAuthorizations = []string{"p256"}, acme.DatesRefuse, 0
	p.Identifiers.Types, p.Identifiers.Wildcard = []acme.IdentifierType{acme.DNSIdentifier}, false
	switch t {
	case acme.IB1Server:
		p.Authorization, p.Usages, p.Subject, p.Validity = acme.AuthorizeByBoth, []acme.Usage{acme.ServerAuth}, acme.SubjectCommonName, day
	case acme.IB1Client:
		p.Authorization, p.Usages, p.Subject, p.Validity = acme.AuthorizeByRegistry, []acme.Usage{acme.ClientAuth}, acme.SubjectCommonName, 365*day
	case acme.IB1Signing:
		// What may be used for connections must not pass for a signature.
		p.Authorization, p.Usages, p.Subject, p.Validity = acme.AuthorizeByRegistry, []acme.Usage{acme.ClientAuth}, acme.SubjectCommonName, 365*day
	}
}

// ib1Usages are those of the certificate; those for signatures have none, which
// the file has no word for.
func ib1Usages(p Profile) []acme.Usage {
	if p.IB1.tree() == acme.IB1Signing {
		return nil
	}
	return slices.Clone(p.Usages)
}

func checkIB1Profile(c *Config, p Profile, key string, r *report) {
	t, b := p.IB1.tree(), c.Backends[p.Backend]
	switch {
	case t == "" && b.Type == TypeIB1:
		r.add(key+".ib1.tree", "is missing; backend %s is that of a framework, so say which tree: client, signing or server", p.Backend)
		return
	case t == "":
		return
	case b.Type != TypeIB1 && b.Type != "":
		r.add(key+".ib1.tree", "needs a backend of type ib1; %s is of type %s", p.Backend, b.Type)
	case len(b.IB1.Trees) > 0 && !slices.Contains(b.IB1.Trees, string(t)):
		r.add(key+".ib1.tree", "is not among backends.%s.trees", p.Backend)
	}
	if p.Approval == ApprovalRequired {
		r.add(key+".approval", "has no place here: the registry approves applications, and certificates are signed when an order is finalized")
	}
	if p.XRoad.asked() {
		r.add(key+".xroad.usage", "must be none: a profile is of X-Road or of a framework")
	}
	if p.CAA && t.Member() {
		r.add(key+".caa", "must be false: nothing that is certified here is in the DNS")
	}
}

// checkIB1Directories wants external accounts where the certificate is the
// member's: there is nothing else that would tell whose.
func checkIB1Directories(c *Config, r *report) {
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d := c.Directories[name]
		for _, p := range d.Profiles {
			if c.Profiles[string(p)].IB1.tree() != "" && d.ExternalAccount != acme.ExternalAccountMandatory {
				r.add("directories."+name+".external_account", "must be required: profile %s is of a framework, and the external account key says for which member", p)
				break
			}
		}
	}
}
