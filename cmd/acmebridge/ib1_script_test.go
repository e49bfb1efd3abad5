package main

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// lists URL LISTS ENTRIES FILE waits until a bundle has that many revocation
// lists with that many entries together, and stores it: lists are made after the
// server is ready, and after what they are made for.
func cmdLists(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: lists URL LISTS ENTRIES FILE")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	wantEntries, err := strconv.Atoi(args[2])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); ; {
		res, err := http.Get(args[0])
		ts.Check(err)
		body, err := io.ReadAll(res.Body)
		ts.Check(err)
		_ = res.Body.Close()
		lists, entries := 0, 0
		for block, rest := pem.Decode(body); block != nil; block, rest = pem.Decode(rest) {
			list, err := x509.ParseRevocationList(block.Bytes)
			ts.Check(err)
			lists, entries = lists+1, entries+len(list.RevokedCertificateEntries)
		}
		if lists == want && entries == wantEntries {
			ts.Check(os.WriteFile(ts.MkAbs(args[3]), body, 0o600))
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s has %d lists with %d entries, not %d with %d", args[0], lists, entries, want, wantEntries)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
