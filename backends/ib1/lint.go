package ib1

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"

	// Each registers its lints. Those for e-mail, code signing, extended
	// validation and qualified certificates are about what is not made here.
	_ "github.com/zmap/zlint/v3/lints/apple"
	_ "github.com/zmap/zlint/v3/lints/cabf_br"
	_ "github.com/zmap/zlint/v3/lints/community"
	_ "github.com/zmap/zlint/v3/lints/mozilla"
	_ "github.com/zmap/zlint/v3/lints/rfc"
)

// ErrLint reports a certificate that fits its profile and that a linter objects
// to all the same. The text names the lints.
var ErrLint = errors.New("ib1: the linter objects to the certificate")

// kind is what a certificate is in the eyes of the linter.
type kind string

const (
	rootKind    kind = "root"
	issuerKind  kind = "issuer"
	clientKind  kind = "client certificate"
	signingKind kind = "signing certificate"
	serverKind  kind = "server certificate"
)

// excused is what the linter may find, and why it is as it is: the list of section
// 1.10, and what frameworks are told that are not on the public Internet, such as
// those of a trial. Nothing else may be found. Roots and issuers have no excuse, and neither have
// client certificates: the Baseline Requirements are not about their usage.
var excused = map[kind]map[string]string{
	signingKind: {
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
		"w_sub_cert_aia_contains_internal_names":                  "where a framework publishes is its own business",
		// In force from a date on, and not in every version of the linter.
		"e_server_cert_valid_time_longer_than_200_days": "the specification has 12 months",
		"w_server_cert_valid_time_longer_than_199_days": "the same",
		"e_server_cert_valid_time_longer_than_100_days": "the same",
		"w_server_cert_valid_time_longer_than_99_days":  "the same",
		"e_server_cert_valid_time_longer_than_47_days":  "the same",
		"w_server_cert_valid_time_longer_than_46_days":  "the same",
	},
	serverKind: {
		"e_dnsname_not_valid_tld":                                 "which hosts are a framework's is its own business; the linter knows public domains, and those of its day",
		"w_ext_subject_key_identifier_not_recommended_subscriber": "the specification wants it",
		"w_subject_common_name_included":                          "the specification wants it",
		"w_sub_cert_aia_contains_internal_names":                  "where a framework publishes is its own business",
	},
}

// sources are whose rules are asked for. They are named so that a program that
// registers others for its own ends does not change what is issued.
var sources = lint.SourceList{
	lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6962, lint.RFC8813,
	lint.CABFBaselineRequirements, lint.MozillaRootStorePolicy, lint.AppleRootStorePolicy, lint.Community,
}

// linters are the lints of each kind, chosen once: that takes longer than to run
// them.
var linters = sync.OnceValues(func() (map[kind][]*lint.CertificateLint, error) {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: sources})
	if err != nil {
		return nil, fmt.Errorf("ib1: choose the lints: %w", err)
	}
	all := map[kind][]*lint.CertificateLint{}
	for _, k := range []kind{rootKind, issuerKind, clientKind, signingKind, serverKind} {
		for _, l := range registry.CertificateLints().Lints() {
			if _, ok := excused[k][l.Name]; !ok {
				all[k] = append(all[k], l)
			}
		}
	}
	return all, nil
})

// lintDefaults has nothing in it: every lint is as its makers would have it.
var lintDefaults = sync.OnceValue(lint.NewEmptyConfig)

// check holds a certificate against all lints of its kind. Warnings count: what
// may be warned of is on the list above.
func (k kind) check(der []byte) error {
	all, err := linters()
	if err != nil {
		return err
	}
	cert, err := zcrypto.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: it cannot read the %s: %w", ErrLint, k, err)
	}
	var found []string
	config := lintDefaults()
	for _, l := range all[k] {
		if r := l.Execute(cert, config); r.Status >= lint.Warn {
			found = append(found, strings.TrimSpace(l.Name+" "+r.Details))
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return fmt.Errorf("%w: %s: %s", ErrLint, k, strings.Join(found, "; "))
}

// LintIssuer holds an issuer that was signed elsewhere against what those that
// are made here are held against.
func LintIssuer(cert *x509.Certificate) error { return issuerKind.check(cert.Raw) }

// leafKind is the kind of what an issuer of the tree signs.
func (t Tree) leafKind() kind {
	switch t {
	case Signing:
		return signingKind
	case Server:
		return serverKind
	case Client:
	}
	return clientKind
}
