package ib1_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"acmebridge/backends/ib1"
)

// never are the lints that no certificate is excused from: each finds a real
// defect (section 1.10).
var never = []string{
	"e_subject_common_name_max_length", "e_ecdsa_allowed_ku", "e_key_usage_and_extended_key_usage_inconsistent",
	"e_mp_ecdsa_signature_encoding_correct", "e_missing_crl_distrib_point", "e_sub_cert_aia_missing",
	"w_sub_cert_aia_does_not_contain_issuing_ca_url", "w_root_ca_basic_constraints_path_len_constraint_field_present",
}

// private is what is found of frameworks alone that are not on the public Internet.
var private = []string{"e_dnsname_not_valid_tld", "w_sub_cert_aia_contains_internal_names"}

// byAge are in force from a date on, or not in this version of zlint.
func byAge(name string) bool { return strings.Contains(name, "_server_cert_valid_time_longer_than_") }

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
			compare(t, "signing certificate", found, ib1.Signing, "w_sub_cert_aia_contains_internal_names")
		case ib1.Server:
			compare(t, "server certificate", found, ib1.Server, private...)
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
	compare(t, "client certificate for servers too", findings(t, der), ib1.Signing, "e_sub_cert_eku_missing", "w_sub_cert_aia_contains_internal_names")
}

// compare wants exactly the findings that a tree is excused of, but for some.
func compare(t *testing.T, what string, found map[string]bool, tree ib1.Tree, except ...string) {
	t.Helper()
	for name := range found {
		if tree.Excused()[name] == "" || slices.Contains(except, name) {
			t.Errorf("%s: %s", what, name)
		}
	}
	for name := range tree.Excused() {
		if !found[name] && !slices.Contains(except, name) && !byAge(name) {
			t.Errorf("%s: %s is excused and was not found: take it off the list", what, name)
		}
	}
}

// TestLintsOfTheProgram: nothing is excused but what the reference lists, and
// what it says is never excused is looked for.
func TestLintsOfTheProgram(t *testing.T) {
	t.Parallel()
	if n := ib1.ExcusedKinds(); n != 2 || len(ib1.Client.Excused()) != 0 || len(ib1.Signing.Excused()) != 17+1 {
		t.Errorf("%d kinds are excused, client certificates %d times and signing certificates %d times", n, len(ib1.Client.Excused()), len(ib1.Signing.Excused()))
	}
	for _, tree := range ib1.Trees() {
		for name := range tree.Excused() {
			if ib1.Signing.Excused()[name] == "" && !slices.Contains(private, name) {
				t.Errorf("%s tree: %s is not in section 1.10", tree, name)
			}
		}
		for _, name := range never {
			if !tree.Linted()[name] {
				t.Errorf("%s tree: nobody looks for %s", tree, name)
			}
		}
	}
}

// counting is a key that says how often it signed.
type counting struct {
	crypto.Signer
	times int
}

func (c *counting) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.times++
	return c.Signer.Sign(random, digest, opts)
}

