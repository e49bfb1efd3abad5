//go:build clients

package clients

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// setup is what a client needs to know to run.
type setup struct {
	server    server
	directory string
	binding   binding // empty: none
	dir       string  // the client's own
	challenge string  // how names are proved
	profile   string  // empty: the directory's default
	rsa       bool    // the certificate's key is RSA, with certbot and lego 4; else the client chooses
}

const (
	http01    = "http-01"
	dns01     = "dns-01"
	tlsalpn01 = "tls-alpn-01"
)

func newSetup(t *testing.T, s server, directory string, b binding) setup {
	t.Helper()
	return setup{server: s, directory: directory, binding: b, dir: t.TempDir(), challenge: http01}
}

func (st setup) path(elements ...string) string {
	return filepath.Join(append([]string{st.dir}, elements...)...)
}

func (st setup) httpAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(st.server.HTTPPort))
}

// tlsAddress is where the server looks for tls-alpn-01.
func (st setup) tlsAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(st.server.TLSPort))
}

// runner gives the client its environment: some read the trust from one of these.
func (st setup) runner(env ...string) runner { return runner{dir: st.dir, env: env} }

// serveWebroot is the web server of those clients that only write files. It returns
// the folder that holds the challenges.
func (st setup) serveWebroot(t *testing.T) string {
	t.Helper()
	st.serveSite(t, st.path("site"))
	return filepath.Dir(write(t, st.path("site", ".well-known", "acme-challenge", "index.html"), ""))
}

// serveSite is the same with the folder of the whole site.
func (st setup) serveSite(t *testing.T, folder string) {
	t.Helper()
	listener, err := net.Listen("tcp", st.httpAddress())
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.FileServer(http.Dir(folder)), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	t.Cleanup(func() {
		web.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("web server of the challenges: %v", err)
		}
	})
}

// serveChallengeCertificates is the TLS server of those clients that only write the
// certificates for tls-alpn-01: NAME.crt.pem and NAME.key.pem in a folder.
func (st setup) serveChallengeCertificates(t *testing.T, folder string) {
	t.Helper()
	listener, err := tls.Listen("tcp", st.tlsAddress(), &tls.Config{
		NextProtos: []string{"acme-tls/1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			base := filepath.Join(folder, filepath.Base(hello.ServerName))
			pair, err := tls.LoadX509KeyPair(base+".crt.pem", base+".key.pem")
			return &pair, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // the ACME server says what it thought of it
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
}

// acmeClient speaks to the same directory with a client's key.
func (st setup) acmeClient(t *testing.T, key crypto.Signer) *acme.Client {
	t.Helper()
	return &acme.Client{Key: key, DirectoryURL: st.directory, HTTPClient: httpClient(t, st.server.TLSRootPEM)}
}

// httpClient trusts the given root and nothing else.
func httpClient(t *testing.T, rootFile string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, rootFile)}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(t, file)) {
		t.Fatalf("no certificate in %s", file)
	}
	return roots
}

// keyFromPEM reads an account key in any of the forms that clients write.
func keyFromPEM(t *testing.T, file string) crypto.Signer {
	t.Helper()
	for rest := read(t, file); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("no private key in %s", file)
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return key.(crypto.Signer)
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key
		}
	}
}

func port(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
