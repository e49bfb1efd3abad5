package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/secret"
)

// TypeGoDaddy is the type of a backend that has certificates issued by GoDaddy.
const TypeGoDaddy = "godaddy"

// GoDaddy is an account at GoDaddy, and what is ordered there.
type GoDaddy struct {
	URL            string         `key:"url" doc:"Root of the API, https://HOST, without a version; test and production have hosts of their own. http:// is for a stand-in on this machine. Required."`
	CAFile         string         `key:"ca_file" doc:"PEM file with the roots that the certificate of the service must lead to. Empty: those of the system."`
	Allow          []netip.Prefix `key:"allow" doc:"Prefixes to open on top of the public addresses, when the service is inside of a network. An address that url itself names is open."`
	APIKeyFile     string         `key:"api_key_file" doc:"File, readable by its owner only, with the API key. It is read anew for each call."`
	APIKeyValue    secret.Secret  `key:"api_key" source:"env" doc:"The API key itself, in place of api_key_file."`
	APISecretFile  string         `key:"api_secret_file" doc:"File, readable by its owner only, with the secret of the API key."`
	APISecretValue secret.Secret  `key:"api_secret" source:"env" doc:"The secret itself, in place of api_secret_file."`
	ShopperID      int            `key:"shopper_id" default:"0" min:"0" doc:"Number of the account, by which its orders are listed. Required."`
	Product        string         `key:"product" default:"DV_SSL" enum:"DV_SSL,OV_SSL,EV_SSL,DV_WILDCARD_SSL,OV_WILDCARD_SSL,UCC_DV_SSL,UCC_OV_SSL,UCC_EV_SSL" doc:"What is ordered; the account must have credits for it. The UCC products are for several names, the WILDCARD ones for one wildcard name, the others for one name."`
	MaxNames       int            `key:"max_names" default:"5" min:"1" max:"100" doc:"How many names the credits of a UCC product are for."`
	RootType       string         `key:"root_type" default:"GODADDY_SHA_2" enum:"GODADDY_SHA_2,STARFIELD_SHA_2" doc:"Hierarchy that certificates are issued below."`
	Years          int            `key:"years" default:"1" min:"1" max:"3" doc:"How many years are paid for. How long a certificate is valid is the CA's choice."`
	ServerOnlyFrom string         `key:"server_only_from" default:"2026-06-15" doc:"Day, in quotation marks, from which certificates are for servers only. Nobody can choose: before it they are for servers and clients. Orders that want something else are refused, and from a week before the day so are those with client_auth, since they may be issued after it. Empty: both for ever."`
	Renew          bool           `key:"renew" default:"false" doc:"Place an order that says which certificate it replaces (RFC 9773) as the renewal of that, where the CA takes it for one. Whether a renewal is cheaper than an order, and how early it may be, has not been tried with a real account; an order that the CA does not renew is bought as a new one."`
	Reissue        bool           `key:"reissue" default:"false" doc:"With reattach: swap, issue what a client comes back for with another key again, in place of another purchase. The certificate that was there is revoked after reissue_revokes_after, also when somebody uses it. Not tried with a real account."`
	ReissueRevokes time.Duration  `key:"reissue_revokes_after" default:"3d" min:"0h" max:"7d" doc:"For reissue: after how long the CA revokes the certificate that was there; whole hours."`
	RootsFile      string         `key:"roots_file" doc:"PEM file with the roots of the certificates that are issued, and with the intermediate certificates below them. Required."`
	MaxValidity    time.Duration  `key:"max_validity" default:"0" min:"0" max:"36500d" doc:"The longest validity that the product gives. 0: not known."`
}

// APIKey gets the API key, from the environment or from the file.
func (g GoDaddy) APIKey() (secret.Secret, error) {
	return credential("API key", g.APIKeyValue, g.APIKeyFile)
}

// APISecret gets the secret of the API key.
func (g GoDaddy) APISecret() (secret.Secret, error) {
	return credential("API secret", g.APISecretValue, g.APISecretFile)
}

// Opened are the prefixes that the service may be in besides the public ones.
func (g GoDaddy) Opened() []netip.Prefix { return Sectigo{URL: g.URL, Allow: g.Allow}.Opened() }

func checkGoDaddy(name string, g GoDaddy, r *report) {
	key := "backends." + name
	checkService(key, g.URL, "https://HOST", r)
	checkCredential(key, "api_key", "the API key", g.APIKeyValue, g.APIKeyFile, r)
	checkCredential(key, "api_secret", "the secret of the API key", g.APISecretValue, g.APISecretFile, r)
	checkDay(key+".server_only_from", g.ServerOnlyFrom, r)
	if g.ShopperID == 0 {
		r.add(key+".shopper_id", "is missing; it is the number of the account, by which its orders are listed")
	}
	if g.ReissueRevokes%time.Hour != 0 {
		r.add(key+".reissue_revokes_after", "must be in whole hours: the CA counts in them")
	}
	if g.RootsFile == "" {
		r.add(key+".roots_file", "is missing; without the roots of the CA nothing that it issues can be checked")
	}
}

// checkGoDaddyProfile wants a profile to be one that the product can serve.
func checkGoDaddyProfile(p Profile, key string, g GoDaddy, r *report) {
	checkCutOff(p, key, g.ServerOnlyFrom, r)
	if !slices.Equal(p.KeyTypes, []string{"rsa"}) {
		r.add(key+".key_types", "must be [rsa]: backend %s, GoDaddy, takes no other keys", p.Backend)
	}
	if slices.Contains(p.Identifiers.Types, acme.IPIdentifier) {
		r.add(key+".identifiers.types", "must be [dns]: backend %s, GoDaddy, issues for no addresses", p.Backend)
	}
	if p.Identifiers.Wildcard && !strings.Contains(g.Product, "WILDCARD") {
		r.add(key+".identifiers.wildcard", "backends.%s.product is %s, which is not for wildcard names", p.Backend, g.Product)
	}
	if !slices.Contains(p.Usages, acme.ServerAuth) {
		r.add(key+".usages", "must have server_auth: backend %s, GoDaddy, gives no certificates without it", p.Backend)
	}
}

func lookAtGoDaddy(name string, g GoDaddy, r *report) {
	lookAtFiles("backends."+name, map[string]string{"api_key_file": g.APIKeyFile, "api_secret_file": g.APISecretFile},
		map[string]string{"ca_file": g.CAFile, "roots_file": g.RootsFile}, r)
}

func warnGoDaddy(name string, g GoDaddy) []string {
	return warnAccount("backends."+name, g.URL, map[string]secret.Secret{"api_key": g.APIKeyValue, "api_secret": g.APISecretValue})
}
