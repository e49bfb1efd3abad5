package verify

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"

	"acmebridge/backends/ib1/extension"
)

// Identity is in whose name a certificate speaks.
type Identity struct {
	// Application is the URL of the application, the one name of the certificate.
	Application string `json:"application"`
	// Member is the URL of the member that the application belongs to.
	Member string `json:"member"`
	// Roles are opaque and compared whole; their order means nothing.
	Roles []string `json:"roles"`
	// Path is the certificate, its issuers and the root.
	Path []*x509.Certificate `json:"-"`
}

// RequireRole wants one of the roles that are given (any one of a data source's
// ib1:roleRequiredToAccess). Case and a slash at the end count.
func (id Identity) RequireRole(anyOf ...string) error {
	for _, role := range anyOf {
		if slices.Contains(id.Roles, role) {
			return nil
		}
	}
	return RoleNotHeld.becausef("%s holds %s and not %s", id.Application, strings.Join(id.Roles, ", "), strings.Join(anyOf, " or "))
}

// RequireClientID wants the client_id of an OAuth token to be this application.
// Tokens are bound to the application and not to one certificate, which changes
// with each renewal.
func (id Identity) RequireClientID(clientID string) error {
	if clientID != id.Application {
		return ClientIDMismatch.becausef("the token was given to %q and is used by %q", clientID, id.Application)
	}
	return nil
}

// endEntity refuses what must not stand for an application.
func endEntity(leaf *x509.Certificate, clientAuth bool) error {
	if leaf.IsCA {
		return LeafIsCA.becausef("%q is the certificate of a CA", leaf.Subject)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return KeyUsage.becausef("the key may not make digital signatures")
	}
	if clientAuth && restricted(leaf) && !usable(leaf, x509.ExtKeyUsageClientAuth) {
		return ExtendedKeyUsage.becausef("the certificate is not for TLS clients")
	}
	return nil
}

// identify reads the name and the extensions.
func identify(path []*x509.Certificate) (Identity, error) {
	leaf := path[0]
	application, err := applicationOf(leaf)
	if err != nil {
		return Identity{}, err
	}
	values, err := extension.FromExtensions(leaf.Extensions)
	if err != nil {
		return Identity{}, extensionFailure(err).becausef("%w", err)
	}
	return Identity{Application: application, Member: values.Member, Roles: values.Roles, Path: path}, nil
}

func extensionFailure(err error) Failure {
	switch {
	case errors.Is(err, extension.ErrMemberMissing):
		return MemberMissing
	case errors.Is(err, extension.ErrMemberMalformed):
		return MemberMalformed
	case errors.Is(err, extension.ErrRolesMissing):
		return RolesMissing
	case errors.Is(err, extension.ErrRolesEmpty):
		return RolesEmpty
	}
	return RolesMalformed
}

// applicationOf wants one subject alternative name in all, of whatever type: a
// reader that takes the first would read another than one that takes the URI.
func applicationOf(leaf *x509.Certificate) (string, error) {
	const uri = 6
	var names []asn1.RawValue
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return "", CertificateMalformed.becausef("the subject alternative names are not DER")
		}
	}
	uris := 0
	application := ""
	for _, n := range names {
		if n.Class == asn1.ClassContextSpecific && n.Tag == uri {
			uris, application = uris+1, string(n.Bytes)
		}
	}
	switch {
	case application == "":
		return "", ApplicationMissing.becausef("no subject alternative name is a URI")
	case uris > 1 || len(names) > 1:
		return "", ApplicationAmbiguous.becausef("there are %d subject alternative names, and one must be there", len(names))
	}
	var common []string
	for _, a := range leaf.Subject.Names {
		if a.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			cn, _ := a.Value.(string)
			common = append(common, cn)
		}
	}
	if len(common) != 1 || common[0] != application {
		return "", ApplicationCNMismatch.becausef("the common name is %q and the application %q", strings.Join(common, ", "), application)
	}
	return application, nil
}
