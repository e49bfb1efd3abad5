//go:build clients

package clients

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
)

// ecosystem is a page of docs/ecosystems whose CA is imitated.
type ecosystem struct {
	config  string // the committed configuration, "trust"
	backend string // in it
	path    string // of the API, below the address of the imitation
	// imitation is what follows "acmebridge standin"; DIR in it is the folder of
	// the server.
	imitation []string
	// credentials are files of the server, by name. The imitation writes those with
	// the roots: roots are of what it issues, api of itself.
	credentials map[string]string
	roots, api  string
}

// startEcosystem starts the imitation, and the server in front of it, with a member
// of the directory "trust". Where they listen, and what lets the names of one machine
// be proved, comes from the environment, as it does on the page.
func startEcosystem(t *testing.T, e ecosystem) (s server, journal string) {
	t.Helper()
	program := filepath.Join(programs, "acmebridge")
	if _, err := os.Stat(program); err != nil {
		if err := goBuild(programs, "acmebridge/cmd/acmebridge"); err != nil {
			t.Fatal(err)
		}
	}
	ca, dir := t.TempDir(), t.TempDir()
	example := write(t, filepath.Join(dir, e.config+".yaml"), string(read(t, "../../docs/ecosystems/"+e.config+".yaml")))
	for name, content := range e.credentials {
		write(t, filepath.Join(dir, name), content)
	}
	address, listen, httpPort := testport.Address(t), testport.Port(t), testport.Port(t)
	journal = filepath.Join(ca, "orders.jsonl")
	arguments := []string{"standin"}
	for _, a := range e.imitation {
		arguments = append(arguments, strings.ReplaceAll(a, "DIR", dir))
	}
	roots, api := filepath.Join(dir, e.roots), filepath.Join(dir, e.api)
	caEnded := startProcess(t, ca, nil, program, append(arguments, "--listen", address, "--journal", journal)...)
	eventually(t, patience, "the imitation and its roots", func() bool {
		select {
		case <-caEnded:
			t.Fatal("the imitation ended before it listened")
		default:
		}
		raw, err := os.ReadFile(roots)
		if err != nil || bytes.Count(raw, []byte("-----END CERTIFICATE-----\n")) != 2 {
			return false
		}
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	})

	key := "ACMEBRIDGE_BACKENDS_" + strings.ToUpper(e.backend)
	env := []string{
		fmt.Sprintf("ACMEBRIDGE_LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("ACMEBRIDGE_BASE_URL=https://localhost:%d", listen),
		key + "_URL=https://" + address + e.path, key + "_CA_FILE=" + api,
		fmt.Sprintf("ACMEBRIDGE_VALIDATION_HTTP_PORT=%d", httpPort), "ACMEBRIDGE_VALIDATION_ALLOW=127.0.0.0/8,::1/128",
	}
	data := filepath.Join(dir, e.config+"-data")
	ended := startProcess(t, dir, env, program, "serve", "--config", example)
	tlsRoot := filepath.Join(data, "tls-root.pem")
	eventually(t, patience, "the root of the server", func() bool {
		select {
		case <-ended:
			t.Fatal("the server ended before it listened")
		default:
		}
		_, err := os.Stat(tlsRoot)
		return err == nil
	})
	directory := fmt.Sprintf("https://localhost:%d/trust/directory", listen)
	ready(t, ended, httpClient(t, tlsRoot), directory)

	operate := runner{dir: dir}
	operate.run(t, program, "member", "create", "vasp-17", "--data", data, "--identifier", ".vasp-17.localhost")
	return server{
		EABDirectoryURL: directory, TLSRootPEM: tlsRoot, IssuingRootPEM: roots, HTTPPort: httpPort, Names: startDNS(t),
		NewEAB: func(t *testing.T) binding {
			t.Helper()
			return parseEAB(operate.run(t, program, "eab", "create", "--data", data, "--directory", "trust", "--member", "vasp-17"))
		},
	}, journal
}
