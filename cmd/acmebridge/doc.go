// Command acmebridge is an ACME server that has its certificates issued by
// whatever CA a profile names.
//
// There is one file for each noun of the command line, and these for what
// they share:
//
//	root.go       the command tree, its flags and exit codes
//	wiring.go     the composition root: the only place that names concrete
//	              stores, backends and validators
//	serve.go      the serve command
//	service.go    listeners and the life of a running server
//	operate.go    how a command reaches the data: over the admin socket, or by
//	              opening them itself
//	tls*.go       the server's own certificate
//	demo*.go      the main job from the outside, in one command
package main
