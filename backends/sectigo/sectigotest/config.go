package sectigotest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"acmebridge/internal/standin"
)

// Config says what the service is like. Zero fields have the values named.
type Config struct {
	// Username and Password are those of the only user: "bridge" and
	// "bridge-password".
	Username, Password string
	// Clock is the time, that of this machine unless set.
	Clock Clock
	// Created and Processing are how long a batch stays in these states; zero
	// means no time at all.
	Created, Processing time.Duration
	// TTL is how long an archive can be downloaded, 48 h.
	TTL time.Duration
	// AccessLifetime and RefreshLifetime are those of tokens, 600 s and 7200 s.
	AccessLifetime, RefreshLifetime time.Duration
	// KeepRefreshToken leaves the refresh token out of the answer to a
	// refresh; SingleUse makes one work only once.
	KeepRefreshToken, SingleUse bool
	// Login is how logins are answered: "" or "ok", "401", "403", "307".
	Login string
	// LockAfter locks the account after that many failed logins; zero never.
	LockAfter int
	// Balance is what each authority may have issued, 1000.
	Balance int64
	// FieldBalance is what the list of authorities says about it in its own
	// field; the real service has been seen to say 0 there.
	FieldBalance int64
	// RefundRejected gives the balance back for what is rejected.
	RefundRejected bool
	// RefuseDuplicates is the tenant's switch: a CSR whose common name is in
	// an upload twice makes the CA refuse it.
	RefuseDuplicates bool
	// NoBatchName makes the CA forget the name of an uploaded batch.
	NoBatchName bool
	// List is the shape of the batch list: "" a plain list, "items" or
	// "content" pages, "off" 404. PageSize bounds a page there, 20, and in what
	// is found, where zero means everything.
	List     string
	PageSize int
	// ListDelay is how long a new batch does not show in the list.
	ListDelay time.Duration
	// Layout is how an archive is made up, LayoutPEMChain.
	Layout Layout
	// Key is what the CA signs with: "ec" (the default) or "rsa".
	Key string
	// Validity is that of certificates, 13 months.
	Validity time.Duration
	// Profiles are what can be ordered: two like those that TRISA has.
	Profiles []Profile
	// Journal gets a line of JSON for each event; nil keeps them in memory
	// only.
	Journal io.Writer
	// StateDir keeps everything for the next start; empty keeps nothing.
	StateDir string
	// Seed makes faults that come by chance come the same way again.
	Seed uint64
}

func (cfg Config) complete() Config {
	cfg.Username = or(cfg.Username, "bridge")
	cfg.Password = or(cfg.Password, "bridge-password")
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	cfg.TTL = or(cfg.TTL, 48*time.Hour)
	cfg.AccessLifetime = or(cfg.AccessLifetime, 600*time.Second)
	cfg.RefreshLifetime = or(cfg.RefreshLifetime, 7200*time.Second)
	cfg.Balance = or(cfg.Balance, 1000)
	cfg.Layout = or(cfg.Layout, LayoutPEMChain)
	cfg.Key = or(cfg.Key, "ec")
	const days = 24 * time.Hour
	cfg.Validity = or(cfg.Validity, 396*days)
	if cfg.List != "" {
		cfg.PageSize = or(cfg.PageSize, 20)
	}
	if cfg.Profiles == nil {
		cfg.Profiles = TRISAProfiles()
	}
	return cfg
}

