// Package keyfile keeps the keys of certificate authorities in files: PKCS #8 in
// PEM, encrypted with a passphrase in the standard form that openssl reads and
// writes too, complete under their name or not there, never written over, and
// refused when anybody but their owner can reach them.
package keyfile
