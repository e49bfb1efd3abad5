// Package secret keeps what must not leak. A [Secret] is a value that cannot be
// printed, logged or marshalled, whatever holds it; a [Sealer] encrypts records
// that have to be readable again later, such as the MAC keys of external
// account binding.
//
// The key of a Sealer lies in a file of its own, apart from the records that it
// seals: a copy of the database alone opens nothing (SK-4).
package secret
