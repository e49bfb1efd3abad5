package main

import (
	"net/http/httptest"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"acmebridge/internal/globalconf/globalconftest"
)

// centralserver INSTANCE SHARED-PARAMETERS ANCHOR starts a configuration source
// that publishes the file with the shared parameters as it is at the moment, and
// writes its anchor. With ! it signs by another key than the anchor says.
func cmdCentralServer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: centralserver INSTANCE SHARED-PARAMETERS ANCHOR")
	}
	cfg := globalconftest.Config{Instance: args[0], Shared: ts.ReadFile(args[1])}
	source, err := globalconftest.New(cfg)
	ts.Check(err)
	server := httptest.NewServer(source)
	ts.Defer(server.Close)
	if neg {
		source, err = globalconftest.New(cfg)
		ts.Check(err)
	}
	const private = 0o600
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(source.Anchor(server.URL+"/internalconf")), private))
}
