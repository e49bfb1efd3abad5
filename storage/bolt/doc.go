// Package bolt keeps records in one local file, with bbolt underneath. It is
// the default store.
//
// Updates that wait at the same time share one commit, and so one wait for the
// disk (D6):
//
//	Update --queue--> writer: begin; lend the transaction to each caller in turn; commit; tell all of them
//
// A caller runs its own function, on its own goroutine; the writer only decides
// when. An update that fails takes back exactly what it changed and the others
// go on. Nothing waits for a timer: a lone update is committed at once, and
// while a commit waits for the disk the next group gathers by itself.
//
// Nobody is told anything that a power cut could take back: Update returns
// after the commit, and a View that sees a commit before the disk has confirmed
// it waits for that before it runs. When a commit fails, what happened is
// unknown, and the store refuses everything from then on (SS-4).
//
// docs/storage.md describes the file.
package bolt
