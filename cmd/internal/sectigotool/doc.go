// Package sectigotool is the command line for one account at Sectigo IoT
// Manager: who may order what, buying by CSR or with a key that the CA makes,
// watching batches, fetching and unpacking what came of them, and revoking.
// 'sectigo' and 'acmebridge sectigo' are both this package.
//
//	os.Exit(sectigotool.Run(sectigotool.Env{Stdout: os.Stdout, ...}, os.Args[1:]))
//
// There is one file for each noun, and these for what they share:
//
//	command.go  the command tree, its flags and exit codes
//	account.go  which account at which endpoint, and how it logs in
//	prompt.go   passwords, from wherever they may come
//	output.go   tables for people, JSON and YAML for programs
//	buy.go      what is done when nobody knows whether something was bought
//	wait.go     watching a batch until it ends
//	files.go    writing what was downloaded
//
// Standard output holds what was asked for and nothing else; remarks and
// progress go to standard error. The exit code is 0 when it is done, 1 when it
// failed and 2 when the command line was wrong.
package sectigotool
