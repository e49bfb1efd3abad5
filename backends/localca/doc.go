// Package localca is a certificate authority in a folder: a root, one or more
// issuing keys below it, and nothing else. It signs in this process, so an
// order is done in one step, and it can also be told to behave like a CA that
// takes its time ([Config].Queued), for trying that path with real certificates.
//
// # What is in the folder
//
//	root.pem      the root certificate
//	root.key      its key; wanted by [Init] and [Rotate] only, so it may be
//	              kept elsewhere in between
//	issuer-1.pem  the first issuing certificate
//	issuer-1.key  its key
//	issuer-2.pem  its successor, after a [Rotate], and so on
//
// The certificates are for the public. Keys are PKCS #8 in PEM, encrypted
// when a passphrase is configured (in the standard form that openssl pkey
// reads too), and refused when anybody but their owner can reach them. Each
// file appears under its name complete or not at all, a key before its
// certificate, so that whatever a crash leaves behind, the next start goes on
// from there. No file is ever written over.
//
// # How certificates are made
//
// A certificate is a pure function of the [backends.Request], the issuing key
// and the configuration: times come from the request, the serial number is a MAC, under a secret
// that derives from the issuing key, over the request's key and everything
// else in the certificate, and the signature is deterministic (RFC 6979).
// Asking twice gives the same bytes, so a lost reply or a crash costs nothing,
// no serial number is ever used for two certificates, and no client can
// foresee one (127 bits). There is no other state: revocations are kept by the
// engine, which has the lists signed here.
//
// Which issuing key signs depends on the time in the request alone: the newest
// one that was there when the order was finalized. A rotation therefore does
// not change the certificate of an order that was already under way.
//
// The new certificate is not parsed and its signature not checked here: that
// is the greater part of the work, and the engine checks both, against the
// contract of the order, before anybody sees it (SC-9).
package localca