// Check says what a service cannot be like. New asks it as well.
func (cfg Config) Check() error {
	cfg = cfg.complete()
	for what, ok := range map[string]bool{
		fmt.Sprintf("layout %q", cfg.Layout): slices.Contains(Layouts(), cfg.Layout),
		fmt.Sprintf("login %q", cfg.Login):   slices.Contains([]string{"", "ok", "401", "403", "307"}, cfg.Login),
		fmt.Sprintf("list %q", cfg.List):     slices.Contains([]string{"", "items", "content", "off"}, cfg.List),
		fmt.Sprintf("key %q", cfg.Key):       slices.Contains([]string{"ec", "rsa"}, cfg.Key),
	} {
		if !ok {
			return fmt.Errorf("sectigotest: there is no %s", what)
		}
	}
	for _, p := range cfg.Profiles {
		for field := range p.Subject {
			if !slices.Contains([]string{"O", "L", "ST", "C"}, field) {
				return fmt.Errorf("sectigotest: no template fixes %q; there are O, L, ST and C", field)
			}
		}
	}
	for _, d := range []time.Duration{cfg.Created, cfg.Processing, cfg.TTL, cfg.AccessLifetime, cfg.RefreshLifetime, cfg.ListDelay, cfg.Validity} {
		if d < 0 {
			return errors.New("sectigotest: no time can be negative")
		}
	}
	if cfg.PageSize < 0 || cfg.LockAfter < 0 {
		return errors.New("sectigotest: no number can be negative")
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Clock is where the time comes from; CA.Advance adds to it.
type Clock = standin.Clock

// Stopped is a clock that only moves when it is advanced.
func Stopped(at time.Time) Clock { return standin.Stopped(at) }

// Kind is what becomes of a batch.
type Kind string

// The outcomes.
const (
	Ready    Kind = "ready"
	Partial  Kind = "partial"  // the first half of the certificates, rounded up, is missing
	Rejected Kind = "rejected" // by a person, with Outcome.Reason
	Broken   Kind = "broken"   // for want of a DNS name, as the real service says it
	Failed   Kind = "failed"
	Stuck    Kind = "stuck"   // PROCESSING for ever
	Strange  Kind = "strange" // a status that nobody has heard of
	Wordless Kind = "wordless"
	Expired  Kind = "expired" // ready, and the archive gone at once
	Revoked  Kind = "revoked"

	// These are ready, and the certificate is not what was asked for.
	DropName     Kind = "drop-name"
	AddName      Kind = "add-name"
	WrongKey     Kind = "wrong-key"
	WrongSubject Kind = "wrong-subject"
	// Another has the certificate of the batch before; the first one of all
	// has none.
	Another Kind = "another"
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Ready, Partial, Rejected, Broken, Failed, Stuck, Strange, Wordless, Expired, Revoked, DropName, AddName, WrongKey, WrongSubject, Another}
}

// Outcome is what becomes of a batch, and why.
type Outcome struct {
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason,omitempty"`
}

// Layout is how an archive is made up.
type Layout string

// The layouts.
const (
	LayoutPEM        Layout = "pem"         // the leaf alone
	LayoutPEMChain   Layout = "pem-chain"   // leaf, issuer
	LayoutPEMReverse Layout = "pem-reverse" // root, issuer, leaf
	LayoutPEMRoot    Layout = "pem-root"    // leaf, issuer, root
	LayoutDER        Layout = "der"
	LayoutPKCS7      Layout = "pkcs7"     // in DER
	LayoutPKCS7PEM   Layout = "pkcs7-pem" // in PEM
	LayoutAll        Layout = "all"       // several formats together
	LayoutFolders    Layout = "folders"   // each certificate in a folder of its own
)

// Layouts lists them all.
func Layouts() []Layout {
	return []Layout{LayoutPEM, LayoutPEMChain, LayoutPEMReverse, LayoutPEMRoot, LayoutDER, LayoutPKCS7, LayoutPKCS7PEM, LayoutAll, LayoutFolders}
}

// Profile is what certificates of one kind are like.
type Profile struct {
	ID, AuthorityID int64
	// Name ends in the number of its template.
	Name string
	// Disabled switches the authority off.
	Disabled bool
	// ReadOnly takes away the right to revoke.
	ReadOnly bool
	Params   []Param
	// Subject, when not empty, replaces everything but the common name:
	// "O=...", "L=...", "ST=...", "C=...".
	Subject map[string]string
	// Keys are the kinds of keys that are taken: "RSA" and "EC".
	Keys []string
}

// Param is a value that a profile takes with a request, as the service shows
// it.
type Param struct {
	Name              string `json:"name"`
	Required          bool   `json:"required"`
	InputType         string `json:"inputType"`
	ValidationPattern string `json:"validationPattern"`
	Message           string `json:"message"`
	Value             any    `json:"value"`
	Placeholder       any    `json:"placeholder"`
	Title             string `json:"title"`
	// Scopes says for which requests it is wanted: "SINGLE" and "CSR".
	Scopes  []string `json:"scopes"`
	Dynamic bool     `json:"dynamic"`
}

// TRISAProfiles are two profiles like those of that network. The number of an
// authority is not that of its profile, so that who mixes them up finds out.
func TRISAProfiles() []Profile {
	single := []string{"SINGLE"}
	param := func(name, pattern, message string) Param {
		return Param{Name: name, Required: true, InputType: "TEXT", ValidationPattern: pattern, Message: message, Title: name, Scopes: single}
	}
	short := []Param{
		param("commonName", `^[A-Za-z0-9*.-]{1,64}$`, "a host name"),
		param("dNSName", `^[A-Za-z0-9*.\-\n]+$`, "host names, one a line"),
		param("pkcs12Password", `^.{8,64}$`, "at least 8 characters"),
	}
	long := append(append([]Param{}, short...),
		param("organizationName", `^.{1,64}$`, "the organization"),
		param("localityName", `^.{1,128}$`, "the city"),
		param("stateOrProvinceName", `^.{1,128}$`, "the state, spelled out"),
		param("countryName", `^[A-Z]{2}$`, "two capital letters"),
	)
	return []Profile{
		{ID: 423, AuthorityID: 23, Name: "CipherTrace EE_#17", Params: short, Keys: []string{"RSA", "EC"}},
		{ID: 489, AuthorityID: 29, Name: "CipherTrace End Entity Certificate_#85", Params: long, Keys: []string{"RSA", "EC"}},
	}
}
