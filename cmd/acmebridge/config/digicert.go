package config

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/secret"
)

// TypeDigiCert is the type of a backend that has certificates issued by DigiCert
// CertCentral.
const TypeDigiCert = "digicert"

// DigiCert is an account at DigiCert CertCentral, and what is ordered there.
type DigiCert struct {
	URL                    string         `key:"url" doc:"Root of the Services API, https://HOST/services/v2; accounts of different regions have different hosts. http:// is for a stand-in on this machine. Required."`
	CAFile                 string         `key:"ca_file" doc:"PEM file with the roots that the certificate of the service must lead to. Empty: those of the system."`
	Allow                  []netip.Prefix `key:"allow" doc:"Prefixes to open on top of the public addresses, when the service is inside of a network. An address that url itself names is open."`
	KeyFile                string         `key:"key_file" doc:"File, readable by its owner only, with the API key. It is read anew for each call."`
	KeyValue               secret.Secret  `key:"key" source:"env" doc:"The API key itself, in place of key_file."`
	Product                string         `key:"product" default:"x9_pki" doc:"Id of what is ordered. It must be switched on for the account."`
	OrganizationID         int            `key:"organization_id" default:"0" min:"0" doc:"Number of the organization that certificates are for. Required."`
	OrganizationValidation string         `key:"organization_validation" doc:"The validation of the organization that the product wants: its type, or a part of its name. Empty: x9 for x9_pki, and any for other products."`
	Domains                []string       `key:"domains" doc:"Domains whose validation is looked at ahead of orders. The names of an order are looked at whatever is here."`
	UnvalidatedDomains     bool           `key:"unvalidated_domains" default:"false" doc:"Order for names in domains that the CA has not validated. Such an order is paid for, and waits there until somebody has validated them."`
	OrderValidity          time.Duration  `key:"order_validity" default:"365d" min:"1d" max:"3650d" doc:"How long certificates are asked to be valid, in whole days."`
	LinkRenewals           time.Duration  `key:"link_renewals" default:"90d" min:"0s" max:"365d" doc:"How long before the end of a certificate a new order of the same account for the same names is linked to that of the old one, so that what is left of it is not lost. 0s: never."`
	ServerOnlyFrom         string         `key:"server_only_from" default:"2027-03-01" doc:"Day, in quotation marks, from which products other than x9_pki are for servers only, renewals and reissues included. Before it an order for servers and clients asks for both. From then on, and from a week before since it may be issued after it, such an order is refused before it is paid for, and a profile with client_auth is an error. Empty: both for ever. Of no effect with x9_pki."`
	KeyExchange            bool           `key:"key_exchange" default:"false" doc:"Ask for keyEncipherment (RSA) or keyAgreement (EC) on top of digitalSignature."`
	WaitForApproval        bool           `key:"wait_for_approval" default:"false" doc:"Leave each order to an administrator of the account. Otherwise the key approves what it orders."`
	ContainerID            int            `key:"container_id" default:"0" min:"0" doc:"Number of the division that orders belong to. 0: that of the key."`
	PaymentMethod          string         `key:"payment_method" doc:"How orders are paid: balance, card, profile or wire_transfer. Empty: as the account does."`
	CustomFields           []string       `key:"custom_fields" doc:"Fields that the account wants in each order, as NUMBER=VALUE."`
	RootsFile              string         `key:"roots_file" doc:"PEM file with the roots of the certificates that are issued, and with the intermediate certificates below them. X9 roots are in no system's store. Required."`
	MaxValidity            time.Duration  `key:"max_validity" default:"0" min:"0" max:"36500d" doc:"The longest validity that the product gives. 0: not known."`
}

// Key gets the API key, from the environment or from the file.
func (d DigiCert) Key() (secret.Secret, error) {
	if !d.KeyValue.Empty() {
		return d.KeyValue, nil
	}
	k, err := secret.FromFile(Absolute(d.KeyFile))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("API key: %w", err)
	}
	return k, nil
}

