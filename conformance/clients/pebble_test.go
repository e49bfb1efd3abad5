//go:build clients

package clients

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"acmebridge/conformance/testport"
)

// pebbleEAB is a key that the configuration file can give to Pebble; it has no way to
// make one while it runs.
var pebbleEAB = binding{kid: "kid-1", hmac: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}

// startPebble runs two Pebbles, because one has one directory. They have different
// roots, so both are trusted, and a certificate is known to one of them.
func startPebble(t *testing.T) server {
	t.Helper()
	dir := t.TempDir()
	rootFile, certFile, keyFile := newTLSIdentity(t, dir)
	names, httpPort, tlsPort := startDNS(t), testport.Port(t), testport.Port(t)
	h := httpClient(t, rootFile)

	var directories, managements []string
	var roots []byte
	for _, bound := range []bool{false, true} {
		listen, management := testport.Address(t), testport.Address(t)
		config, err := json.Marshal(map[string]any{"pebble": map[string]any{
			"listenAddress": listen, "managementListenAddress": management,
			"certificate": certFile, "privateKey": keyFile,
			"httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
			"externalAccountBindingRequired": bound,
			"profiles": map[string]any{
				"default":    map[string]any{"description": "ninety days", "validityPeriod": 90 * 86400},
				shortProfile: map[string]any{"description": "six days", "validityPeriod": 6 * 86400},
				briefProfile: map[string]any{"description": "a minute", "validityPeriod": 60},
			},
			"externalAccountMACKeys": map[string]string{pebbleEAB.kid: pebbleEAB.hmac},
		}})
		if err != nil {
			t.Fatal(err)
		}
		file := write(t, filepath.Join(dir, fmt.Sprintf("bound-%t", bound), "pebble.json"), string(config))
		exited := startProcess(t, filepath.Dir(file), []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"},
			filepath.Join(programs, "pebble"), "-config", file, "-dnsserver", names.address)
		front := withoutTokenless(t, h.Transport, fmt.Sprintf("https://localhost:%d", port(t, listen)), certFile, keyFile)
		directories = append(directories, front+"/dir")
		managements = append(managements, fmt.Sprintf("https://localhost:%d", port(t, management)))
		ready(t, exited, h, directories[len(directories)-1])
		ready(t, exited, h, managements[len(managements)-1]+"/roots/0")
		roots = append(roots, get(t, h, managements[len(managements)-1]+"/roots/0")...)
	}
	return server{
		DirectoryURL:    directories[0],
		EABDirectoryURL: directories[1],
		WideURL:         directories[0],
		TLSRootPEM:      rootFile,
		IssuingRootPEM:  write(t, filepath.Join(dir, "issuing-roots.pem"), string(roots)),
		HTTPPort:        httpPort,
		TLSPort:         tlsPort,
		Names:           names,
		NewEAB:          func(*testing.T) binding { return pebbleEAB },
		Revoked: func(t *testing.T, cert issued) {
			t.Helper()
			var said []string
			for _, management := range managements {
				resp, err := h.Get(management + "/cert-status-by-serial/" + cert.leaf.SerialNumber.Text(16))
				if err != nil {
					t.Fatal(err)
				}
				var status struct{ Status string }
				_ = json.NewDecoder(resp.Body).Decode(&status) // the other Pebble says 404 without a body
				resp.Body.Close()
				said = append(said, status.Status)
			}
			if !strings.Contains(strings.Join(said, " "), "Revoked") {
				t.Errorf("status of the revoked certificate: %q", said)
			}
		},
	}
}

// withoutTokenless stands in front of a Pebble and hides its dns-persist-01 challenges,
// which have no token: uacme 1.7.4 gives the whole authorization up when it meets one.
func withoutTokenless(t *testing.T, transport http.RoundTripper, pebble, certFile, keyFile string) string {
	t.Helper()
	target, err := url.Parse(pebble)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // it cannot reach a Pebble that is starting
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // Pebble mints its links from it
		},
		ModifyResponse: func(resp *http.Response) error {
			var authz map[string]any
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			if json.Unmarshal(body, &authz) != nil || authz["challenges"] == nil {
				return nil
			}
			authz["challenges"] = slices.DeleteFunc(authz["challenges"].([]any), func(c any) bool {
				return c.(map[string]any)["token"] == nil
			})
			if body, err = json.Marshal(authz); err != nil {
				return err
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	front.StartTLS()
	t.Cleanup(front.Close)
	return fmt.Sprintf("https://localhost:%d", port(t, front.Listener.Addr().String()))
}
