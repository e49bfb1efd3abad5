// Package sectigo speaks with Sectigo IoT Manager: it logs in, uploads batches
// of CSRs, watches them and downloads what became of them. It is usable on its
// own; a [Client] keeps nothing but tokens.
//
//	client, err := sectigo.New(sectigo.Config{Username: "bridge", Password: password, Dial: dialer.DialContext})
//	batch, err := client.Upload(ctx, sectigo.Upload{ProfileID: 42, BatchName: "acme-1", CSRs: [][]byte{csr}})
//	batch, err = client.Batch(ctx, batch.ID)         // later, until batch.Canonical().Terminal()
//	download, err := client.Download(ctx, batch.ID)
//	archive, err := sectigo.ReadArchive(download.Content, sectigo.ArchiveLimits{})
//
// # Calls that cost money
//
// [Client.Upload] and [Client.CreateSingle] buy certificates, and the CA has no
// way to recognise a repetition. They use a connection of their own, which is
// never one that was used before, and nothing here sends them a second time
// unless the CA has said that it did not look at the first (SC-5). Their errors
// carry what is known of the request: see [OutcomeOf]. Only [NotSent] may be
// sent again without having looked; whoever gets [Unknown] looks with
// [Client.Batches] for the name that the batch was given.
//
// # Login
//
// A client logs in when it has to, refreshes its tokens when they run out, and
// does either in one goroutine at a time. The CA locks accounts after failed
// logins, so the first refusal is the last attempt until [Client.SetCredentials]
// or [Client.ResetLogin] (SC-13). Tokens stay in memory unless there is a
// [Cache], which is for commands that people run.
//
// # What is believed
//
// Numbers may come as strings, fields may be missing, and a body may be
// labelled in several ways: all that is read. What is too large, an HTML page,
// a redirect, or an archive with a trick in it is an error (SC-10, SC-12). No
// address that the CA names is ever connected to (SC-11).
package sectigo
