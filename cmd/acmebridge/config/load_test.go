package config_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/secret"
)

// example is the file that the design shows, as it stands there.
const example = `listen: 127.0.0.1:14000              # ACME over HTTPS
base_url: https://localhost:14000    # what clients see; links are minted from it, never from Host
data_dir: ./acmebridge-data
tls: {cert: "", key: ""}             # empty: own server certificate from a private root, root written to <data_dir>/tls-root.pem
pki_listen: 127.0.0.1:14080          # plain HTTP: CRL, OCSP, CA certificates
admin_listen: ""                     # console and metrics; empty: only the admin socket
storage:
  bolt: {path: ""}                   # empty: <data_dir>/acmebridge.db
  # postgres: {dsn_file: /run/secrets/dsn}
validation:
  http_port: 80
  tls_alpn_port: 443
  resolvers: []                      # empty: the system's; host:port
  allow: []                          # CIDRs opened on top of the public ones, e.g. 10.0.0.0/8
  deny: []
directories:
  default:
    path: /directory                 # others: /<name>/directory, or a host of their own
    host: ""
    external_account: optional       # required | optional | off
    profiles: [tls]                  # the first is the default
profiles:
  tls: {backend: local, authorization: challenge, usages: [server_auth, client_auth], validity: 90d}
backends:
  local: {type: localca}
`

func parse(t *testing.T, text string, env ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(text), env)
	if err != nil {
		t.Fatalf("Parse: %v\nof:\n%s", err, text)
	}
	return c
}

// TestExampleIsTheDefault: the documented file says nothing but the defaults.
func TestExampleIsTheDefault(t *testing.T) {
	t.Parallel()
	if got, want := parse(t, example), parse(t, "# nothing\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("the example differs from an empty file:\n got %+v\nwant %+v", got, want)
	}
}

// TestDefault: without a file the ports and loopback are those of a first try,
// and nothing else differs from a file that says nothing.
func TestDefault(t *testing.T) {
	t.Parallel()
	got, file := config.Default(), parse(t, "")
	v := got.Validation
	if v.HTTPPort != 5002 || v.TLSALPNPort != 5001 || got.Limits.ValidationsPerTarget != 64 {
		t.Errorf("ports without a file: %d and %d, want 5002 and 5001", v.HTTPPort, v.TLSALPNPort)
	}
	want := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !reflect.DeepEqual(v.Allow, want) {
		t.Errorf("allow without a file: %v, want %v", v.Allow, want)
	}
	if f := file.Validation; f.HTTPPort != 80 || f.TLSALPNPort != 443 || len(f.Allow) != 0 {
		t.Errorf("a file that says nothing gets ports %d, %d and allow %v, want 80, 443 and none", f.HTTPPort, f.TLSALPNPort, f.Allow)
	}
	file.Validation, file.Limits.ValidationsPerTarget = v, got.Limits.ValidationsPerTarget
	if !reflect.DeepEqual(got, file) {
		t.Errorf("apart from validation the defaults differ:\n%+v\n%+v", got, file)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte("validation: {attempts: 7}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func() (*config.Config, error){
		"path":     func() (*config.Config, error) { return config.Load(path, nil) },
		"variable": func() (*config.Config, error) { return config.Load("", []string{"ACMEBRIDGE_CONFIG=" + path}) },
	} {
		c, err := load()
		if err != nil || c.Validation.Attempts != 7 || c.Validation.HTTPPort != 80 {
			t.Errorf("%s: %+v, %v; want 7 attempts and port 80", name, c, err)
		}
	}
	if c, err := config.Load("", nil); err != nil || !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("without a file: %+v, %v; want the defaults", c, err)
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v; want the cause", err)
	}
}

// TestAbsent: sections whose lines are all commented out keep their defaults.
func TestAbsent(t *testing.T) {
	t.Parallel()
	got := parse(t, "listen:\nvalidation:\n  # http_port: 81\ndirectories:\nprofiles: {tls: {backend: local, usages: [server_auth, client_auth], identifiers: , hold: }}\nlog: ~\n")
	if want := parse(t, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("keys without values changed something:\n got %+v\nwant %+v", got, want)
	}
}

