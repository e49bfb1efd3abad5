package xroad_test

import (
	"fmt"
	"strings"
	"testing"
)

// productsHost is where a directory has a host of its own, and no path.
const productsHost = "xroad.example.com"

// acceptance are the cases by which a server is one for Security Servers. They run
// against "acmebridge serve", all at once; the last one kills it, after the others.
// One with a bubble takes longer than anybody waits, so it has a clock of its own.
var acceptance = []struct {
	number int
	says   string
	run    func(*testing.T, *site)
	bubble func(*testing.T)
	last   bool
}{
	{number: 1, says: "a directory with path and without, kept as long as it says", run: case1},
	{number: 2, says: "nonces by HEAD, and a stale one replaced", run: case2},
	{number: 3, says: "a new account, with a contact without scheme", run: case3},
	{number: 4, says: "a known key is answered first, with terms and without", run: case4},
	{number: 5, says: "a known key bound by another kid changes nothing", run: case5},
	{number: 6, says: "a kid binds new keys again and again", run: case6},
	{number: 7, says: "a new key that agrees to nothing, as after a lost keystore", run: case7},
	{number: 8, says: "no contact; no binding, and a wrong one", run: case8},
	{number: 9, says: "the key as base64url, padded, and as text", run: case9},
	{number: 10, says: "accounts by usage, and by directory", run: case10},
	{number: 11, says: "an order for a year, to the nanosecond", run: case11},
	{number: 12, says: "an order for a day", run: case12},
	{number: 13, says: "the same name again has to be proved again", run: case13},
	{number: 14, says: "names without a dot, where they are wanted", run: case14},
	{number: 15, says: "a challenge has one URL, whatever Host says", run: case15},
	{number: 16, says: "the answer to a challenge response", run: case16},
	{number: 17, says: "the validation asks for a host without a port", run: case17},
	{number: 18, says: "finalize in the moment in which the challenge is valid", run: case18},
	{number: 19, says: "a wrong answer ends the order, and no other", run: case19},
	{number: 20, says: "a slow CA: finalize is answered at once, and pauses are long enough", run: case20},
	{number: 21, says: "a CA of minutes and hours is waited for", bubble: case21},
	{number: 22, says: "the CA says no", run: case22},
	{number: 23, says: "AUTH", run: csrs(23)},
	{number: 24, says: "SIGN", run: csrs(24)},
	{number: 25, says: "BasicACME", run: csrs(25)},
	{number: 26, says: "AUTH without SAN", run: csrs(26)},
	{number: 27, says: "the wrong usage, another member", run: csrs(27)},
	{number: 28, says: "wrong names; kinds of keys", run: csrs(28)},
	{number: 29, says: "the profile id chooses a product", run: case29},
	{number: 30, says: "the certificate", run: case30},
	{number: 31, says: "OCSP is good at once", run: case31},
	{number: 32, says: "renewal information is there at once", run: case32},
	{number: 33, says: "cycles with nothing to do", run: case33},
	{number: 34, says: "a cycle that renews", run: case34},
	{number: 35, says: "the same replaces again", run: case35},
	{number: 36, says: "replaces of another account, and of nobody", run: case36},
	{number: 37, says: "another key while the CA is at work", run: case37},
	{number: 38, says: "key change, refused and forgotten", run: case38},
	{number: 39, says: "renewal without SAN", run: case39},
	{number: 40, says: "the server is killed between finalize and the next look", run: case40, last: true},
}

// TestAcceptanceIsWhole: there are 40 cases, and each is run somewhere.
func TestAcceptanceIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for _, c := range acceptance {
		if seen[c.number] || c.number < 1 || c.number > 40 {
			t.Errorf("%d is there twice, or no case", c.number)
		}
		seen[c.number] = true
		if (c.run == nil) == (c.bubble == nil) {
			t.Errorf("%d is to run at a process, or else in a bubble", c.number)
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d cases, want 40", len(seen))
	}
}

