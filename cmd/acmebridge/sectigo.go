package main

import (
	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/sectigotool"
	"acmebridge/cmd/internal/usage"
)

// sectigoCommand is the tool that is also built on its own, as 'sectigo'.
func (p *program) sectigoCommand() *cobra.Command {
	return sectigotool.Command(p.sectigoTool("acmebridge sectigo"))
}

func (p *program) standinCommand() *cobra.Command {
	return group("standin", "Imitations of certificate authorities, to try everything without an account",
		"  acmebridge standin sectigo --listen 127.0.0.1:8831 --control 127.0.0.1:8832 --journal sectigo.jsonl\n"+
			"  acmebridge standin digicert --listen 127.0.0.1:8841 --control 127.0.0.1:8842 --journal digicert.jsonl\n"+
			"  acmebridge standin globalsign --listen 127.0.0.1:8851 --control 127.0.0.1:8852 --journal globalsign.jsonl --folder globalsign\n"+
			"  acmebridge standin godaddy --listen 127.0.0.1:8861 --control 127.0.0.1:8862 --journal godaddy.jsonl",
		sectigotool.ServeCommand("sectigo", p.sectigoTool("acmebridge standin")), p.standinDigicertCommand(), p.standinGlobalSignCommand(), p.standinGoDaddyCommand())
}

func (p *program) sectigoTool(name string) sectigotool.Env {
	return sectigotool.Env{
		Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr, Environ: p.env, Name: name, Version: version(),
		Before: func() error {
			if p.file != "" || p.data != "" {
				return usage.Errorf("it has neither a configuration nor data of a server; leave out --config and --data")
			}
			return nil
		},
	}
}
