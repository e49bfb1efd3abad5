// Package godaddy has certificates issued through version 1 of the certificates
// API of GoDaddy. A [Client] is usable on its own and keeps nothing; a [Backend]
// is its translation for the engine.
//
//	client, err := godaddy.New(godaddy.Config{URL: url, Login: login, Dial: dialer.DialContext})
//	backend, err := godaddy.NewBackend(godaddy.BackendConfig{Client: client, Shopper: 1234567, Product: "DV_SSL", Roots: roots})
//
// # What may be ordered
//
// RSA keys only, DNS names only, one name with a product for one, and usages that
// nobody can choose: certificates were for servers and clients up to a day, and
// are for servers alone from then on, which [BackendConfig].ServerOnlyFrom says.
// An order that does not fit is refused here with the reason, and the CA is asked
// for a dry run before each order.
//
// # Money
//
// [Client.Order] takes a credit that was bought beforehand. The CA has no field
// for a reference of ours and no way to recognise a repetition. The call uses a
// connection that was never used before, and is never repeated here (SC-5).
// Whoever does not know what became of an order walks through the orders of the
// account, and compares names, time and public key: see [Backend.Find]. While an
// order with those names waits, nothing proves that it is another one's.
package godaddy
