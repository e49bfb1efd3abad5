package caclient_test

import (
	"bytes"
	"testing"

	"acmebridge/internal/caclient"
)

// FuzzPEM: of a text come certificates or an error, never both and never
// nothing.
func FuzzPEM(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		certs, err := caclient.ReadPEM(content)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates and %v", len(certs), err)
		}
		for _, c := range certs {
			if !bytes.Contains(content, []byte("CERTIFICATE")) || len(c.Raw) == 0 {
				t.Error("a certificate out of nothing")
			}
		}
	})
}
