package config_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	c := parse(t, `
validation: {allow: [10.0.0.0/8], attempts: 9}
directories:
  default: {profiles: [tls]}
  x-road: {profiles: [tls]}
profiles: {tls: {backend: local}, short: {backend: local}}
`,
		"PATH=/bin", "ACMEBRIDGE=not ours",
		"ACMEBRIDGE_LISTEN=127.0.0.1:1", "ACMEBRIDGE_LISTEN=127.0.0.1:2",
		"ACMEBRIDGE_VALIDATION_HTTP_PORT=8080",
		"ACMEBRIDGE_VALIDATION_ALLOW=192.168.0.0/16, fd00::/8",
		"ACMEBRIDGE_VALIDATION_RESOLVERS=",
		"ACMEBRIDGE_STORAGE_BOLT_PATH=/data/x=y.db",
		"ACMEBRIDGE_STORAGE_BOLT_ALLOW_NETWORK_FS=true",
		"ACMEBRIDGE_DIRECTORIES_DEFAULT_EXTERNAL_ACCOUNT=required",
		"ACMEBRIDGE_DIRECTORIES_X_ROAD_PROFILES=short,tls",
		"ACMEBRIDGE_PROFILES_SHORT_VALIDITY=1d",
		"ACMEBRIDGE_PROFILES_SHORT_IDENTIFIERS_SINGLE_LABEL=false",
		"ACMEBRIDGE_BACKENDS_LOCAL_ORGANIZATION=Example, Inc.",
		"ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE=hunter2",
		"ACMEBRIDGE_BACKENDS_LOCAL_TYPE=localca",
	)
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"listen", c.Listen, "127.0.0.1:2"},
		{"base_url, which follows", c.BaseURL, "https://localhost:2"},
		{"http_port", c.Validation.HTTPPort, 8080},
		{"attempts, from the file", c.Validation.Attempts, 9},
		{"allow", c.Validation.Allow, []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fd00::/8")}},
		{"resolvers", c.Validation.Resolvers, []string(nil)},
		{"bolt path", c.BoltPath(), "/data/x=y.db"},
		{"network file system", c.Storage.Bolt.AllowNetworkFS, true},
		{"external account", c.Directories["default"].ExternalAccount, acme.ExternalAccountMandatory},
		{"external account of the other", c.Directories["x-road"].ExternalAccount, acme.ExternalAccountOptional},
		{"profiles", c.Directories["x-road"].Profiles, []acme.ProfileName{"short", "tls"}},
		{"validity", c.Profiles["short"].Validity, 24 * time.Hour},
		{"validity of the other", c.Profiles["tls"].Validity, 90 * 24 * time.Hour},
		{"single label", *c.Profiles["short"].Identifiers.SingleLabel, false},
		{"organization", c.Backends["local"].LocalCA.Organization, "Example, Inc."},
		{"passphrase", string(c.Backends["local"].LocalCA.PassphraseValue.Reveal()), "hunter2"},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s is %v, want %v", check.what, check.got, check.want)
		}
	}
}

// TestEnvironmentHidesSecrets: a passphrase from the environment is in no
// print, and the print stays a file that can be read.
func TestEnvironmentHidesSecrets(t *testing.T) {
	t.Parallel()
	c := parse(t, "", "ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE=hunter2")
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("the print shows the secret:\n%s", &b)
	}
	if !strings.Contains(b.String(), "# passphrase: [redacted], from ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE") {
		t.Errorf("the print does not say that there is a secret:\n%s", &b)
	}
	if !reflect.DeepEqual(parse(t, b.String()), parse(t, "")) {
		t.Errorf("what was printed reads as something else:\n%s", &b)
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		env        []string
		want       string
	}{
		{
			"unknown", "", []string{"ACMEBRIDGE_VALIDATION_HTP_PORT=80"},
			"ACMEBRIDGE_VALIDATION_HTP_PORT: no such setting; did you mean ACMEBRIDGE_VALIDATION_HTTP_PORT?",
		},
		{
			"entries are not made", "", []string{"ACMEBRIDGE_PROFILES_SOMETHINGELSE_BACKEND=local"},
			"ACMEBRIDGE_PROFILES_SOMETHINGELSE_BACKEND: no such setting",
		},
		{"number", "", []string{"ACMEBRIDGE_VALIDATION_HTTP_PORT=hunter2"}, "ACMEBRIDGE_VALIDATION_HTTP_PORT: is not a whole number, written with plain digits"},
		{"bounds", "", []string{"ACMEBRIDGE_PROFILES_TLS_HOLD=9s"}, "ACMEBRIDGE_PROFILES_TLS_HOLD: is too long; the most is 8s"},
		{"empty number", "", []string{"ACMEBRIDGE_VALIDATION_ATTEMPTS="}, "ACMEBRIDGE_VALIDATION_ATTEMPTS: is not a whole number, written with plain digits"},
		{"enum", "", []string{"ACMEBRIDGE_LOG_FORMAT=jsn"}, "ACMEBRIDGE_LOG_FORMAT: must be auto, text or json; did you mean json?"},
		{"type", "", []string{"ACMEBRIDGE_BACKENDS_LOCAL_TYPE=x"}, "ACMEBRIDGE_BACKENDS_LOCAL_TYPE: must be localca, sectigo, digicert, globalsign, godaddy, ib1 or upstream"},
		{
			// The file's own second entry must not lend its line to the variable's.
			"cross check names the variable", "directories:\n  default: {profiles: [tls, old]}\n",
			[]string{"ACMEBRIDGE_DIRECTORIES_DEFAULT_PROFILES=tls,nope"},
			"ACMEBRIDGE_DIRECTORIES_DEFAULT_PROFILES: no profile has this name; there is tls",
		},
		{
			"two settings of one name", "backends: {local: {type: localca}, local-key: {type: localca}}\n",
			[]string{"ACMEBRIDGE_BACKENDS_LOCAL_KEY_TYPE=p384"},
			"ACMEBRIDGE_BACKENDS_LOCAL_KEY_TYPE: could mean backends.local.key_type or backends.local-key.type; set it in the file",
		},
		{
			"passphrase twice", "backends:\n  local:\n    type: localca\n    passphrase_file: /run/p\n",
			[]string{"ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE=hunter2"},
			"f:4:22: backends.local.passphrase_file: is set, and so is the variable ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE; keep one",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("f", []byte(test.text), test.env)
			if err == nil || err.Error() != test.want {
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
		})
	}
}
