// Package imports holds the import table of the project: who may know whom.
// The direction of imports is what keeps a rule readable without a database
// and a backend without an opinion on orders, so it is checked by machine.
package imports

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "acmebridge"

// rule says what one group of packages may import, of ours and of others'.
type rule struct {
	// from is a package path below the module; a trailing /... takes those
	// below it.
	from string
	// ours lists what of this module may be imported, others which modules
	// outside of the standard library.
	ours, others []string
	// never lists standard packages that stay out.
	never []string
	why   string
}

// The first rule that fits a package is its rule. A package that fits none
// fails the test, so a new folder is a decision.
var rules = []rule{
	{from: "acme", ours: []string{"internal/country"}, others: []string{"golang.org/x/net/idna", "golang.org/x/crypto/cryptobyte", "github.com/titanous/rocacheck"},
		never: []string{"database/sql", "os", "net/http", "net/http/httptest"},
		why:   "the rules can be read and tested alone, and anybody may import them"},
	{from: "acme/jws", ours: []string{"acme"}, others: []string{"github.com/go-jose/go-jose/v4"}, never: []string{"net/http"},
		why: "parsing hostile bytes is easiest to fuzz when it can reach nothing"},
	{from: "acme/nonce", ours: []string{"acme"},
		why: "nonces know nothing of what they protect"},
	{from: "acme/engine", ours: []string{"acme", "storage", "backends", "challenges", "internal/failpoint", "internal/ratelimit"}, never: []string{"net/http"},
		why: "the engine meets contracts, never implementations, and no front"},
	{from: "acme/server", ours: []string{"acme", "acme/jws", "acme/nonce", "acme/engine", "internal/ratelimit"}, others: []string{"github.com/gorilla/mux"},
		why: "a front translates; it decides nothing about orders and stores nothing"},
	{from: "acme/server/servertest", ours: []string{"..."}, others: []string{"..."},
		why: "a harness that puts a whole server together, for tests only"},
	{from: "storage", ours: []string{"acme"}, others: []string{"github.com/fxamacker/cbor/v2"},
		why: "contract, records and their encoding"},
	{from: "storage/internal/...", why: "data structures that stores share"},
	{from: "storage/...", ours: []string{"acme", "storage", "storage/internal/...", "internal/failpoint"}, others: []string{"go.etcd.io/bbolt", "golang.org/x/sys"},
		why: "stores do not know rules, rules do not know stores, and stores do not know each other"},
	{from: "challenges", ours: []string{"acme", "internal/egress"}, others: []string{"github.com/miekg/dns"},
		why: "a validator returns an outcome and never writes one"},
	{from: "challenges/...", ours: []string{"acme", "challenges", "internal/egress"},
		why: "fakes of what is validated"},
	{from: "backends", ours: []string{"acme", "internal/egress"},
		why: "the contract of backends"},
	{from: "backends/sectigo", ours: []string{"acme", "backends", "internal/caclient", "internal/egress", "internal/keyfile", "internal/secret"},
		others: []string{"golang.org/x/crypto/cryptobyte", "go.yaml.in/yaml/v4"},
		why:    "a client of one CA, and its translation for the engine"},
	{from: "backends/sectigo/sectigotest", ours: []string{"internal/standin"}, others: []string{"golang.org/x/crypto/cryptobyte"},
		why: "a stand-in that knows its client would make the same mistakes"},
	{from: "backends/digicert", ours: []string{"acme", "backends", "internal/caclient", "internal/secret"},
		why: "a client of one CA, and its translation for the engine"},
	{from: "backends/digicert/digicerttest", ours: []string{"internal/standin"}, why: "a stand-in that knows its client would make the same mistakes"},
	{from: "backends/globalsign", ours: []string{"acme", "backends", "internal/caclient", "internal/secret"},
		why: "a client of one CA, and its translation for the engine"},
	{from: "backends/globalsign/globalsigntest", ours: []string{"internal/standin"}, why: "a stand-in that knows its client would make the same mistakes"},
	{from: "backends/godaddy", ours: []string{"acme", "backends", "internal/caclient", "internal/secret"},
		why: "a client of one CA, and its translation for the engine"},
	{from: "backends/godaddy/godaddytest", ours: []string{"internal/standin"}, why: "a stand-in that knows its client would make the same mistakes"},
	{from: "backends/upstream", ours: []string{"acme", "backends", "internal/accountjws", "internal/keyfile"}, others: []string{"golang.org/x/crypto/acme", "github.com/miekg/dns"},
		why: "an ACME client with one account, and its translation for the engine"},
	{from: "backends/ib1", ours: []string{"backends/ib1/extension", "internal/country"}, others: []string{"golang.org/x/crypto/cryptobyte", "github.com/zmap/zlint/v3", "github.com/zmap/zcrypto"},
		why: "certificates are made of values, and nothing is kept"},
	{from: "backends/ib1/ceremony", ours: []string{"backends/ib1", "internal/keyfile"},
		why: "a folder on a machine without a network"},
	{from: "backends/ib1/online", ours: []string{"acme", "backends", "backends/ib1", "backends/ib1/ceremony", "internal/keyfile"},
		why: "what ceremonies have made, in the terms of the engine"},
	{from: "backends/ib1/extension", why: "two extensions that whoever verifies may read without the rest of us"},
	{from: "backends/ib1/verify", ours: []string{"backends/ib1/extension"}, why: "whoever verifies does so without the rest of us"},
	{from: "backends/...", ours: []string{"acme", "backends", "internal/egress", "internal/failpoint", "internal/keyfile"}, others: []string{"golang.org/x/crypto", "github.com/fxamacker/cbor/v2"},
		why: "a backend gets values and returns values; the engine persists"},
	{from: "conformance/storagetest", ours: []string{"acme", "storage"}, why: "outsiders run it unchanged"},
	{from: "conformance/backendtest", ours: []string{"acme", "acme/engine", "backends", "challenges", "storage", "storage/memory"},
		why: "outsiders run it unchanged; it puts the engine in front of their backend"},
	{from: "conformance/acmetest", others: []string{"github.com/go-jose/go-jose/v4", "golang.org/x/crypto/acme"},
		why: "outsiders run it unchanged, against any server"},
	{from: "conformance/personas", others: []string{"golang.org/x/crypto/acme"},
		why: "outsiders run it unchanged, against any server"},
	{from: "conformance/...", ours: []string{"acme", "conformance/..."}, others: []string{"..."},
		why: "black-box tools and tests know the server from outside only"},
	{from: "internal/caclient", ours: []string{"backends", "internal/failpoint", "internal/secret"}, why: "it carries requests to a CA, and does not know which"},
	{from: "internal/standin", why: "what imitations have in common knows none of them, and none of their clients"},
	{from: "internal/country", why: "a list of codes"},
	{from: "internal/failpoint", why: "everybody may break at a point, so a point knows nobody"},
	{from: "internal/ratelimit", why: "it counts, and does not know what"},
	{from: "internal/egress", others: []string{"github.com/miekg/dns"}, why: "a security edge that judges addresses and knows nothing else"},
	{from: "internal/egress/dnstest", others: []string{"github.com/miekg/dns"}, why: "a DNS server for tests"},
	{from: "conformance/testport", why: "it finds ports for tests"},
	{from: "internal/scripttest", ours: []string{"conformance/testport"}, others: []string{"github.com/rogpeppe/go-internal"},
		why: "commands for the scripts of any program"},
	{from: "internal/identity/renew", ours: []string{"acme", "internal/accountjws", "internal/identity", "internal/keyfile"}, others: []string{"golang.org/x/crypto/acme"},
		why: "an ACME client, for members of any server"},
	{from: "internal/accountjws", why: "it signs for accounts at any server"},
	{from: "internal/identity", ours: []string{"acme", "internal/keyfile"}, why: "what members do with their keys, on machines where no server runs"},
	{from: "internal/hsm", others: []string{"github.com/miekg/pkcs11"}, why: "it keeps keys where nobody gets at them, and does not know whose"},
	{from: "internal/globalconf", why: "it reads what a Central Server publishes, and decides nothing"},
	{from: "internal/globalconf/globalconftest", why: "a source that knows its reader would make the same mistakes"},
	{from: "internal/keyfile", why: "it keeps keys, and does not know whose"},
	{from: "internal/secret", others: []string{"golang.org/x/crypto"}, why: "a secret knows nobody"},
	{from: "internal/ocsp", others: []string{"golang.org/x/crypto/cryptobyte"}, why: "it answers hostile bytes, and is told what it knows"},
	{from: "internal/roster", why: "it reads what others publish, and does nothing with it"},
	{from: "internal/pki", ours: []string{"acme", "storage"}, why: "what the public may fetch"},
	{from: "internal/memberapi/idtoken", ours: []string{"acme", "internal/memberapi"}, others: []string{"github.com/coreos/go-oidc/v3"},
		why: "it knows people by what their provider says, and decides nothing"},
	{from: "internal/memberapi", ours: []string{"acme", "acme/engine", "internal/ratelimit"},
		why: "a front translates; it decides nothing about orders and stores nothing"},
	{from: "internal/admin", ours: []string{"acme", "acme/engine", "storage", "backends"}, others: []string{"github.com/prometheus/client_golang"},
		why: "a second front with the operator's verbs"},
	{from: "internal/imports", why: "this table"},
	{from: "cmd/acmebridge/config", ours: []string{"acme", "internal/secret", "internal/ratelimit"}, others: []string{"go.yaml.in/yaml/v4", "golang.org/x/net/idna"},
		why: "configuration is values; who makes things of them is the command"},
	{from: "cmd/...", ours: []string{"..."}, others: []string{"..."},
		why: "the only place that names concrete stores and backends"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// TestImportTable holds every package of the module against the table.
func TestImportTable(t *testing.T) {
	for _, p := range list(t) {
		for _, violation := range check(p) {
			t.Error(violation)
		}
	}
}

// TestImportTableBites makes sure that the table refuses what it is for.
func TestImportTableBites(t *testing.T) {
	for _, p := range []goPackage{
		{ImportPath: module + "/backends/sectigo", Imports: []string{module + "/storage"}},
		{ImportPath: module + "/backends/sectigo", Imports: []string{module + "/backends/localca"}},
		{ImportPath: module + "/backends/sectigo/sectigotest", Imports: []string{module + "/backends/sectigo"}},
		{ImportPath: module + "/backends/digicert/digicerttest", Imports: []string{module + "/backends/digicert"}},
		{ImportPath: module + "/backends/globalsign/globalsigntest", Imports: []string{module + "/backends/globalsign"}},
		{ImportPath: module + "/backends/godaddy/godaddytest", Imports: []string{module + "/internal/caclient"}},
		{ImportPath: module + "/internal/standin", Imports: []string{module + "/internal/caclient"}},
		{ImportPath: module + "/backends/ib1/extension", Imports: []string{module + "/acme"}},
		{ImportPath: module + "/backends/ib1/verify", Imports: []string{module + "/backends/ib1"}},
		{ImportPath: module + "/acme/engine", Imports: []string{"net/http"}},
		{ImportPath: module + "/acme/engine", Imports: []string{module + "/storage/bolt"}},
		{ImportPath: module + "/acme/server", Imports: []string{module + "/storage"}},
		{ImportPath: module + "/acme", Imports: []string{module + "/storage"}},
		{ImportPath: module + "/acme", Imports: []string{"github.com/go-jose/go-jose/v4"}},
		{ImportPath: module + "/storage/bolt", Imports: []string{module + "/storage/memory"}},
		{ImportPath: module + "/challenges", Imports: []string{module + "/acme/engine"}},
		{ImportPath: module + "/conformance/acmetest", Imports: []string{module + "/acme/server"}},
		{ImportPath: module + "/conformance/personas", Imports: []string{module + "/acme"}},
		{ImportPath: module + "/somewhere/new"},
	} {
		if len(check(p)) == 0 {
			t.Errorf("the table lets %s import %v", p.ImportPath, p.Imports)
		}
	}
}

func check(p goPackage) (violations []string) {
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	r, ok := ruleFor(name)
	if !ok {
		return []string{name + " has no rule in the import table: say what it may know, and why"}
	}
	for _, imported := range p.Imports {
		if !r.allows(name, imported) {
			violations = append(violations, name+" may not import "+imported+": "+r.why)
		}
	}
	return violations
}

func ruleFor(name string) (rule, bool) {
	for _, r := range rules {
		if matches(r.from, name) {
			return r, true
		}
	}
	return rule{}, false
}

func (r rule) allows(name, imported string) bool {
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		for _, pattern := range r.ours {
			if matches(pattern, ours) {
				return true
			}
		}
		// A helper of one's own, such as a fake beside what it imitates.
		return strings.HasPrefix(ours, name+"/") && !strings.HasPrefix("acme/", name)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		for _, pattern := range r.never {
			if matches(pattern, imported) {
				return false
			}
		}
		return true // the standard library
	}
	for _, pattern := range r.others {
		if pattern == "..." || imported == pattern || strings.HasPrefix(imported, pattern+"/") {
			return true
		}
	}
	return false
}

func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(name, prefix+"/")
	}
	return pattern == name
}

func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	return packages
}