func TestDerived(t *testing.T) {
	t.Parallel()
	c := parse(t, `
listen: 0.0.0.0:443
pki_listen: "[::1]:80"
data_dir: /var/lib/acmebridge
directories:
  default: {profiles: [tls]}
  xroad: {profiles: [tls, dev]}
  own: {profiles: [dev], host: acme.example.org}
profiles:
  tls: {backend: local}
  dev: {backend: second, identifiers: {single_label: false}, key_types: [p256]}
backends:
  local: {type: localca}
  second: {type: localca, dir: /etc/second}
`)
	for _, check := range []struct{ what, got, want string }{
		{"base_url", c.BaseURL, "https://localhost"},
		{"PKIBaseURL", c.PKIBaseURL(), "http://localhost"},
		{"BoltPath", c.BoltPath(), "/var/lib/acmebridge/acmebridge.db"},
		{"EABKeyPath", c.EABKeyPath(), "/var/lib/acmebridge/eab.key"},
		{"LocalCADir local", c.LocalCADir("local"), "/var/lib/acmebridge/ca/local"},
		{"LocalCADir second", c.LocalCADir("second"), "/etc/second"},
		{"path of default", c.Directories["default"].Path, "/directory"},
		{"path of xroad", c.Directories["xroad"].Path, "/xroad/directory"},
		{"path of own", c.Directories["own"].Path, "/directory"},
	} {
		if check.got != check.want {
			t.Errorf("%s is %q, want %q", check.what, check.got, check.want)
		}
	}
	if !*c.Profiles["tls"].Identifiers.SingleLabel {
		t.Error("a profile of a private CA refuses names of one label")
	}
	if *c.Profiles["dev"].Identifiers.SingleLabel {
		t.Error("single_label: false had no effect")
	}
}

func TestPKIBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"pki_listen: 127.0.0.1:14080", "http://localhost:14080"},
		{"pki_listen: ':8080'", "http://localhost:8080"},
		{"pki_listen: 192.0.2.7:80", "http://192.0.2.7"},
		{"pki_listen: '[2001:db8::7]:80'", "http://[2001:db8::7]"},
		{"pki_listen: '[2001:db8::7]:81'", "http://[2001:db8::7]:81"},
		{"pki_listen: pki.example.org:80", "http://pki.example.org"},
		{"pki_listen: ''", ""},
		{"{pki_listen: '', pki_url: 'http://pki.example.org/ca/'}", "http://pki.example.org/ca"},
	} {
		if got := parse(t, test.text).PKIBaseURL(); got != test.want {
			t.Errorf("%s: %q, want %q", test.text, got, test.want)
		}
	}
}

// R8657-5-2: who asks CAA records should know whom it asks.
func TestWarningOfCAA(t *testing.T) {
	t.Parallel()
	const text = "profiles: {tls: {backend: local, caa: true}}\nbackends: {local: {type: localca, caa_identities: [ca.example], passphrase_file: /p}}\n"
	for extra, want := range map[string]bool{"": true, "validation: {resolvers: ['192.0.2.53:53']}\n": false} {
		if got := strings.Join(parse(t, text+extra).Warnings(), "\n"); strings.Contains(got, "profiles.tls.caa relies on the DNS servers of the system") != want {
			t.Errorf("with %q: %q", extra, got)
		}
	}
}

func TestAccountHashPrefix(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"listen: 127.0.0.1:2", "https://localhost:2/account-hash/"},
		{"base_url: https://acme.example.org", "https://acme.example.org/account-hash/"},
		{"validation: {dns_persist: {hash_prefix: 'https://hash.example/'}}", "https://hash.example/"},
		{"validation: {dns_persist: {hash_prefix: 'https://hash.example/', account: plain}}", ""},
	} {
		if got := parse(t, test.text).AccountHashPrefix(); got != test.want {
			t.Errorf("%s: %q, want %q", test.text, got, test.want)
		}
	}
}

