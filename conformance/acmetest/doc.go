// Package acmetest checks any ACME server against RFC 8555, from the outside.
//
// It talks to a directory URL and to nothing else, answers http-01 validations
// itself, and runs several hundred cases, most of them hostile: every one a
// sub-test named after the requirement it comes from, such as
//
//	R8555-6.2-5/unprotected-header
//
// # From the command line
//
//	go test ./conformance/acmetest -directory https://localhost:14000/directory -ca root.pem -http01 :5002
//
// The server under test has to send http-01 validations to the -http01 address and
// to resolve every name below -suffix (acmetest.localhost) to it. Further flags:
// -eab-directory, -eab-keys for the cases on external account binding,
// -limited-directory, -limited-orders for those on rate limits, -differences
// for a reviewed list, -contact for an account contact the server accepts. Without
// -directory the suite runs against Pebble, which proves the suite itself.
//
// # From a test
//
//	func TestConformance(t *testing.T) {
//		acmetest.Run(t, acmetest.Config{
//			DirectoryURL: server.URL,
//			RootCAs:      server.Root,
//			HTTP01Addr:   "127.0.0.1:5002",
//			Differences: map[string]string{
//				"R8555-6.2-10/eddsa-account": "no Ed25519 in our key store yet",
//			},
//		})
//	}
//
// # What passes and what does not
//
// Expected answers are RFC 8555 where it decides. Where it is silent they are one
// consistent choice, the one a client in the field copes with best; the table of
// what known servers do instead is in the project's RFC notes. A server that chose
// otherwise lists the case in Config.Differences with its reason. The list cannot rot:
// a listed case that passes, and a name that is no case, fail the run.
//
// Nothing is decided by the name of a server. What it offers (challenge types,
// profiles, renewal information, alternate chains, pre-authorization) is read from
// its own answers, and a case about something it does not offer is reported as not
// applicable, in the log and in Report.
//
// # How the cases are made
//
// Good ways are gone by golang.org/x/crypto/acme (cases_client.go) and by the
// package's own client; attacks are made by bending a correct request (raw.go), so
// that each is wrong in exactly one way. Every case has an account of its own; what
// cases share they only read. They run in parallel, as many at a time as the -parallel
// flag of go test allows, and leave nothing behind but their accounts and orders.
package acmetest
