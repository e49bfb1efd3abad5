// Package ib1 makes the certificates and revocation lists of an IB1 trust
// framework: values in, values out. It keeps nothing; package ceremony beside it
// keeps keys, certificates and the log of what was done in a folder.
//
// A framework has three separate trees that share no key and no certificate:
//
//	Client CA  (P-384, kept offline)    Signing CA                Server CA
//	  Client Issuer (P-256, rotated)      Signing Issuer            Server Issuer
//	    client certificate, 12 months       signing certificate       server certificate, 24 h
//
// [New] checks the [Settings] of a framework. [Framework.CreateRoot] makes a
// root; [Framework.OpenRoot] and [Framework.OpenIssuer] return an [Authority]
// that signs what lies below it.
//
// # Nothing is signed that does not fit
//
// Every certificate is rehearsed with a key that nobody trusts. Only when the
// rehearsal fits its profile to the byte, lies within the validity of what is
// above it, and zlint objects to nothing but what the specification of IB1 wants,
// the real key signs the very same contents. What is promised is not clipped: when an issuer ends too soon for a full validity, [ErrRotate] says so
// instead.
//
// # Rotation
//
// An issuer lives for a member's validity M and the regeneration period G. It
// signs certificates during G, and revocation lists for as long as it lives:
//
//	t0 --active--> t0 + G --retired--> t0 + G + M - 1 s --expired-->
//
// [Framework.Alarms] says in time when a new one is needed.
package ib1