// dns-persist-01 is never offered unless a profile lists it: its challenges
// have no token, and some clients then refuse the whole authorization.
func TestPersistentRecordsAreAskedFor(t *testing.T) {
	t.Parallel()
	for name, p := range parse(t, "{}").AcmeProfiles() {
		if slices.Contains(p.Challenges, acme.DNSPersist01) || p.CAA {
			t.Errorf("profile %s of the defaults: challenges %v, CAA %t", name, p.Challenges, p.CAA)
		}
	}
}

// TestDomain gives every field a value of its own, so that none can be lost on
// the way.
func TestDomain(t *testing.T) {
	t.Parallel()
	c := parse(t, `
directories:
  default: {profiles: [full]}
  b: {path: /b/dir, pre_authorization: true, external_account: required, profiles: [full, other], terms_of_service: "https://example.org/terms", website: "https://example.org/", plain_contacts: true, fixed_keys: true}
profiles:
  other: {backend: local}
  full:
    description: for everything
    backend: local
    challenges: [dns-01, http-01, dns-persist-01]
    usages: [client_auth, email_protection]
    subject: empty
    validity: 1d12h
    identifiers: {types: [ip, dns], single_label: true, wildcard: true, suffixes: [example.org], max: 7}
    key_types: [ed25519, p384]
    order_lifetime: 2h
    authorization_lifetime: 3h
    hold: 4s
    issuance_deadline: 5h
    reuse_authorizations: 2h30m
    dates: upper_bound
    lenient_replaces: true
    renewal: {window_start: 1/2, window_end: 8h, explanation_url: "https://example.org/renewals?x=1"}
    resubmit_on_doubt: true
    reattach: swap
    reattach_within: 12h
    retry_after: 5m
    approval: required
    approvers: [alice, bob]
    approval_within: 36h
    caa: true
backends:
  local: {type: localca, caa_identities: [ca.example, ca.example.net]}
`)
	wantProfile := acme.Profile{
		Name: "full", Description: "for everything", Backend: "local",
		Authorization: acme.AuthorizeByChallenge,
		Challenges:    []acme.ChallengeType{acme.DNS01, acme.HTTP01, acme.DNSPersist01},
		Identifiers: acme.IdentifierPolicy{
			Types:       []acme.IdentifierType{acme.IPIdentifier, acme.DNSIdentifier},
			SingleLabel: true, Wildcard: true, Suffixes: []string{"example.org"}, Max: 7,
		},
		Keys:     acme.KeyPolicy{Types: []string{"ed25519", "p384"}},
		Usages:   []acme.Usage{acme.ClientAuth, acme.EmailProtection},
		Subject:  acme.SubjectEmpty,
		Validity: 36 * time.Hour, OrderLifetime: 2 * time.Hour, AuthorizationLifetime: 3 * time.Hour,
		Hold: 4 * time.Second, IssuanceDeadline: 5 * time.Hour, ResubmitOnDoubt: true,
		Reattach: acme.ReattachSwap, ReattachWithin: 12 * time.Hour, RetryAfter: 5 * time.Minute,
		Approval: acme.ApprovalPolicy{Required: true, Approvers: []string{"alice", "bob"}, Within: 36 * time.Hour},
		Dates:    acme.DatesUpperBound, LenientReplaces: true, ReuseAuthorizations: 150 * time.Minute,
		CAA: true, IssuerDomainNames: []string{"ca.example", "ca.example.net"},
		Renewal: acme.RenewalPolicy{
			Start: acme.RenewalPoint{Part: 1, Whole: 2}, End: acme.RenewalPoint{Left: 8 * time.Hour}, Explanation: "https://example.org/renewals?x=1",
		},
	}
	if got := c.AcmeProfiles()["full"]; !reflect.DeepEqual(got, wantProfile) {
		t.Errorf("profile:\n got %+v\nwant %+v", got, wantProfile)
	}
	wantDirectories := []acme.Directory{
		{
			Name: "b", Path: "/b/dir", ExternalAccount: acme.ExternalAccountMandatory, PreAuthorization: true,
			Profiles: []acme.ProfileName{"full", "other"}, TermsOfService: "https://example.org/terms", Website: "https://example.org/", PlainContacts: true, FixedKeys: true,
		},
		{
			Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional,
			Profiles: []acme.ProfileName{"full"},
		},
	}
	if got := c.AcmeDirectories(); !reflect.DeepEqual(got, wantDirectories) {
		t.Errorf("directories:\n got %+v\nwant %+v", got, wantDirectories)
	}
}

