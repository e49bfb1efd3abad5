// Package memberapi is the front that members use beside ACME: they sign CSRs,
// fetch and list certificates, revoke them and download CA certificates over
// plain HTTPS with JSON. It decides nothing about orders: every verb is one of
// [engine.Delegate], so that a CSR here goes the way of an order over ACME.
//
// Who asks shows a bearer credential: a token that the operator made for the
// member ('acmebridge member token create'), or an ID token of the identity
// provider of the configuration. Anybody may fetch certificates of a trust
// framework by their serial number, CA certificates, and the description of all
// this (openapi.json).
package memberapi
