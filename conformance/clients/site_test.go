//go:build clients

package clients

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

// shows waits until the web server on the TLS port has a certificate for the name that
// a browser accepts which knows our root, and that is another one than before.
func (st setup) shows(t *testing.T, name string, before *x509.Certificate) *x509.Certificate {
	t.Helper()
	var got *x509.Certificate
	roots := pool(t, st.server.IssuingRootPEM)
	eventually(t, 3*time.Minute, "a web server with a new certificate for "+name, func() bool {
		conn, err := tls.Dial("tcp", st.tlsAddress(), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			return false
		}
		defer conn.Close()
		got = conn.ConnectionState().PeerCertificates[0]
		return before == nil || before.SerialNumber.Cmp(got.SerialNumber) != 0
	})
	return got
}