// TestXRoad: a profile for signing has no extended key usage, whatever it lists,
// and one that is not for X-Road has no rule at all.
func TestXRoad(t *testing.T) {
	t.Parallel()
	profiles := parse(t, `
directories:
  xroad: {external_account: required, profiles: [auth, sign], plain_contacts: true, fixed_keys: true}
profiles:
  auth: {backend: local, dates: upper_bound, lenient_replaces: true, authorization: both, usages: [client_auth], xroad: {usage: auth}}
  sign: {backend: local, dates: upper_bound, lenient_replaces: true, authorization: both, xroad: {usage: sign, subject: fivrk, instance: FI-TEST}}
  tls: {backend: local}
`).AcmeProfiles()
	for name, want := range map[acme.ProfileName]struct {
		rule   acme.XRoadRule
		usages []acme.Usage
	}{
		"auth": {acme.XRoadRule{Usage: acme.XRoadAuth, Subject: acme.XRoadBasic}, []acme.Usage{acme.ClientAuth}},
		"sign": {acme.XRoadRule{Usage: acme.XRoadSign, Subject: acme.XRoadFinnish, Instance: "FI-TEST"}, nil},
		"tls":  {acme.XRoadRule{}, []acme.Usage{acme.ServerAuth, acme.ClientAuth}},
	} {
		if got := profiles[name]; got.XRoad != want.rule || (got.RetryAfter == 5*time.Second) != (want.rule.Usage != "") || !slices.Equal(got.Usages, want.usages) {
			t.Errorf("%s: %+v with usages %v, want %+v", name, got.XRoad, got.Usages, want)
		}
	}
}

// TestXRoadHabits: what Security Servers need is on where they order, and what
// the file says is stronger.
func TestXRoadHabits(t *testing.T) {
	t.Parallel()
	c := parse(t, `
directories:
  left: {external_account: required, profiles: [auth]}
  no: {external_account: required, profiles: [bound], plain_contacts: false, fixed_keys: false}
  half: {external_account: required, profiles: [auth], fixed_keys: false}
  other: {profiles: [tls]}
  both: {profiles: [tls], plain_contacts: true, fixed_keys: true}
profiles:
  auth: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: auth}}
  bound: {backend: local, dates: upper_bound, lenient_replaces: true, authorization: both, xroad: {usage: auth}}
  tls: {backend: local}
`)
	for _, d := range c.AcmeDirectories() {
		want := map[acme.DirectoryName][2]bool{"left": {true, true}, "half": {true, false}, "both": {true, true}}[d.Name]
		if d.PlainContacts != want[0] || d.FixedKeys != want[1] {
			t.Errorf("%s: plain contacts %t, fixed keys %t, want %v", d.Name, d.PlainContacts, d.FixedKeys, want)
		}
	}
	for name, want := range map[acme.ProfileName]acme.DatesRule{"auth": acme.DatesWish, "bound": acme.DatesUpperBound, "tls": acme.DatesExact} {
		if got := c.AcmeProfiles()[name].Dates; got != want {
			t.Errorf("%s: dates are %s, want %s", name, got, want)
		}
	}
}

