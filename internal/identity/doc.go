// Package identity makes what a travel-rule participant installs: a key and a
// CSR that asks for both usages, and later one file with the private key, the
// certificate and its chain, in that order, in which nothing else stands.
//
// Everything here works on the member's own machine. The key never goes
// anywhere: a server that issues certificates sees the CSR only.
package identity
