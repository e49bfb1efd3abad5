// Package extension writes and reads the two certificate extensions of the IB1
// trust frameworks: the roles that the holder of a certificate acts in, and the
// member that the application belongs to.
//
//	ib1Roles   1.3.6.1.4.1.62329.1.1  SEQUENCE OF UTF8String, one or more
//	ib1Member  1.3.6.1.4.1.62329.1.3  UTF8String, an https URL
//
// Reading is strict: there is one way to write a value, and whatever is written
// in another is refused with an error that says what is wrong with it. A lenient
// reader and a strict one would see different roles in the same certificate.
//
// The obsolete 1.3.6.1.4.1.62329.1.2 of earlier certificates is not read: what
// stood there means something else than what stands in ib1Member.
//
// The package needs nothing but the standard library.
package extension
