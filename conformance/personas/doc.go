// Package personas plays the ACME clients of the field against a server.
//
// Package acmetest asks whether a server keeps RFC 8555. This package asks another
// question: whether Certbot, lego, acme.sh, an X-Road Security Server, programs on
// golang.org/x/crypto/acme, Caddy, uacme, dehydrated and Apache's mod_md get their
// certificates from it. Each is a persona, one file, that sends what that client
// sends and wants what that client wants: which header and which exact status, who
// counts Retry-After and who does not, when it gives up, what it does with a nonce
// that was refused, how it cuts a chain. The facts were read from the source of the
// release that Persona.Release names.
//
// A story that fails says so in the client's name, with the requirement that the
// server broke and the exchange:
//
//	certbot would fail because the answer to a challenge has no Link rel="up" (R8555-7.1-3)
//
// # From the command line
//
//	go test ./conformance/personas -directory https://localhost:14000/directory -ca root.pem -http01 :5002
//
// The server has to send http-01 validations to the -http01 address and to resolve
// every name below -suffix (personas.localhost) to it. -eab-directory and -eab-keys
// name a directory that requires external accounts; without them the stories called
// bind, and most of X-Road's, are not applicable. -email is the address of the
// accounts, and -differences a file of reviewed failures. Without -directory the personas visit Pebble, which proves the personas
// themselves.
//
// # From a test
//
//	personas.Run(t, personas.Config{DirectoryURL: url, RootCAs: roots, HTTP01Listener: ln})
//
// # What this is not
//
// A persona knows a client as of one release. It does not replace running the
// client, which the tests of conformance/clients do for some of them; it is there
// because nine clients, two shells, a JVM and a web server are not on every machine,
// and because it names the reason when something breaks.
package personas
