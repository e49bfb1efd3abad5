// Package storagetest is the suite that every implementation of package
// storage passes. Joining it takes a few lines in the implementation's tests:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t) })
//	}
//
// A store that outlives its process also joins RunDurable. Each case gets a
// store of its own, empty when the case begins, and closes it.
//
// The suite asks for what the contract says and for nothing else: it does not
// expect updates to run one at a time, nor a view to go on beside an update,
// nor two views to run together.
package storagetest
