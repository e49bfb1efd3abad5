package config

import (
	"net/netip"
	"time"

	"acmebridge/internal/secret"
)

// TypeGlobalSign is the type of a backend that has certificates issued by
// GlobalSign Atlas.
const TypeGlobalSign = "globalsign"

// GlobalSign is an account at GlobalSign Atlas.
type GlobalSign struct {
	URL               string         `key:"url" doc:"Root of the HVCA interface, https://HOST/v2. http:// is for a stand-in on this machine. Required."`
	CAFile            string         `key:"ca_file" doc:"PEM file with the roots that the certificate of the service must lead to. Empty: those of the system."`
	Allow             []netip.Prefix `key:"allow" doc:"Prefixes to open on top of the public addresses, when the service is inside of a network. An address that url itself names is open."`
	ClientCertFile    string         `key:"client_cert_file" doc:"PEM file with the client certificate of the account, and what certifies it. It is read anew for each connection. Required."`
	ClientKeyFile     string         `key:"client_key_file" doc:"PEM file, readable by its owner only, with the key of the client certificate. Required."`
	APIKeyFile        string         `key:"api_key_file" doc:"File, readable by its owner only, with the API key. It is read anew for each login."`
	APIKeyValue       secret.Secret  `key:"api_key" source:"env" doc:"The API key itself, in place of api_key_file."`
	APISecretFile     string         `key:"api_secret_file" doc:"File, readable by its owner only, with the secret of the API key."`
	APISecretValue    secret.Secret  `key:"api_secret" source:"env" doc:"The secret itself, in place of api_secret_file."`
	ServerOnlyFrom    string         `key:"server_only_from" doc:"Day, in quotation marks, as '2026-06-15', from which the certificates of the account are for servers only, whatever its policy says. A profile with client_auth is an error from then on, and an order of one is refused. Empty: the policy of the account decides, which is read before each order."`
	Domains           []string       `key:"domains" doc:"Domains whose proof is looked at ahead of orders. The names of an order are looked at whatever is here."`
	UnverifiedDomains bool           `key:"unverified_domains" default:"false" doc:"Order for names outside of the domains that the account has proved to the CA. For accounts with private roots."`
	BalanceFloor      int            `key:"balance_floor" default:"0" min:"0" doc:"How many certificates of the quota are kept for renewals: new orders wait when no more than these are left. Where the account has no quota that it may see, nothing is kept."`
	BalanceLow        int            `key:"balance_low" default:"10" min:"0" doc:"When to begin to complain: when no more than this many certificates are left."`
	Private           bool           `key:"private" default:"false" doc:"The roots are in no public store."`
	RootsFile         string         `key:"roots_file" doc:"PEM file with the roots of the certificates that are issued, and with the intermediate certificates below them. Required."`
	MaxValidity       time.Duration  `key:"max_validity" default:"0" min:"0" max:"36500d" doc:"The longest validity that is asked for. 0: as long as the policy of the account allows."`
}

// APIKey gets the API key, from the environment or from the file.
func (g GlobalSign) APIKey() (secret.Secret, error) {
	return credential("API key", g.APIKeyValue, g.APIKeyFile)
}

// APISecret gets the secret of the API key.
func (g GlobalSign) APISecret() (secret.Secret, error) {
	return credential("API secret", g.APISecretValue, g.APISecretFile)
}

// ClientKey gets the key of the client certificate, in PEM.
func (g GlobalSign) ClientKey() (secret.Secret, error) {
	return credential("key of the client certificate", secret.Secret{}, g.ClientKeyFile)
}

// Opened are the prefixes that the service may be in besides the public ones.
func (g GlobalSign) Opened() []netip.Prefix { return Sectigo{URL: g.URL, Allow: g.Allow}.Opened() }

func checkGlobalSign(name string, g GlobalSign, r *report) {
	key := "backends." + name
	checkService(key, g.URL, "https://HOST/v2", r)
	checkCredential(key, "api_key", "the API key", g.APIKeyValue, g.APIKeyFile, r)
	checkCredential(key, "api_secret", "the secret of the API key", g.APISecretValue, g.APISecretFile, r)
	for setting, file := range map[string]string{"client_cert_file": g.ClientCertFile, "client_key_file": g.ClientKeyFile} {
		if u, ok := absolute(g.URL); file == "" && ok && u.Scheme == "https" {
			r.add(key+"."+setting, "is missing; the service lets nobody in without a client certificate")
		}
	}
	checkDay(key+".server_only_from", g.ServerOnlyFrom, r)
	for i, domain := range g.Domains {
		if !isHostname(domain) {
			r.add(at(key+".domains", i), "must be a domain in lower case, for example example.org")
		}
	}
	if g.RootsFile == "" {
		r.add(key+".roots_file", "is missing; without the roots of the CA nothing that it issues can be checked")
	}
}

func lookAtGlobalSign(name string, g GlobalSign, r *report) {
	lookAtFiles("backends."+name,
		map[string]string{"api_key_file": g.APIKeyFile, "api_secret_file": g.APISecretFile, "client_key_file": g.ClientKeyFile},
		map[string]string{"ca_file": g.CAFile, "roots_file": g.RootsFile, "client_cert_file": g.ClientCertFile}, r)
}

func warnGlobalSign(name string, g GlobalSign) []string {
	return warnAccount("backends."+name, g.URL, map[string]secret.Secret{"api_key": g.APIKeyValue, "api_secret": g.APISecretValue})
}
