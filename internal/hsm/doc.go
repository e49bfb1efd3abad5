// Package hsm has private keys made, kept and used inside of a hardware security
// module, by PKCS#11. Keys never leave it: what crosses the boundary is a digest,
// and a signature.
//
// PKCS#11 is a C interface, so this needs cgo and lies behind the build tag
// pkcs11. Without the tag everything compiles, the program stays static, and
// [Open] says what to do.
//
//	go build -tags pkcs11 ./cmd/acmebridge
//
// A key is found by its label, which is the prefix of the configuration, a slash
// and the name that the caller gives it.
package hsm
