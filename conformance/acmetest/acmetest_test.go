package acmetest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/acmetest"
	"acmebridge/conformance/pebbletest"
	"acmebridge/conformance/suiteflags"
)

// fromCommandLine are the flags of go test; package flag offers no later moment to
// add them than this.
var fromCommandLine = addFlags(flag.CommandLine)

// options are what an outsider can say on the command line.
type options struct {
	*suiteflags.Flags
	contact          string
	eabReusable      bool
	limitedDirectory string
	limitedOrders    int
}

func addFlags(set *flag.FlagSet) *options {
	o := &options{Flags: suiteflags.Add(set)}
	set.StringVar(&o.contact, "contact", "", "account contact the server accepts")
	set.BoolVar(&o.eabReusable, "eab-reusable", false, "one external account key may bind several accounts")
	set.StringVar(&o.limitedDirectory, "limited-directory", "", "directory URL where an account may place few orders at once")
	set.IntVar(&o.limitedOrders, "limited-orders", 0, "how many that is")
	return o
}

// TestServer checks the server named by the flags, or Pebble when none is.
func TestServer(t *testing.T) {
	if fromCommandLine.Directory == "" {
		acmetest.Run(t, againstPebble(t))
		return
	}
	cfg, err := fromCommandLine.config()
	if err != nil {
		t.Fatal(err)
	}
	acmetest.Run(t, cfg)
}

// TestCommandLine goes the way of an outsider: everything comes from flags and files.
func TestCommandLine(t *testing.T) {
	pebble := againstPebble(t)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var keys bytes.Buffer
	for range 20 {
		k, err := pebble.ExternalAccounts.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&keys, "%s %s\n", k.KID, base64.RawURLEncoding.EncodeToString(k.HMAC))
	}
	differences, err := json.Marshal(map[string]string{"R8555-7.2-4/new-nonce-by-post-as-get": "204, as for GET"})
	if err != nil {
		t.Fatal(err)
	}
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	o := addFlags(set)
	if err := set.Parse([]string{
		"-directory", pebble.DirectoryURL, "-ca", write("root.pem", pebble.RootCAs), "-suffix", "flags.localhost",
		"-eab-directory", pebble.ExternalAccounts.DirectoryURL, "-eab-keys", write("keys", keys.Bytes()), "-eab-reusable",
		"-differences", write("differences.json", differences),
	}); err != nil {
		t.Fatal(err)
	}
	cfg, err := o.config()
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTP01Listener = pebble.HTTP01Listener
	cfg.Match = func(c acmetest.Case) bool {
		return c.ID == "R8555-7.2-4" || c.ID == "R8555-7.3.4-10" || c.FullName() == "R8555-7.4-1/client-obtains-a-certificate"
	}
	report := acmetest.Run(t, cfg)
	if len(report.Passed) != 2 || len(report.Different) != 1 {
		t.Errorf("report is %+v, want two cases passed and one different", report)
	}
}

// TestClientsRetryRefusedNonces runs the good ways against a server that refuses
// one good nonce in five: a suite that could not cope would blame the server.
func TestClientsRetryRefusedNonces(t *testing.T) {
	server := pebbletest.Start(t, pebbletest.Config{RejectNonces: 20})
	report := acmetest.Run(t, acmetest.Config{
		DirectoryURL:   server.DirectoryURL,
		RootCAs:        server.RootsPEM,
		HTTP01Listener: server.HTTP01Listener,
		Match: func(c acmetest.Case) bool {
			return strings.HasPrefix(c.Name, "client-") || c.ID == "R8555-9.1-1" || c.ID == "R8555-8.3-7" ||
				strings.HasSuffix(c.FullName(), "R8555-6.2-1/signature-with-a-flipped-bit")
		},
	})
	if len(report.Passed) < 12 {
		t.Errorf("only %d cases passed", len(report.Passed))
	}
}

// TestCasesAreNamed keeps names unique and the suite as large as it claims to be.
func TestCasesAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range acmetest.Cases() {
		if c.ID == "" || c.Name == "" || c.Run == nil || strings.ContainsAny(c.FullName(), " _") || seen[c.FullName()] {
			t.Errorf("case %q is incomplete, oddly named or there twice", c.FullName())
		}
		seen[c.FullName()] = true
	}
	if len(seen) < 200 {
		t.Errorf("%d cases, want more than 200", len(seen))
	}
}

func againstPebble(t *testing.T) acmetest.Config {
	keys, lines := map[string]string{}, strings.Builder{}
	for i := range 200 {
		kid, secret := fmt.Sprintf("kid-%03d", i), base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "external account key number %09d", i))
		keys[kid] = secret
		fmt.Fprintln(&lines, kid, secret)
	}
	server := pebbletest.Start(t, pebbletest.Config{AlternateRoots: 1})
	bound := pebbletest.Start(t, pebbletest.Config{ExternalAccounts: keys})
	return acmetest.Config{
		DirectoryURL:   server.DirectoryURL,
		RootCAs:        append(server.RootsPEM, bound.RootsPEM...),
		HTTP01Listener: server.HTTP01Listener,
		ExternalAccounts: &acmetest.ExternalAccounts{
			DirectoryURL: bound.DirectoryURL,
			NewKey:       newKey(suiteflags.HandOut(lines.String())),
			Reusable:     true, // Pebble never uses a key up
		},
		Differences: pebbleDifferences(),
		// Pebble locks itself out in one case; waiting longer would not help it.
		RequestTimeout: 3 * time.Second,
	}
}

// newKey makes keys that are handed out fit the suite.
func newKey(handOut func() (string, []byte, error)) func() (acmetest.ExternalAccountKey, error) {
	return func() (acmetest.ExternalAccountKey, error) {
		kid, secret, err := handOut()
		return acmetest.ExternalAccountKey{KID: kid, HMAC: secret}, err
	}
}

// config turns the flags into what Run takes.
func (o *options) config() (acmetest.Config, error) {
	v, err := o.Read()
	cfg := acmetest.Config{
		DirectoryURL: o.Directory, HTTP01Addr: o.HTTP01, NameSuffix: o.Suffix, Contact: o.contact, RootCAs: v.RootCAs, Differences: v.Differences,
	}
	if v.NewKey != nil {
		cfg.ExternalAccounts = &acmetest.ExternalAccounts{DirectoryURL: o.ExternalDirectory, NewKey: newKey(v.NewKey), Reusable: o.eabReusable}
	}
	if o.limitedDirectory != "" {
		cfg.Limited = &acmetest.Limited{DirectoryURL: o.limitedDirectory, NewOrders: o.limitedOrders}
	}
	return cfg, err
}
