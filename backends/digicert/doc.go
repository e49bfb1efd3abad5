// Package digicert has certificates issued through the Services API of DigiCert
// CertCentral, X9 PKI for TLS first: it places orders, watches them, downloads
// what became of them and revokes. A [Client] is usable on its own and keeps
// nothing; a [Backend] is its translation for the engine.
//
//	client, err := digicert.New(digicert.Config{URL: url, Key: key, Dial: dialer.DialContext})
//	backend, err := digicert.NewBackend(digicert.BackendConfig{Client: client, Organization: 117, Roots: roots})
//
// # What the CA reads
//
// Names, usages and validity of a certificate are those of the JSON; a CSR gives
// its key and nothing else. So the order says everything, both lists of usages
// too, although X9 has defaults: an account may have changed them.
//
// # Money
//
// [Client.Place] buys, and the CA has no way to recognise a repetition. It uses
// a connection that was never used before, and is never repeated here (SC-5).
// Each order carries our reference as its alternative order id, and once more
// at the start of its comment (SC-2). Whoever does not know what became of an
// order looks for the reference, and then, since a product may drop the field,
// for the public key among the orders for the name: see [Backend.Find].
//
// # Another key for what was bought
//
// A client that gave up comes back with a new key. The CA lets the CSR of an
// order that is not issued be swapped, and reissues one that is, both for
// nothing. A request that takes over from an earlier one carries its ticket;
// [Backend.Poll] brings the order to the new key, by looking first each time,
// so that it may stop anywhere and be called again.
//
// # What is believed
//
// Numbers may come as strings, and empty objects as empty lists: both are read.
// A body that is too large, an HTML page or a redirect is an error (SC-10). No
// address that the CA names is ever connected to (SC-11).
package digicert
