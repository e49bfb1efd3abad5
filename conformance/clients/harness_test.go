//go:build clients

package clients

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The harness decides what is green, so its own judgement is tested where Pebble
// cannot: Pebble publishes no CRL and has no command line.

func TestParseEAB(t *testing.T) {
	t.Parallel()
	got := parseEAB("created for member m1\nkid: K-1_x\nhmac_key: aGVsbG8\nprofiles: tls\n")
	if want := (binding{kid: "K-1_x", hmac: "aGVsbG8"}); got != want {
		t.Errorf("binding %+v, want %+v", got, want)
	}
}

func TestListed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	issuerKey, strangerKey := newKey(t), newKey(t)
	issuer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, SubjectKeyId: []byte{1},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, c := range []struct {
		name       string
		revoked    int64
		until      time.Duration
		byStranger bool
		want       bool
		wantErr    bool
	}{
		{name: "listed", revoked: 7, until: time.Hour, want: true},
		{name: "another serial", revoked: 8, until: time.Hour},
		{name: "signed by another", revoked: 7, until: time.Hour, byStranger: true, wantErr: true},
		{name: "out of date", revoked: 7, until: -time.Minute, wantErr: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			signer := issuerKey
			if c.byStranger {
				signer = strangerKey
			}
			list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
				Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(c.until),
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(c.revoked), RevocationTime: now}},
			}, issuer, signer)
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) }))
			t.Cleanup(web.Close)

			leafDER, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
				SerialNumber: big.NewInt(7), NotBefore: now, NotAfter: now.Add(time.Hour), CRLDistributionPoints: []string{web.URL},
			}, issuer, &newKey(t).PublicKey, issuerKey)
			if err != nil {
				t.Fatal(err)
			}
			issuerDER, err := x509.CreateCertificate(rand.Reader, issuer, issuer, &issuerKey.PublicKey, issuerKey)
			if err != nil {
				t.Fatal(err)
			}
			chain := encode(&x509.Certificate{Raw: leafDER}) + encode(&x509.Certificate{Raw: issuerDER})
			cert := issued{chain: []byte(chain), leaf: certificates(t, []byte(chain))[0]}
			if got, err := listed(t, cert); got != c.want || (err != nil) != c.wantErr {
				t.Errorf("listed says %t, %v", got, err)
			}
		})
	}
}
