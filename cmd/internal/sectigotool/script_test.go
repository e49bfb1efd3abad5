package sectigotool_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"acmebridge/cmd/internal/sectigotool"
	"acmebridge/internal/scripttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sectigo": func() {
		os.Exit(sectigotool.Run(sectigotool.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Version: "test"}, os.Args[1:]))
	}})
}

// TestScripts runs the tool as its users do, against the stand-in that it
// serves itself.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(12 * time.Minute),
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", e.WorkDir+"/cache")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scripttest.Exits, "ports": scripttest.Ports, "fetch": scripttest.Fetch, "csr": cmdCSR, "mode": cmdMode, "pair": cmdPair, "setvar": cmdSetVar,
		},
	})
}

// csr FILE COMMON-NAME [DNS-NAME...] writes a CSR, and its key to FILE.key. A
// DNS name of - means none.
func cmdCSR(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	names := args[1:]
	if names[len(names)-1] == "-" {
		names = nil
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: args[1]}, DNSNames: names}, key)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	const private = 0o600
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), private))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), private))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".der"), der, private))
}

// mode MODE FILE... wants files to have that mode.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := info.Mode().Perm(); (got == os.FileMode(want)) == neg {
			ts.Fatalf("%s has mode %04o", name, got)
		}
	}
}

// pair FILE NAME wants the file to be a key and a certificate for the name that
// belong together, with a chain.
func cmdPair(ts *testscript.TestScript, _ bool, args []string) {
	content := []byte(ts.ReadFile(args[0]))
	pair, err := tls.X509KeyPair(content, content)
	ts.Check(err)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	ts.Check(err)
	ts.Check(leaf.VerifyHostname(args[1]))
	if len(pair.Certificate) < 2 {
		ts.Fatalf("there is no chain in %s", args[0])
	}
}

// setvar NAME FIELD FILE sets a variable to the value of a field, a number or a
// word, in a file of indented JSON.
func cmdSetVar(ts *testscript.TestScript, _ bool, args []string) {
	for _, line := range strings.Split(ts.ReadFile(args[2]), "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && name == strconv.Quote(args[1]) {
			ts.Setenv(args[0], strings.Trim(value, ` ",`))
			return
		}
	}
	ts.Fatalf("there is no %s in %s", args[1], args[2])
}