// TestIB1Profile: the framework decides what the file might say otherwise, and
// what is printed is what is in force.
func TestIB1Profile(t *testing.T) {
	t.Parallel()
	c := parse(t, `
directories: {d: {external_account: required, profiles: [client, signing, server]}}
profiles:
  client: {backend: f, usages: [server_auth], key_types: [rsa], authorization: challenge, ib1: {tree: client, reissues: 2/1d}}
  signing: {backend: f, ib1: {tree: signing, reissues: off}}
  server: {backend: f, validity: 90d, identifiers: {wildcard: true}, challenges: [dns-01], ib1: {tree: server}}
backends: {f: {type: ib1, dir: d, passphrase_file: p, hosts: [registry.example.org]}}
`)
	profiles := c.AcmeProfiles()
	for name, want := range map[acme.ProfileName]struct {
		rule          acme.IB1Rule
		usages        []acme.Usage
		authorization acme.AuthorizationRule
	}{
		"client":  {acme.IB1Rule{Tree: acme.IB1Client, Reissues: 2, Per: 24 * time.Hour, Hosts: []string{"registry.example.org"}}, []acme.Usage{acme.ClientAuth}, acme.AuthorizeByRegistry},
		"signing": {acme.IB1Rule{Tree: acme.IB1Signing, Hosts: []string{"registry.example.org"}}, nil, acme.AuthorizeByRegistry},
		"server":  {acme.IB1Rule{Tree: acme.IB1Server, Reissues: 5, Per: 5 * 24 * time.Hour, Hosts: []string{"registry.example.org"}}, []acme.Usage{acme.ServerAuth}, acme.AuthorizeByBoth},
	} {
		got := profiles[name]
		if !reflect.DeepEqual(got.IB1, want.rule) || !slices.Equal(got.Usages, want.usages) || got.Authorization != want.authorization ||
			!slices.Equal(got.Keys.Types, []string{"p256"}) || got.Dates != acme.DatesRefuse || got.Identifiers.Wildcard {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := profiles["server"]; got.Validity != 24*time.Hour || !slices.Equal(got.Challenges, []acme.ChallengeType{acme.DNS01}) {
		t.Errorf("server: %s, %v", got.Validity, got.Challenges)
	}
}

func TestLongest(t *testing.T) {
	t.Parallel()
	c := parse(t, `
profiles:
  tls: {backend: local, validity: 10d, hold: 5s}
  long: {backend: local, validity: 30d}
  other: {backend: two, validity: 60d, hold: 1s}
backends: {local: {type: localca}, two: {type: localca}}
`)
	if got := c.LongestValidity("local"); got != 30*24*time.Hour {
		t.Errorf("longest validity of local: %v", got)
	}
	if got := c.LongestHold(); got != 5*time.Second {
		t.Errorf("longest hold: %v", got)
	}
}

func TestPassphrase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := parse(t, "backends: {local: {type: localca, passphrase_file: '"+path+"'}}").Backends["local"].LocalCA.Passphrase()
	if got, err := file(); err != nil || string(got) != "from the file" {
		t.Errorf("file: %q, %v", got, err)
	}
	env := parse(t, "", "ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE=from env").Backends["local"].LocalCA.Passphrase()
	if got, err := env(); err != nil || string(got) != "from env" {
		t.Errorf("environment: %q, %v", got, err)
	}
	if parse(t, "").Backends["local"].LocalCA.Passphrase() != nil {
		t.Error("a passphrase without a source")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := file(); !errors.Is(err, secret.ErrExposed) {
		t.Errorf("a passphrase that everybody can read: %v", err)
	}
}

// TestPrintReadsBack: what is printed is the same configuration, and defaults
// are part of it.
func TestPrintReadsBack(t *testing.T) {
	t.Parallel()
	for _, c := range []*config.Config{
		config.Default(),
		parse(t, "data_dir: 'yes'\nbackends: {local: {type: localca, organization: '# 12: \"x\"'}}\nvalidation: {resolvers: ['192.0.2.1:53'], timeout: 1m30s}\n"),
	} {
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse("printed", b.Bytes(), nil)
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, &b)
		}
		if !reflect.DeepEqual(again, c) {
			t.Errorf("what was printed reads as something else:\n%s", &b)
		}
		for _, line := range []string{"\n  interval: 5s\n", "\n    hold: 3s\n", "\n      single_label: true\n"} {
			if !strings.Contains(b.String(), line) {
				t.Errorf("the print lacks %q:\n%s", line, &b)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	if got := parse(t, "backends: {local: {type: localca, passphrase_file: /run/p}}").Warnings(); len(got) != 0 {
		t.Errorf("a quiet configuration warns: %q", got)
	}
	loud := parse(t, `
validation: {http_port: 5002, allow: [127.0.0.1/32]}
storage: {bolt: {allow_network_fs: true}}
cors: {origins: ["*"]}
profiles: {tls: {backend: local, resubmit_on_doubt: true, reattach: new}}
`, "ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE=xyzzy-hunter2")
	got := strings.Join(loud.Warnings(), "\n")
	for _, want := range []string{"validation.allow", "http_port", "allow_network_fs", "cors.origins", "profiles.tls.resubmit_on_doubt", "profiles.tls.reattach", "ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning about %s in:\n%s", want, got)
		}
	}
}

// TestUnusedWarnings: what stands in the file for nothing, or was left as the
// example had it.
func TestUnusedWarnings(t *testing.T) {
	t.Parallel()
	got := strings.Join(parse(t, "backends: {local: {type: localca, passphrase_file: /run/p}, spare: {type: localca, passphrase_file: /run/p}}").Warnings(), "\n")
	if got != "backends.spare: no profile uses it" {
		t.Errorf("of two backends, one unused: %q", got)
	}
	got = strings.Join(parse(t, string(config.Production())).Warnings(), "\n")
	for _, want := range []string{"base_url is still the one", "pki_url is still the one"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %q of the example as it is:\n%s", want, got)
		}
	}
	edited := strings.ReplaceAll(string(config.Production()), "acme.example.org", "acme.a.example")
	if got := strings.Join(parse(t, edited).Warnings(), "\n"); strings.Contains(got, "still") {
		t.Errorf("of the example with another name: %s", got)
	}
}

