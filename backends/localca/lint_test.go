package localca

import (
	"testing"

	"acmebridge/acme"
	"acmebridge/backends"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// notForUs lists what zlint would have otherwise, and why it is as it is.
// Nothing else may be found, and every line here must still be.
var notForUs = map[string]string{
	"e_ext_san_contains_reserved_ip":                          "a private CA exists to certify private addresses",
	"e_subject_contains_reserved_ip":                          "the same, in the common name",
	"n_san_iana_pub_suffix_empty":                             "a name of one label is one that the profile admits",
	"e_dnsname_not_valid_tld":                                 "likewise for names outside of the public DNS, such as localhost",
	"e_sub_cert_certificate_policies_missing":                 "policies of the Baseline Requirements assert public trust, which this CA has not",
	"e_sub_cert_cert_policy_empty":                            "the same, by another document",
	"e_sub_ca_certificate_policies_missing":                   "the same, for the issuer",
	"e_invalid_ca_certificate_policies":                       "the same, for the issuer",
	"w_ct_sct_policy_count_unsatisfied":                       "private certificates are not logged in public",
	"w_ext_subject_key_identifier_not_recommended_subscriber": "RFC 5280 wants it (SHOULD), and clients that manage keys use it",
	"w_subject_common_name_included":                          "the profile decides; older peers read nothing else",
	"e_sub_ca_crl_distribution_points_missing":                "the root signs no lists, so that its key can be kept elsewhere",
	"e_ca_country_name_missing":                               "the operator may set a country; none is made up",
	"n_ca_digital_signature_not_set":                          "these keys sign certificates and lists, nothing else",
	"n_sub_ca_eku_missing":                                    "profiles decide the usages; the issuer serves them all",
	"n_mp_allowed_eku":                                        "the same, by another document",
}

func TestLint(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	judge := func(what string, results *zlint.ResultSet) {
		for name, r := range results.Results {
			if r.Status < lint.Notice {
				continue
			}
			found[name] = true
			if _, ok := notForUs[name]; !ok {
				t.Errorf("%s: %s: %s %s", what, name, r.Status, r.Details)
			}
		}
	}
	certificate := func(what string, der []byte) {
		c, err := zx509.ParseCertificate(der)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		judge(what, zlint.LintCertificate(c))
	}

	for _, keyType := range []KeyType{P256, P384} {
		cfg := testConfig(t)
		cfg.KeyType, cfg.RootKeyType, cfg.OCSP = keyType, keyType, true
		ca := open(t, cfg)
		if err := ca.Rotate(); err != nil {
			t.Fatal(err)
		}
		certificate("root", ca.Roots()[0])
		for _, der := range ca.Intermediates() {
			certificate("issuer", der)
		}
		signer, _, err := ca.CertifySigner("ca/local.2.ocsp.cer", 4, birth)
		if err != nil {
			t.Fatal(err)
		}
		certificate("OCSP signer", signer)
		for what, change := range map[string]func(*acme.Contract){
			"leaf":               func(*acme.Contract) {},
			"leaf, one usage":    func(c *acme.Contract) { c.Usages = c.Usages[:1] },
			"leaf, no subject":   func(c *acme.Contract) { c.Subject = acme.SubjectEmpty },
			"leaf, an address":   func(c *acme.Contract) { c.Identifiers, c.CommonName = ipID("10.0.0.1"), "10.0.0.1" },
			"leaf, a wildcard":   func(c *acme.Contract) { c.Identifiers[0].Value, c.CommonName = "*.example.org", "*.example.org" },
			"leaf, single label": func(c *acme.Contract) { c.Identifiers[0].Value, c.CommonName = "localhost", "localhost" },
		} {
			r := newRequest(birth)
			change(&r.Contract)
			chain, err := ca.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			certificate(what, chain[0])
		}
		key := ca.state.Load().current().cert.SubjectKeyId
		for what, revoked := range map[string][]backends.Revoked{
			"empty list": nil,
			"list": {
				{Serial: []byte{5}, AuthorityKeyID: key, At: birth, Reason: acme.KeyCompromise},
				{Serial: []byte{6}, AuthorityKeyID: key, At: birth},
			},
		} {
			der, _, err := ca.SignCRL("crl/local.2.crl", 3, birth, revoked)
			if err != nil {
				t.Fatal(err)
			}
			list, err := zx509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			judge(what, zlint.LintRevocationList(list))
		}
	}
	for name := range notForUs {
		if !found[name] {
			t.Errorf("%s is excused and was not found: take it off the list", name)
		}
	}
}
