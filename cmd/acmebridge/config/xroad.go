package config

import (
	"maps"
	"slices"
	"strings"

	"acmebridge/acme"
)

// XRoad makes a profile one for X-Road Security Servers.
type XRoad struct {
	Usage     acme.XRoadUsage   `key:"usage" default:"none" enum:"none,auth,sign" doc:"auth: certificates that authenticate a Security Server. sign: certificates that seal the messages of a member; they have nonRepudiation as their only key usage, and no extended one whatever usages says. Either keeps the subject of the CSR, after holding it against the member of the account's external account key, which is to be written INSTANCE:CLASS:CODE. none: not for X-Road."`
	Subject   acme.XRoadSubject `key:"subject" default:"basic_acme" enum:"basic_acme,fivrk,basic,ejbca,is,fo,sk_klass3" doc:"How the instance writes members into subjects; the certificate profile that its Central Server names. Security Servers put the server's name into CSRs of the first two only; the others order by common name, which works for authentication where that is a DNS name (basic, is)."`
	Instance  string            `key:"instance" doc:"The instance whose members may have certificates of this profile, as it begins their identifiers; members of another one are refused. The subjects of basic_acme, basic, is (authentication) and sk_klass3 do not say of which instance they are, so without this whoever is in the registry counts. Empty: any."`
	ProfileID string            `key:"profile_id" doc:"What the Central Server has as certificate profile ID of the CA for certificates of this profile; Security Servers send it with the first order. With several profiles of one usage in a directory it chooses among them, within what the external account key allows, and renewals of the account get the same. Empty: the name of the profile."`
}

// asked says that the profile is for X-Road; none is the word for that it is not.
func (x XRoad) asked() bool { return x.Usage == acme.XRoadAuth || x.Usage == acme.XRoadSign }

// checkXRoad refuses what no Security Server could work with: it shows a person
// no more than that something failed.
func checkXRoad(p Profile, key string, r *report) {
	if !p.XRoad.asked() {
		return
	}
	if id := p.XRoad.ProfileID; id == "null" || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		r.add(key+".xroad.profile_id", "must be of printable ASCII characters without spaces, and not null, which Security Servers send without one")
	}
	if strings.ContainsAny(p.XRoad.Instance, ":/ ") {
		r.add(key+".xroad.instance", "must be the name of the instance alone, without class and code of a member")
	}
	if p.XRoad.Usage == acme.XRoadSign && !p.XRoad.Subject.NamesServers() {
		r.add(key+".xroad.subject", "must be basic_acme or fivrk for signing: CSRs of %s name no server, so no Security Server could prove anything", p.XRoad.Subject)
	}
	if p.Authorization == acme.AuthorizeByChallenge {
		r.add(key+".authorization", "must be both: whoever holds the name of a Security Server is not by that the member that it belongs to")
	}
	if p.Authorization == acme.AuthorizeByRegistry || !slices.Contains(p.Challenges, acme.HTTP01) {
		r.add(key+".challenges", "a Security Server answers http-01 and finalizes only what it had to prove")
	}
	if p.ReuseAuthorizations != 0 {
		r.add(key+".reuse_authorizations", "must be 0s: a Security Server finalizes only orders that have something to prove")
	}
	if p.Dates != acme.DatesWish && p.Dates != acme.DatesUpperBound {
		r.add(key+".dates", "must be wish (as when it is left out) or upper_bound: a Security Server asks for a year in every order")
	}
	if !p.LenientReplaces {
		r.add(key+".lenient_replaces", "must be true: a Security Server sends replaces with every renewal, and has no way to go on without")
	}
}

// checkXRoadDirectories wants external accounts where the subject is the
// member's: there is nothing else to hold it against.
func checkXRoadDirectories(c *Config, r *report) {
	for _, name := range slices.Sorted(maps.Keys(c.Directories)) {
		d := c.Directories[name]
		checkProductIDs(c, name, r)
		for _, p := range d.Profiles {
			if c.Profiles[string(p)].XRoad.asked() && d.ExternalAccount != acme.ExternalAccountMandatory {
				r.add("directories."+name+".external_account", "must be required: profile %s is for X-Road, and the external account key says for which member", p)
				break
			}
		}
	}
}

// checkProductIDs wants a profile id to say which profile of a usage is meant.
func checkProductIDs(c *Config, directory string, r *report) {
	type product struct {
		usage acme.XRoadUsage
		id    string
	}
	taken := map[product]acme.ProfileName{}
	for _, name := range c.Directories[directory].Profiles {
		p := c.Profiles[string(name)]
		if !p.XRoad.asked() {
			continue
		}
		as := product{p.XRoad.Usage, acme.Profile{Name: name, XRoad: xroadRule(p.XRoad)}.ProductID()}
		if other, twice := taken[as]; twice && other != name {
			r.add("profiles."+string(name)+".xroad.profile_id", "is %s, as that of profile %s for the same usage in directory %s; an id has to select one of them", as.id, other, directory)
		}
		taken[as] = name
	}
}

// deriveXRoadDirectory fills in what a directory for Security Servers has to be
// like, unless the file says otherwise.
func deriveXRoadDirectory(c *Config, d *Directory) {
	for _, habit := range []**bool{&d.PlainContacts, &d.FixedKeys} {
		if *habit == nil {
			*habit = new(c.forXRoad(*d))
		}
	}
}

// deriveDates fills in what the dates of an order mean. A Security Server asks
// for a year, or for a day, and takes whatever it gets.
func deriveDates(p *Profile) {
	switch {
	case p.Dates != "":
	case p.XRoad.asked():
		p.Dates = acme.DatesWish
	default:
		p.Dates = acme.DatesExact
	}
}

// forXRoad says whether a directory is for Security Servers, which have habits
// that no other client has.
func (c *Config) forXRoad(d Directory) bool {
	return slices.ContainsFunc(d.Profiles, func(p acme.ProfileName) bool { return c.Profiles[string(p)].XRoad.asked() })
}