// TestAcceptance runs them, against one server that has a directory for each kind
// of instance, and a CA that speaks ACME behind one of them.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	behind, withCA := startCA(t)
	b := startBridge(t, func(config string) string { return withCA(instances(config)) })
	s := b.site(map[string]string{"products": "https://" + productsHost + ":PORT"})
	s.behind = behind
	// The registry knows the servers of these. Each case makes its keys.
	for _, m := range []string{member, "EX:COM:5550022", "FI-TEST:GOV:5550001", "IS:GOV:5550001"} {
		b.command(t, "member", "create", m, "--identifier", ".localhost", "--identifier", "ss0", "--identifier", "ss0.internal")
	}
	t.Run("all", func(t *testing.T) {
		for _, c := range acceptance {
			if c.last {
				continue
			}
			t.Run(fmt.Sprintf("%02d %s", c.number, c.says), func(t *testing.T) {
				t.Parallel()
				if c.bubble != nil {
					c.bubble(t)
					return
				}
				c.run(t, s)
			})
		}
		t.Run("another member", func(t *testing.T) {
			t.Parallel()
			anotherMember(t, s)
		})
		t.Run("another instance", func(t *testing.T) {
			t.Parallel()
			anotherInstance(t, s)
		})
	})
	for _, c := range acceptance {
		if c.last {
			t.Run(fmt.Sprintf("%02d %s", c.number, c.says), func(t *testing.T) { c.run(t, s) })
		}
	}
}

// instances adds directories to the example, whose own is that of BasicACME.
func instances(config string) string {
	const directories = `
directories:
  fivrk: {external_account: required, profiles: [fivrk-auth, fivrk-sign]}
  is: {external_account: required, profiles: [is-auth]}
  ejbca: {external_account: required, profiles: [ejbca-auth]}
  instances: {external_account: required, profiles: [test-auth, home-auth]}
  test: {external_account: required, profiles: [test-auth]}
  private: {external_account: required, profiles: [private-auth]}
  changing: {external_account: required, fixed_keys: false, profiles: [changing-auth]}
  watched: {external_account: required, profiles: [watched-auth]}
  remote: {external_account: required, profiles: [remote-sign]}
  products: {host: ` + productsHost + `, path: /, external_account: required, profiles: [products-auth, gold-auth, products-sign, silver-sign]}
`
	profiles := "\nprofiles:\n"
	for _, p := range []struct{ name, more string }{
		{"fivrk-auth", "backend: xroad, xroad: {usage: auth, subject: fivrk}"},
		{"fivrk-sign", "backend: xroad, xroad: {usage: sign, subject: fivrk}"},
		{"is-auth", "backend: xroad, xroad: {usage: auth, subject: is}"},
		{"ejbca-auth", "backend: xroad, xroad: {usage: auth, subject: ejbca}"},
		{"test-auth", "backend: xroad, xroad: {usage: auth, instance: EX-TEST}"},
		{"home-auth", "backend: xroad, xroad: {usage: auth, instance: EX}"},
		{"private-auth", "backend: xroad, identifiers: {single_label: true}, xroad: {usage: auth}"},
		{"changing-auth", "backend: xroad, xroad: {usage: auth}"},
		{"watched-auth", "backend: xroad, hold: 0s, approval: required, xroad: {usage: auth}"},
		{"remote-sign", "backend: behind, hold: 1s, xroad: {usage: sign}"},
		{"products-auth", "backend: xroad, xroad: {usage: auth}"},
		{"gold-auth", "backend: xroad, xroad: {usage: auth, profile_id: gold}"},
		{"products-sign", "backend: xroad, xroad: {usage: sign}"},
		{"silver-sign", "backend: xroad, xroad: {usage: sign, profile_id: silver}"},
	} {
		profiles += fmt.Sprintf("  %s: {authorization: both, validity: 365d, lenient_replaces: true, %s}\n", p.name, p.more)
	}
	config = strings.Replace(config, "\ndirectories:\n", directories, 1)
	return strings.Replace(config, "\nprofiles:\n", profiles, 1)
}
