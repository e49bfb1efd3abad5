package main

import (
	"os"

	"acmebridge/storage/bolt"
)

func main() {
	bolt.ProbeMain() // does not return in the process that looks at a database
	os.Exit(run(program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ()}, os.Args[1:]))
}
