package ib1_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"acmebridge/backends/ib1"
)

// notForMembers is what zlint would have otherwise of member certificates, and
// why it is as it is (section 1.10). Nothing else may be found, and of no other
// certificate; every line here must be found of a signing certificate.
var notForMembers = map[string]string{
	"e_ext_san_uniform_resource_identifier_present":           "the specification wants a URL there",
	"e_dnsname_bad_character_in_label":                        "the common name is a URL and no host name",
	"e_dnsname_not_valid_tld":                                 "the same",
	"e_subject_common_name_not_exactly_from_san":              "it is, but from a URL",
	"w_subject_common_name_included":                          "the same",
	"e_sub_cert_certificate_policies_missing":                 "a reserved policy would claim a validation that was not made",
	"e_sub_cert_cert_policy_empty":                            "the same",
	"e_sub_cert_eku_missing":                                  "signing certificates have no extended usage",
	"e_sub_cert_locality_name_must_appear":                    "subjects are made of country, organization and common name",
	"e_sub_cert_province_must_appear":                         "the same",
	"w_ext_subject_key_identifier_not_recommended_subscriber": "the specification wants it",
}

// onlyLater are in force from a date on, or not in this version of zlint.
var onlyLater = map[string]string{
	"e_server_cert_valid_time_longer_than_200_days": "the specification has 12 months",
	"w_server_cert_valid_time_longer_than_199_days": "the same",
	"e_server_cert_valid_time_longer_than_100_days": "the same",
	"w_server_cert_valid_time_longer_than_99_days":  "the same",
	"e_server_cert_valid_time_longer_than_47_days":  "the same",
	"w_server_cert_valid_time_longer_than_46_days":  "the same",
}

func findings(t *testing.T, der []byte) map[string]bool {
	t.Helper()
	c, err := zx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return judged(zlint.LintCertificate(c))
}

func judged(results *zlint.ResultSet) map[string]bool {
	found := map[string]bool{}
	for name, r := range results.Results {
		if r.Status >= lint.Warn {
			found[name] = true
		}
	}
	return found
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, tree := range ib1.Trees() {
		w := newWorld(t, tree)
		leaf := issue(t, w, tree, birth)
		for what, der := range map[string][]byte{"root": w.root.Certificate().Raw, "issuer": w.issuer.Certificate().Raw} {
			for name := range findings(t, der) {
				t.Errorf("%s of the %s tree: %s", what, tree, name)
			}
		}
		found := findings(t, leaf.Raw)
		switch tree {
		case ib1.Client: // has no usage that the Baseline Requirements are about
			for name := range found {
				t.Errorf("client certificate: %s", name)
			}
			twin(t, w, leaf)
		case ib1.Signing:
			compare(t, "signing certificate", found, "")
		case ib1.Server:
			for name := range found {
				if name != "w_ext_subject_key_identifier_not_recommended_subscriber" && name != "w_subject_common_name_included" {
					t.Errorf("server certificate: %s", name)
				}
			}
		}
		for what, der := range map[string][]byte{
			"list of the issuer": must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(7), ThisUpdate: birth, Revoked: []ib1.Revocation{{Serial: leaf.SerialNumber, At: birth, Reason: 1}, {Serial: big.NewInt(5), At: birth}}})),
			"empty list":         must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(8), ThisUpdate: birth})),
			"list of the root":   must(w.root.SignList(ib1.ListRequest{Number: big.NewInt(9), ThisUpdate: birth, Revoked: []ib1.Revocation{{Serial: big.NewInt(6), At: birth, Reason: 4}}})),
			"part of a list":     must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(10), ThisUpdate: birth, Partition: &ib1.Partition{URL: "http://pki.example.org/crl/1.crl", OnlyUserCerts: true}})),
		} {
			list, err := zx509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			registry := lint.GlobalRegistry()
			if what == "list of the root" {
				registry = forRoots(t)
			}
			for name := range judged(zlint.LintRevocationListEx(list, registry)) {
				if what == "part of a list" && name == "e_crl_extensions_validity" {
					continue // it looks for the distribution point under the number of another extension
				}
				t.Errorf("%s, %s tree: %s", what, tree, name)
			}
		}
	}
}

// forRoots are the lints with the word that a list is one of CA certificates,
// which no list says of itself.
func forRoots(t *testing.T) lint.Registry {
	t.Helper()
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := lint.NewConfigFromString("[e_crl_next_update_invalid]\nSubscriberCRL = false\n")
	if err != nil {
		t.Fatal(err)
	}
	registry.SetConfiguration(cfg)
	return registry
}

// twin lints a client certificate that claims to be for servers as well: zlint
// then holds it against all that the Baseline Requirements want.
func twin(t *testing.T, w world, leaf *x509.Certificate) {
	t.Helper()
	template := *leaf
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.ExtraExtensions = nil
	for _, e := range leaf.Extensions {
		if bytes.HasPrefix([]byte(e.Id.String()), []byte("1.3.6.1.4.1.62329.")) {
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: e.Id, Value: e.Value})
		}
	}
	der := must(x509.CreateCertificate(rand.Reader, &template, w.issuer.Certificate(), newKey(t, elliptic.P256()).Public(), w.ownKey))
	compare(t, "client certificate for servers too", findings(t, der), "e_sub_cert_eku_missing")
}

// compare wants exactly the findings of notForMembers, but for one.
func compare(t *testing.T, what string, found map[string]bool, except string) {
	t.Helper()
	for name := range found {
		_, known := notForMembers[name]
		_, later := onlyLater[name]
		if !known && !later || name == except {
			t.Errorf("%s: %s", what, name)
		}
	}
	for name := range notForMembers {
		if !found[name] && name != except {
			t.Errorf("%s: %s is excused and was not found: take it off the list", what, name)
		}
	}
}

// TestOpenSSL has OpenSSL verify whole chains, strictly, with the lists of both
// authorities, before and after a revocation.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	for _, tree := range ib1.Trees() {
		w := newWorld(t, tree)
		leaf := issue(t, w, tree, birth)
		purpose := map[ib1.Tree]string{ib1.Client: "sslclient", ib1.Signing: "any", ib1.Server: "sslserver"}[tree]
		rootList := must(w.root.SignList(ib1.ListRequest{Number: big.NewInt(1), ThisUpdate: birth}))
		verify := func(revoked []ib1.Revocation) (string, error) {
			list := must(w.issuer.SignList(ib1.ListRequest{Number: big.NewInt(2), ThisUpdate: birth, Revoked: revoked}))
			return openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-attime", unix(birth.Add(time.Hour)),
				"-crl_check_all", "-CRLfile", file(t, "X509 CRL", list, rootList),
				"-CAfile", file(t, "CERTIFICATE", w.root.Certificate().Raw), "-untrusted", file(t, "CERTIFICATE", w.issuer.Certificate().Raw), file(t, "CERTIFICATE", leaf.Raw))
		}
		if out, err := verify(nil); err != nil {
			t.Errorf("%s: %v\n%s", tree, err, out)
		}
		if out, err := verify([]ib1.Revocation{{Serial: leaf.SerialNumber, At: birth, Reason: 1}}); err == nil || !bytes.Contains([]byte(out), []byte("certificate revoked")) {
			t.Errorf("%s, revoked: %v\n%s", tree, err, out)
		}
	}
}

func unix(at time.Time) string { return big.NewInt(at.Unix()).String() }
