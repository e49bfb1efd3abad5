// Package online is the CAs of an IB1 framework as a running server has them: it
// issues with what package ceremony keeps in a folder, and signs the revocation
// lists.
//
// The folder stays the ceremonies': a command may import an issuer or the list
// of a root at any time, and [CA.Refresh] takes it up. The one thing written
// here are the lists of the Signing tree, which are kept for ever.
//
//	crl/ib1-client-KEY.crl   list of the issuer or root with that key, DER
//	crl/ib1-client.pem       the lists of all CAs of the tree, for nginx and others
//	                         that check every list of a chain
//	ca/ib1-client-KEY.cer    certificate of that issuer or root, DER
//	ca/ib1-client.pem        root and issuers of the tree, PEM
//
// The numbers of the issuers' lists are the engine's, and go on above those of
// lists that were signed in the folder. Roots are kept offline, so their lists
// are published as they were imported.
package online
