// Package pki serves what relying parties fetch without asking anybody:
// revocation lists, CA certificates and the roots that chains end in. It is
// plain HTTP on a listener of its own, because a list that needed a verified
// TLS connection could not be fetched by whoever is verifying one.
//
//	/crl/NAME.crl   revocation list, DER
//	/ca/NAME.cer    certificate of a CA, DER; NAME.ocsp.cer is that of the key
//	                that signs its OCSP answers
//	/ocsp           OCSP, by POST, and by GET with the request below it
//	/roots/N.pem    a root and the issuers below it, PEM, counted from 0;
//	                after those of the CAs that of this server's own TLS
//	                certificate, then 404
//
// Everything served here is signed and public; nothing is ever written.
package pki
