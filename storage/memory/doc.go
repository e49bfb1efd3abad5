// Package memory keeps records in memory: the store for tests and trials. It
// forgets everything when the process ends.
//
// It owes what package storage asks of every store, but for surviving a power
// cut, and has its own keys and indexes rather than those of a store on disk, so
// that a habit of one of
// them cannot pass for the contract. The whole state is a handful of immutable
// trees:
//
//	Update: take the state --fn changes a copy of it--> put it back, or drop it when fn failed
//	View:   take the state, and never see another one
//
// Updates run one at a time; views run beside them and beside each other.
package memory
