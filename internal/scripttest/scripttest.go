// Package scripttest has the commands that the scripts of several programs use,
// besides those that testscript brings.
package scripttest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"acmebridge/conformance/testport"
)

// Exits is exits CODE PROGRAM ARGUMENT...: it runs a program and wants that exit
// code.
func Exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// Ports is ports NAME...: it sets each variable to a port that nobody else has
// until the script has ended.
func Ports(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: ports NAME...")
	}
	for _, name := range args {
		port, release, err := testport.Pick()
		ts.Check(err)
		ts.Defer(release)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

// Fetch is fetch METHOD URL [BODY]: it makes a request and prints the answer,
// which with ! is to be a failure. It waits for whoever is to answer to be there.
func Fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: fetch METHOD URL [BODY]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, args[0], args[1], strings.NewReader(strings.Join(args[2:], " ")))
		ts.Check(err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			select {
			case <-ctx.Done():
				ts.Fatalf("%v", err)
			case <-time.After(20 * time.Millisecond):
			}
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		ts.Check(err)
		_, err = ts.Stdout().Write(body)
		ts.Check(err)
		if failed := res.StatusCode > 299; failed != neg {
			ts.Fatalf("status %d: %s", res.StatusCode, body)
		}
		return
	}
}
