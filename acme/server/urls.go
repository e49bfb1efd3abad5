package server

import (
	"strconv"

	"acmebridge/acme"
)

// The URLs. Resources are told apart by kind, and named by ids that nobody can
// guess (R8555-10.5-2). Nothing else mints one.

func (st *site) url(path string) string { return st.base + st.prefix + path }

func (st *site) accountURL(id acme.AccountID) string { return st.url("/account/" + string(id)) }
func (st *site) ordersURL(id acme.AccountID) string  { return st.accountURL(id) + "/orders" }
func (st *site) orderURL(id acme.OrderID) string     { return st.url("/order/" + string(id)) }
func (st *site) finalizeURL(id acme.OrderID) string  { return st.orderURL(id) + "/finalize" }
func (st *site) authorizationURL(id acme.AuthorizationID) string {
	return st.url("/authz/" + string(id))
}
func (st *site) challengeURL(id acme.AuthorizationID, t acme.ChallengeType) string {
	return st.url("/challenge/" + string(id) + "/" + string(t))
}
func (st *site) certificateURL(id acme.CertificateID) string {
	return st.url("/certificate/" + string(id))
}

// chainURL is where one of the chains of a certificate is; the usual one, 0, is
// the certificate itself.
func (st *site) chainURL(id acme.CertificateID, number int) string {
	if number == 0 {
		return st.certificateURL(id)
	}
	return st.certificateURL(id) + "/" + strconv.Itoa(number)
}

// accountOf returns the account that a kid names. Only the URL exactly as it
// was handed out does (R8555-6.2-13).
func (st *site) accountOf(kid string) (acme.AccountID, bool) {
	prefix := st.url("/account/")
	if len(kid) <= len(prefix) || kid[:len(prefix)] != prefix || !acme.ValidID(kid[len(prefix):]) {
		return "", false
	}
	return acme.AccountID(kid[len(prefix):]), true
}
