// Package localcatest plays the other authority for tests of a local CA: one
// that certifies the local root, so that there is a second way to trust what
// is issued below it.
package localcatest
