package config

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// The type of a backend that has certificates issued by Sectigo IoT Manager.
const TypeSectigo = "sectigo"

// Sectigo is an account at Sectigo IoT Manager, and the profile to issue under.
type Sectigo struct {
	URL           string         `key:"url" default:"https://iot.sectigo.com" doc:"Where the service is. http:// is for a stand-in on this machine."`
	CAFile        string         `key:"ca_file" doc:"PEM file with the roots that the certificate of the service must lead to. Empty: those of the system."`
	Allow         []netip.Prefix `key:"allow" doc:"Prefixes to open on top of the public addresses, when the service is inside of a network. An address that url itself names is open."`
	Username      string         `key:"username" doc:"Name of the user to log in as. Required."`
	PasswordFile  string         `key:"password_file" doc:"File, readable by its owner only, with the password."`
	PasswordValue secret.Secret  `key:"password" source:"env" doc:"The password itself, in place of password_file."`
	ProfileName   string         `key:"profile" doc:"Name of the profile, with or without the _# and the number at its end. One of profile and profile_id is required."`
	ProfileID     int            `key:"profile_id" default:"0" min:"0" doc:"Number of the profile. It is not the number at the end of its name, which is that of a template."`
	RootsFile     string         `key:"roots_file" doc:"PEM file with the roots of the certificates that are issued, and with the intermediate certificates below them. Required."`
	MaxValidity   time.Duration  `key:"max_validity" default:"0" min:"0" max:"36500d" doc:"The longest validity that the profile gives. 0: not known."`
	BalanceFloor  int            `key:"balance_floor" default:"0" min:"0" doc:"How many certificates of the profile are kept for renewals: new orders are refused when no more than these are left."`
	BalanceLow    int            `key:"balance_low" default:"10" min:"0" doc:"When to begin to complain: when no more than this many certificates are left."`
	Batch         SectigoBatch   `key:"batch" doc:"Several orders in one upload."`
	Params        []string       `key:"params" doc:"Parameters of the profile to send along with each CSR, each as name=value. A value of {organization}, {unit}, {locality}, {state} or {country} is what the registry says of the member, by subject_from of the profile. None is usual; 'acmebridge sectigo profile --params' shows what the profile takes."`
}

// SectigoBatch says how many orders go to the CA together.
type SectigoBatch struct {
	Size int           `key:"size" default:"1" min:"1" max:"25" doc:"How many orders of one profile, whoever places them, go in one upload at most. 1: each goes alone. A person at the CA who rejects an upload, or a CA that breaks it off, does so for all that is in it."`
	Wait time.Duration `key:"wait" default:"2s" min:"0" max:"5s" doc:"How long an order waits for others to go with it. Of no effect with size 1."`
}

// Parameters are Params by name; the first that is wrong is an error.
func (s Sectigo) Parameters() (map[string]string, error) {
	all := map[string]string{}
	for i, p := range s.Params {
		name, value, ok := strings.Cut(p, "=")
		_, twice := all[name]
		switch {
		case !ok || name == "" || strings.TrimSpace(name) != name || strings.TrimSpace(value) == "":
			return nil, fmt.Errorf("entry %d must be name=value, for example organizationName=Example", i+1)
		case twice:
			return nil, fmt.Errorf("entry %d: %s is given twice", i+1, name)
		}
		all[name] = value
	}
	return all, nil
}

// Password gets the password, from the environment or from the file.
func (s Sectigo) Password() (secret.Secret, error) {
	if !s.PasswordValue.Empty() {
		return s.PasswordValue, nil
	}
	p, err := secret.FromFile(Absolute(s.PasswordFile))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("password: %w", err)
	}
	return p, nil
}

// Opened are the prefixes that the service may be in besides the public ones:
// those that are listed, and the address that its URL names.
func (s Sectigo) Opened() []netip.Prefix {
	return append(append([]netip.Prefix{}, s.Allow...), opened(s.URL)...)
}

func checkSectigo(name string, s Sectigo, r *report) {
	key := "backends." + name
	if u, ok := absolute(s.URL); !ok || u.Path != "" && u.Path != "/" || u.Scheme != "https" && u.Scheme != "http" {
		r.add(key+".url", "must be an https URL of a host, without a path, for example https://iot.sectigo.com")
	} else if a, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
		r.add(key+".url", "must begin with https://; http:// is for a stand-in on this machine")
	}
	if s.Username == "" {
		r.add(key+".username", "is missing; it names the user to log in as")
	}
	switch {
	case s.PasswordFile == "" && s.PasswordValue.Empty():
		r.add(key+".password_file", "is missing; or give the password in the variable %s", variable(key+".password"))
	case s.PasswordFile != "" && !s.PasswordValue.Empty():
		r.add(key+".password_file", "is set, and so is the variable %s; keep one", variable(key+".password"))
	}
	if s.ProfileName == "" && s.ProfileID == 0 {
		r.add(key+".profile", "is missing; it names the profile to issue under")
	}
	if _, err := s.Parameters(); err != nil {
		r.add(key+".params", "%v", err)
	}
	if s.RootsFile == "" {
		r.add(key+".roots_file", "is missing; without the roots of the CA nothing that it issues can be checked")
	}
}

func lookAtSectigo(name string, s Sectigo, r *report) {
	key := "backends." + name
	if s.PasswordFile != "" {
		if _, err := secret.FromFile(s.PasswordFile); err != nil && !othersUser(err) {
			r.add(key+".password_file", "%s", trouble(s.PasswordFile, err))
		}
	}
	for _, f := range []struct{ key, path string }{{".ca_file", s.CAFile}, {".roots_file", s.RootsFile}} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			r.add(key+f.key, "%s", trouble(f.path, err))
		}
	}
}