// TestLintRefuses: what the linter objects to is never signed, even where the
// own checks would let it pass.
func TestLintRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree ib1.Tree
		lint string
		harm func(*x509.Certificate)
	}{
		"key encipherment":   {ib1.Signing, "e_ecdsa_allowed_ku", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }},
		"no list":            {ib1.Signing, "e_missing_crl_distrib_point", func(c *x509.Certificate) { c.CRLDistributionPoints = nil }},
		"no issuer":          {ib1.Signing, "e_sub_cert_aia_missing", func(c *x509.Certificate) { c.IssuingCertificateURL = nil }},
		"a long name":        {ib1.Client, "e_subject_common_name_max_length", func(c *x509.Certificate) { c.Subject.CommonName += strings.Repeat("a", 64) }},
		"a long member":      {ib1.Client, "e_subject_organization_name_max_length", func(c *x509.Certificate) { c.Subject.Organization[0] += strings.Repeat("a", 64) }},
		"the wrong usage":    {ib1.Client, "e_key_usage_and_extended_key_usage_inconsistent", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }},
		"spaces in a name":   {ib1.Client, "w_subject_dn_trailing_whitespace", func(c *x509.Certificate) { c.Subject.Organization[0] += " " }},
		"a year for servers": {ib1.Server, "e_tls_server_cert_valid_time_longer_than_398_days", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(399 * day) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.tree)
			key := &counting{Signer: w.ownKey}
			w.issuer = must(w.framework.OpenIssuer(c.tree, w.root.Certificate(), w.issuer.Certificate(), key))
			good := issue(t, w, c.tree, birth)
			if key.times != 1 {
				t.Fatalf("the key signed %d times for one certificate", key.times)
			}
			template := *good
			template.SerialNumber = at(birth).Serial
			template.RawSubject = nil
			c.harm(&template)
			_, err := w.issuer.SignUnchecked(&template, newKey(t, elliptic.P256()).Public())
			if !errors.Is(err, ib1.ErrLint) || !strings.Contains(err.Error(), c.lint) {
				t.Errorf("%v, not %s", err, c.lint)
			}
			if key.times != 1 {
				t.Errorf("the key signed what was refused")
			}
		})
	}
}

// TestLintPrivate: a framework that is tried out on one machine gets all its
// certificates.
func TestLintPrivate(t *testing.T) {
	t.Parallel()
	here := settings()
	here.PublicURL = "http://localhost:14080"
	for _, tree := range []ib1.Tree{ib1.Signing, ib1.Server} {
		w := world{framework: must(ib1.New(here)), rootKey: newKey(t, elliptic.P384()), ownKey: newKey(t, elliptic.P256())}
		w.root = must(w.framework.OpenRoot(tree, must(w.framework.CreateRoot(tree, w.rootKey, at(birth))), w.rootKey))
		w.issuer = must(w.framework.OpenIssuer(tree, w.root.Certificate(), must(w.root.CreateIssuer(w.ownKey.Public(), at(birth))), w.ownKey))
		key := newKey(t, elliptic.P256()).Public()
		if tree == ib1.Server {
			compare(t, "server certificate", findings(t, must(w.issuer.IssueServer([]string{"www.localhost"}, key, at(birth))).Raw), tree)
		} else {
			compare(t, "signing certificate", findings(t, must(w.issuer.IssueMember(holder(), key, at(birth))).Raw), tree)
		}
	}
}

// TestLintAuthorities: the linter looks at roots and issuers too, and at those
// that were made elsewhere.
func TestLintAuthorities(t *testing.T) {
	t.Parallel()
	odd := settings()
	odd.Label = "Core &amp; Trust Framework"
	if _, err := must(ib1.New(odd)).CreateRoot(ib1.Client, newKey(t, elliptic.P384()), at(birth)); !errors.Is(err, ib1.ErrLint) || !strings.Contains(err.Error(), "e_subj_contains_html_entities") {
		t.Errorf("a root with markup in its name: %v", err)
	}
	w := newWorld(t, ib1.Client)
	if _, err := w.root.SignUnchecked(&x509.Certificate{
		SerialNumber: at(birth).Serial, Subject: w.issuer.Certificate().Subject, NotBefore: birth, NotAfter: birth.Add(100 * day),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte{1, 2, 3},
	}, w.ownKey.Public()); !errors.Is(err, ib1.ErrLint) || !strings.Contains(err.Error(), "e_sub_ca_crl_distribution_points_missing") {
		t.Errorf("an issuer without a list: %v", err)
	}
	if err := ib1.LintIssuer(goldenCertificate(t, "issuer.pem")); err != nil {
		t.Errorf("the golden issuer: %v", err)
	}
	if err := ib1.LintIssuer(goldenCertificate(t, "leaf.pem")); !errors.Is(err, ib1.ErrLint) {
		t.Errorf("a certificate of a member as an issuer: %v", err)
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