// TestRelativePaths: an error names the place at which a relative path begins,
// and not the path, which may be a password (SK-10).
func TestRelativePaths(t *testing.T) {
	t.Parallel()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path := written(t, "tls: {cert: hunter2, key: hunter2}\n")
	if _, err := config.LoadAndLook(path, nil); err == nil || !strings.Contains(err.Error(), "begins at the working directory, "+folder) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a certificate that is not there: %v", err)
	}
	if _, err := config.Load("absent.yaml", nil); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, "absent.yaml")) {
		t.Errorf("a configuration that is not there: %v", err)
	}
}

// TestExamplesOfDocs: what people copy from there is accepted as it stands.
func TestExamplesOfDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "dns.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("docs/dns.md has %d examples", len(blocks))
	}
	for _, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		parse(t, example)
	}
}

// TestAuthorizationByRegistry: where nothing is proved, no challenge has to be
// able to prove it (D12).
func TestAuthorizationByRegistry(t *testing.T) {
	t.Parallel()
	text := func(rule string) []byte {
		return []byte("profiles:\n  tls:\n    backend: local\n    authorization: " + rule + "\n    challenges: [tls-alpn-01]\n    identifiers: {wildcard: true}\nbackends:\n  local: {type: localca}\n")
	}
	for rule, want := range map[string]bool{"registry": true, "both": false, "challenge": false, "bogus": false} {
		c, err := config.Parse("f", text(rule), nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", rule, err)
		}
		if err == nil && c.AcmeProfiles()["tls"].Authorization != acme.AuthorizationRule(rule) {
			t.Errorf("%s became %q", rule, c.AcmeProfiles()["tls"].Authorization)
		}
	}
}

// TestXRoadDocument: what docs/x-road.md tells people to write is accepted.
func TestXRoadDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/x-road.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("there is no example")
	}
	if got := parse(t, example).AcmeProfiles()["xroad-sign"].XRoad.Usage; got != acme.XRoadSign {
		t.Errorf("the example's profile for signing is %q", got)
	}
}
