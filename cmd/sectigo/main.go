// Command sectigo works with an account at Sectigo IoT Manager. It is the same
// as 'acmebridge sectigo', for those who need nothing else.
package main

import (
	"os"
	"runtime/debug"

	"acmebridge/cmd/internal/sectigotool"
)

func main() {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	os.Exit(sectigotool.Run(sectigotool.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Version: version,
	}, os.Args[1:]))
}
