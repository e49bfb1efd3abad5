package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// lists URL N FILE waits until a bundle has that many revocation lists, and
// stores it: the lists of issuers are made after the server is ready.
func cmdLists(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lists URL N FILE")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); ; {
		res, err := http.Get(args[0])
		ts.Check(err)
		body, err := io.ReadAll(res.Body)
		ts.Check(err)
		_ = res.Body.Close()
		if got := bytes.Count(body, []byte("BEGIN X509 CRL")); got == want {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), body, 0o600))
			return
		} else if time.Now().After(end) {
			ts.Fatalf("%s has %d lists, not %d", args[0], got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
