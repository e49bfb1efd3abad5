package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"
	"golang.org/x/crypto/acme"

	"acmebridge/internal/admin"
	"acmebridge/internal/scripttest"
	"acmebridge/storage"
	"acmebridge/storage/bolt"
)

func TestMain(m *testing.M) {
	bolt.ProbeMain()
	testscript.Main(m, map[string]func(){"acmebridge": main})
}

// TestScripts runs the program as its users do. Besides the usual commands the
// scripts have those of scriptCommands.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Cmds:     scriptCommands,
		Deadline: time.Now().Add(12 * time.Minute),
		Setup: func(e *testscript.Env) error {
			// With the race detector every process would end with a second of sleep.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":         scripttest.Exits,
	"example":       cmdExample,
	"ports":         scripttest.Ports,
	"ready":         cmdReady,
	"issue":         cmdIssue,
	"place":         cmdPlace,
	"order":         cmdOrder,
	"newer":         cmdNewer,
	"plaintext":     cmdPlaintext,
	"terminate":     cmdTerminate,
	"fetch":         scripttest.Fetch,
	"lists":         cmdLists,
	"sectigobuy":    cmdSectigoBuy,
	"ask":           cmdAsk,
	"pick":          cmdPick,
	"login":         cmdLogin,
	"centralserver": cmdCentralServer,
}

// example NAME... copies example configurations of the documentation. That this
// process reads them is what makes go test run again when one has changed.
func cmdExample(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ecosystems", name))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name), text, 0o600))
	}
}

// ready DATA waits until the server on that data folder says that it is ready.
func cmdReady(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		c, err := admin.Dial(ts.MkAbs(args[0]))
		if err == nil {
			if _, err = admin.Get[struct{}](ctx, c, "/readyz"); err == nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("the server on %s is not ready: %v", args[0], err)
		case <-t.C:
		}
	}
}

// issue DIRECTORY-URL DATA HTTP-PORT ROOTS-URL NAME has a certificate issued,
// or with ! wants that to fail.
func cmdIssue(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+args[2])
	ts.Check(err)
	tour := demoTour{demoSteps: demoSteps{out: io.Discard}, directory: args[0], web: scriptClient(ts, args[1]), responder: l, roots: args[3], name: args[4]}
	err = tour.run(context.Background())
	if neg && err == nil {
		ts.Fatalf("a certificate was issued")
	}
	if !neg {
		ts.Check(err)
	}
}

// place DIRECTORY-URL DATA NAME VARIABLE places an order and leaves it. The
// variable is set to the id of the order. With ! it wants the order to be refused,
// and prints why.
func cmdPlace(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	ctx := context.Background()
	c := &acme.Client{Key: key, DirectoryURL: args[0], HTTPClient: scriptClient(ts, args[1])}
	_, err = c.Register(ctx, &acme.Account{}, acme.AcceptTOS)
	ts.Check(err)
	if neg {
		c.RetryBackoff = func(int, *http.Request, *http.Response) time.Duration { return -1 }
	}
	order, err := c.AuthorizeOrder(ctx, acme.DomainIDs(args[2]))
	if neg {
		if err == nil {
			ts.Fatalf("the order was taken")
		}
		_, err = fmt.Fprintln(ts.Stdout(), err)
		ts.Check(err)
		return
	}
	ts.Check(err)
	ts.Setenv(args[3], order.URI[len(order.URI)-36:])
}

func scriptClient(ts *testscript.TestScript, data string) *http.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(data + "/" + tlsRootFile))) {
		ts.Fatalf("no root in %s", data)
	}
	return trusting(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
}

// ask STATUS DATA TOKEN METHOD URL [BODY-FILE [PROFILE]] makes a request of a member to the
// server on that data folder, and prints the answer. TOKEN is - for none, and of
// a CSR in the file a request to sign it is made, under that profile.
func cmdAsk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: ask STATUS DATA TOKEN METHOD URL [BODY-FILE]")
	}
	body := ""
	if len(args) > 5 {
		body = ts.ReadFile(args[5])
		if strings.HasPrefix(body, "-----BEGIN") {
			object := map[string]string{"csr": body}
			if len(args) > 6 {
				object["profile"] = args[6]
			}
			wrapped, err := json.Marshal(object)
			ts.Check(err)
			body = string(wrapped)
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), args[3], args[4], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	if args[2] != "-" {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	resp, err := scriptClient(ts, args[1]).Do(req)
	ts.Check(err)
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	ts.Check(err)
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
	if got := strconv.Itoa(resp.StatusCode); got != args[0] {
		ts.Fatalf("status %s, want %s: %s", got, args[0], text)
	}
}

// pick VARIABLE FILE NAME sets a variable to the text of the first member of that
// name of the JSON in a file.
func cmdPick(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile(args[1]), `"`+args[2]+`":`)
	value, _, closed := strings.Cut(strings.TrimPrefix(strings.TrimSpace(rest), `"`), `"`)
	if !ok || !closed {
		ts.Fatalf("no %s in %s", args[2], args[1])
	}
	ts.Setenv(args[0], value)
}

// newer FILE makes a database look as if a program from the future wrote it.
func cmdNewer(ts *testscript.TestScript, _ bool, args []string) {
	db, err := bbolt.Open(ts.MkAbs(args[0]), 0o600, &bbolt.Options{Timeout: time.Second})
	ts.Check(err)
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("file"))
		if b == nil || b.Get([]byte("schema")) == nil {
			return errors.New("the file has no schema number")
		}
		number, err := storage.Encode(binary.BigEndian.AppendUint64(nil, 1000))
		if err != nil {
			return err
		}
		return b.Put([]byte("schema"), number)
	}))
	ts.Check(db.Close())
}

// plaintext FILE VALUE wants (or with ! wants not) the value to be in a file,
// whatever else it is made of.
func cmdPlaintext(ts *testscript.TestScript, neg bool, args []string) {
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	if found := containsAny(content, args[1]); found == neg {
		ts.Fatalf("%s in %s: %v", args[1], args[0], found)
	}
}

// terminate DATA asks the server on that data folder to stop, as a supervisor
// does.
func cmdTerminate(ts *testscript.TestScript, _ bool, args []string) {
	c, err := admin.Dial(ts.MkAbs(args[0]))
	ts.Check(err)
	s, err := admin.Get[admin.Status](context.Background(), c, "/v1/status")
	ts.Check(err)
	ts.Check(syscall.Kill(s.PID, syscall.SIGTERM))
}
