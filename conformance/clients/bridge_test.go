//go:build clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"acmebridge/conformance/testport"
)

// patience is for processes on a busy machine; nothing here takes that long.
const patience = 60 * time.Second

// bridge is a server with a configuration that is committed in docs/ecosystems.
type bridge struct {
	program, dir, data string
	directory          string // the name of the one for its members
	url, tlsRoot       string
	httpPort           int
}

// startBridge starts the server of a page in a folder that has the files which the
// configuration names. Where it listens, and what lets the names of one machine be
// proved, comes from the environment, as it does on the page.
func startBridge(t *testing.T, dir, config, directory string, env ...string) bridge {
	t.Helper()
	b := bridge{program: acmebridge(t), dir: dir, data: filepath.Join(dir, config+"-data"), directory: directory, httpPort: testport.Port(t)}
	example := write(t, filepath.Join(dir, config+".yaml"), string(read(t, "../../docs/ecosystems/"+config+".yaml")))
	listen := testport.Port(t)
	ended := startProcess(t, dir, append([]string{
		fmt.Sprintf("ACMEBRIDGE_LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("ACMEBRIDGE_BASE_URL=https://localhost:%d", listen),
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", b.httpPort), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128",
	}, env...), b.program, "serve", "--config", example)
	b.tlsRoot = filepath.Join(b.data, "tls-root.pem")
	eventually(t, patience, "the root of the server", func() bool {
		stillRuns(t, ended, "the server")
		_, err := os.Stat(b.tlsRoot)
		return err == nil
	})
	b.url = fmt.Sprintf("https://localhost:%d/%s/directory", listen, directory)
	ready(t, ended, httpClient(t, b.tlsRoot), b.url)
	return b
}

// stillRuns fails the test when a process has ended before it listened.
func stillRuns(t *testing.T, ended <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ended:
		t.Fatalf("%s ended before it listened", what)
	default:
	}
}

// acmebridge is the program, which -server pebble has not built.
func acmebridge(t *testing.T) string {
	t.Helper()
	return built(t, "acmebridge/cmd/acmebridge")
}

// building keeps one test from running what another is still writing.
var building sync.Mutex

// built is a program of this module, or of one it depends on.
func built(t *testing.T, source string) (program string) {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	program = filepath.Join(programs, filepath.Base(source))
	if _, err := os.Stat(program); err != nil {
		if err := goBuild(programs, source); err != nil {
			t.Fatal(err)
		}
	}
	return program
}

// operate runs a command of its operator.
func (b bridge) operate(t *testing.T, args ...string) string {
	t.Helper()
	return runner{dir: b.dir}.run(t, b.program, append(args, "--data", b.data)...)
}

// bind makes an external account key for a member; more narrows it.
func (b bridge) bind(t *testing.T, member string, more ...string) binding {
	t.Helper()
	return parseEAB(b.operate(t, append([]string{"eab", "create", "--directory", b.directory, "--member", member}, more...)...))
}

// serve is what clients need to know of it: they are of that member, and trust
// certificates below the roots of that file.
func (b bridge) serve(member, roots string, names *nameServer) server {
	return server{
		EABDirectoryURL: b.url, TLSRootPEM: b.tlsRoot, IssuingRootPEM: roots, HTTPPort: b.httpPort, Names: names,
		NewEAB: func(t *testing.T) binding { t.Helper(); return b.bind(t, member) },
	}
}
