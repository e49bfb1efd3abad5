package verify

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Failure is the name of the check that failed. Errors of this package are one
// of these, wrapped with what was wrong; the names do not change.
type Failure string

// What can be wrong with a certificate, in the order in which it is looked at.
const (
	CertificateMissing         Failure = "certificate_missing"
	CertificateMalformed       Failure = "certificate_malformed"
	CertificateVersion         Failure = "certificate_version"
	NotYetValid                Failure = "not_yet_valid"
	Expired                    Failure = "expired"
	UntrustedIssuer            Failure = "untrusted_issuer"
	WrongTree                  Failure = "wrong_tree"
	IssuerExpired              Failure = "issuer_expired"
	PathLength                 Failure = "path_length"
	CAKeyUsage                 Failure = "ca_key_usage"
	EKUNesting                 Failure = "eku_nesting"
	WeakSignature              Failure = "weak_signature"
	UnhandledCriticalExtension Failure = "unhandled_critical_extension"
	LeafIsCA                   Failure = "leaf_is_ca"
	KeyUsage                   Failure = "key_usage"
	ExtendedKeyUsage           Failure = "extended_key_usage"
	CRLUnavailable             Failure = "crl_unavailable"
	CRLSignature               Failure = "crl_signature"
	CRLIssuer                  Failure = "crl_issuer"
	CRLScope                   Failure = "crl_scope"
	CRLNotYetValid             Failure = "crl_not_yet_valid"
	CRLStale                   Failure = "crl_stale"
	Revoked                    Failure = "revoked"
	IssuerRevoked              Failure = "issuer_revoked"
	ApplicationMissing         Failure = "application_missing"
	ApplicationAmbiguous       Failure = "application_ambiguous"
	ApplicationCNMismatch      Failure = "application_cn_mismatch"
	MemberMissing              Failure = "member_missing"
	MemberMalformed            Failure = "member_malformed"
	RolesMissing               Failure = "roles_missing"
	RolesMalformed             Failure = "roles_malformed"
	RolesEmpty                 Failure = "roles_empty"
	RoleNotHeld                Failure = "role_not_held"
	ClientIDMismatch           Failure = "client_id_mismatch"
)

// What can be wrong with a signed record besides.
const (
	RecordMalformed               Failure = "record_malformed"
	TrustFrameworkMismatch        Failure = "trust_framework_mismatch"
	ContainerVersion              Failure = "container_version"
	SerialMalformed               Failure = "serial_malformed"
	CertificateNotFound           Failure = "certificate_not_found"
	ChainIncomplete               Failure = "chain_incomplete"
	SerialMismatch                Failure = "serial_mismatch"
	SignTimeMalformed             Failure = "sign_time_malformed"
	SignTimeInFuture              Failure = "sign_time_in_future"
	NotValidAtSignatureTime       Failure = "not_valid_at_signature_time"
	IssuerNotValidAtSignatureTime Failure = "issuer_not_valid_at_signature_time"
	SignatureInvalid              Failure = "signature_invalid"
	SignatureEncoding             Failure = "signature_encoding"
	OriginsMismatch               Failure = "origins_mismatch"
)

// Error returns the name.
func (f Failure) Error() string { return string(f) }

// becausef is a failure and what was wrong.
func (f Failure) becausef(format string, args ...any) error {
	return fmt.Errorf("%w: %w", f, fmt.Errorf(format, args...))
}

// FailureOf returns the check that failed, or empty if err comes from elsewhere.
func FailureOf(err error) Failure {
	var f Failure
	_ = errors.As(err, &f)
	return f
}

// Status is the HTTP status that answers the failure. Whoever has the wrong
// certificate is unauthorized; lists that cannot be had are the server's trouble,
// and the client may come again with the same certificate.
func (f Failure) Status() int {
	if strings.HasPrefix(string(f), "crl_") {
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}
