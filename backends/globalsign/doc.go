// Package globalsign has certificates issued through the HVCA interface of
// GlobalSign Atlas: JSON over mutual TLS. A [Client] is usable on its own and
// keeps nothing but its access token; a [Backend] is its translation for the
// engine.
//
//	client, err := globalsign.New(globalsign.Config{URL: url, Login: login, Certificate: cert, Dial: dialer.DialContext})
//	backend, err := globalsign.NewBackend(globalsign.BackendConfig{Client: client, Roots: roots})
//
// # What may be ordered
//
// An account has a validation policy, which says what certificates may be: which
// usages, which names, which keys, how long. It is read before orders, and an
// order that does not fit is refused here with the reason, and not by the CA
// after it was paid for. Public roots no longer give clientAuth;
// [BackendConfig].ServerOnlyFrom is the day from which an account does not,
// whatever its policy still says.
//
// # Money
//
// [Client.Order] buys. The CA has no field for a reference of ours and no way to
// recognise a repetition, and its own client library repeats an order on 503,
// which may buy twice. It uses a connection that was never used before, and is
// never repeated here (SC-5). Whoever does not know what became of an order walks
// through what was issued since, and compares public keys: see [Backend.Find].
//
// # Logging in
//
// A certificate opens the connection, and an API key with its secret gets an
// access token for ten minutes. One login is under way at a time, and
// credentials that were refused are left alone for a minute, and for longer each
// time that they are refused again (SC-13).
package globalsign