// Opened are the prefixes that the service may be in besides the public ones:
// those that are listed, and the address that its URL names.
func (d DigiCert) Opened() []netip.Prefix {
	return Sectigo{URL: d.URL, Allow: d.Allow}.Opened()
}

// CustomField reads one of CustomFields.
func CustomField(text string) (id int64, value string, ok bool) {
	number, value, found := strings.Cut(text, "=")
	id, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	return id, value, found && err == nil && id > 0 && value != ""
}

func checkDigiCert(name string, d DigiCert, r *report) {
	key := "backends." + name
	if u, ok := absolute(d.URL); !ok || u.Scheme != "https" && u.Scheme != "http" {
		r.add(key+".url", "must be an https URL, for example https://HOST/services/v2 with the host of the account's region")
	} else if a, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
		r.add(key+".url", "must begin with https://; http:// is for a stand-in on this machine")
	}
	switch {
	case d.KeyFile == "" && d.KeyValue.Empty():
		r.add(key+".key_file", "is missing; or give the API key in the variable %s", variable(key+".key"))
	case d.KeyFile != "" && !d.KeyValue.Empty():
		r.add(key+".key_file", "is set, and so is the variable %s; keep one", variable(key+".key"))
	}
	if d.OrganizationID == 0 {
		r.add(key+".organization_id", "is missing; it is the number of the organization that certificates are for")
	}
	if d.Product == "" {
		r.add(key+".product", "must not be empty; x9_pki is X9 PKI for TLS")
	}
	checkDay(key+".server_only_from", d.ServerOnlyFrom, r)
	if d.OrderValidity%(24*time.Hour) != 0 {
		r.add(key+".order_validity", "must be whole days, for example 365d")
	}
	for i, domain := range d.Domains {
		if !isHostname(domain) {
			r.add(at(key+".domains", i), "must be a domain in lower case, for example example.org")
		}
	}
	for i, f := range d.CustomFields {
		if _, _, ok := CustomField(f); !ok {
			r.add(at(key+".custom_fields", i), "must be the number of a field and its value, for example 3=TRUST")
		}
	}
	if d.RootsFile == "" {
		r.add(key+".roots_file", "is missing; without the roots of the CA nothing that it issues can be checked")
	}
}

// x9 is the product that has certificates for clients for ever.
const x9 = "x9_pki"

// checkDigiCertProfile wants a profile to be one that the product can serve.
func checkDigiCertProfile(p Profile, key string, d DigiCert, r *report) {
	if d.Product == x9 {
		return
	}
	checkCutOff(p, key, d.ServerOnlyFrom, r)
	if !slices.Contains(p.Usages, acme.ServerAuth) {
		r.add(key+".usages", "must have server_auth: %s of backend %s is for servers", d.Product, p.Backend)
	}
}

func lookAtDigiCert(name string, d DigiCert, r *report) {
	key := "backends." + name
	if d.KeyFile != "" {
		if _, err := secret.FromFile(d.KeyFile); err != nil && !othersUser(err) {
			r.add(key+".key_file", "%s", trouble(d.KeyFile, err))
		}
	}
	for _, f := range []struct{ key, path string }{{".ca_file", d.CAFile}, {".roots_file", d.RootsFile}} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			r.add(key+f.key, "%s", trouble(f.path, err))
		}
	}
}

// warnDigiCert says what is better otherwise for as long as it is so.
func warnDigiCert(name string, d DigiCert) (all []string) {
	if !d.KeyValue.Empty() {
		all = append(all, variable("backends."+name+".key")+" holds a secret: child processes and crash reports can show it; key_file is safer")
	}
	if strings.HasPrefix(d.URL, "http://") {
		all = append(all, "backends."+name+".url is spoken with in the clear: it can only be an imitation, and no certificate of it is worth anything")
	}
	if d.UnvalidatedDomains {
		all = append(all, "backends."+name+".unvalidated_domains is set: an order for such a name is paid for, and waits until somebody has validated it")
	}
	return all
}
