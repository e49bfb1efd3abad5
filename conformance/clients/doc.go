// Package clients runs the ACME clients that people really use, unmodified, against a
// real server process, and checks what they end up with.
//
// The tests start the server, let each client go through the life of an account and a
// certificate, and check every outcome from outside the client: the chain with openssl
// and a TLS handshake, the account by asking the server with the client's own key, the
// revocation in the CRL. Web servers with an ACME client inside are started and looked at
// from outside. README.md says what each client can do and how to run them.
//
//	install.sh -> TestMain builds the server -> per client: start server -> life of a certificate
package clients
