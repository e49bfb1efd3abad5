package localca

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

func TestRevocationList(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.CRLValidity, cfg.CRLInterval = 48*time.Hour, 6*time.Hour
	ca := open(t, cfg)
	key := ca.state.Load().current().cert.SubjectKeyId
	at := birth.Add(-time.Hour)
	entry := func(serial string, reason acme.RevocationReason, at time.Time) backends.Revoked {
		return backends.Revoked{Serial: []byte(serial), AuthorityKeyID: key, At: at, Reason: reason}
	}
	revoked := []backends.Revoked{
		entry("\x7f\x01", acme.Unspecified, at),
		entry("\x01\x02\x03", acme.RemoveFromCRL, at),
		entry("\x05", acme.KeyCompromise, at),
		entry("\x05", acme.Superseded, at.Add(-time.Minute)), // the earlier one counts
		entry("\x00\xff", acme.AACompromise, at),             // with its sign octet
	}
	der, next, err := ca.SignCRL("crl/local.crl", 41, birth.Add(500*time.Millisecond), revoked)
	if err != nil {
		t.Fatal(err)
	}
	if want := birth.Add(6*time.Hour + 500*time.Millisecond); !next.Equal(want) {
		t.Errorf("the next list is due at %s, want %s", next, want)
	}
	slices.Reverse(revoked)
	if again, _, err := ca.SignCRL("crl/local.crl", 41, birth.Add(500*time.Millisecond), revoked); err != nil || !bytes.Equal(der, again) {
		t.Errorf("the same entries in another order give another list: %v", err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if !list.ThisUpdate.Equal(birth) || !list.NextUpdate.Equal(birth.Add(48*time.Hour)) || list.Number.Int64() != 41 {
		t.Errorf("number %d from %s to %s", list.Number, list.ThisUpdate, list.NextUpdate)
	}
	type line struct {
		serial int64
		reason int
		at     time.Time
	}
	var got []line
	for _, e := range list.RevokedCertificateEntries {
		got = append(got, line{e.SerialNumber.Int64(), e.ReasonCode, e.RevocationTime})
	}
	// R8555-7.6-5: no reason is said by saying none; removeFromCRL has no
	// meaning in a complete list, and must not let the certificate live.
	want := []line{{5, 4, at.Add(-time.Minute)}, {255, 10, at}, {0x7f01, 0, at}, {0x10203, 0, at}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	empty, _, err := ca.SignCRL("crl/local.crl", 1, birth, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := x509.ParseRevocationList(empty); err != nil || len(list.RevokedCertificateEntries) != 0 {
		t.Errorf("an empty list: %v", err)
	}
	for _, number := range []int64{0, -1} {
		if _, _, err := ca.SignCRL("crl/local.crl", number, birth, nil); err == nil {
			t.Errorf("a list with number %d was signed", number)
		}
	}
}

// TestOpenSSLVerifies lets somebody else judge: chain, names, usages, list.
func TestOpenSSLVerifies(t *testing.T) {
	t.Parallel()
	for _, keyType := range []KeyType{P256, P384} {
		t.Run(string(keyType), func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			cfg.Now, cfg.KeyType, cfg.RootKeyType = time.Now, keyType, keyType
			ca := open(t, cfg)
			dir := t.TempDir()
			write := func(name, pemType string, der []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, encodePEM(pemType, der), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			r := newRequest(time.Now())
			r.Contract.Identifiers = append(r.Contract.Identifiers, ipID("192.0.2.9")...)
			chain, err := ca.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			leaf := write("leaf.pem", certType, chain[0])
			issuer := write("issuer.pem", certType, chain[1])
			root := write("root.pem", certType, ca.Roots()[0])
			common := []string{"verify", "-x509_strict", "-check_ss_sig", "-CAfile", root, "-untrusted", issuer}
			for _, more := range [][]string{
				{"-purpose", "sslserver", "-verify_hostname", r.Contract.CommonName},
				{"-purpose", "sslclient"},
				{"-purpose", "sslserver", "-verify_ip", "192.0.2.9"},
			} {
				openssl(t, append(append(slices.Clone(common), more...), leaf)...)
			}
			serial := leafOf(t, chain).SerialNumber
			sign := func(name string, number int64, serial *big.Int) string {
				der, _, err := ca.SignCRL("crl/local.crl", number, time.Now(), []backends.Revoked{{
					Serial: serial.Bytes(), AuthorityKeyID: leafOf(t, chain).AuthorityKeyId, At: time.Now(), Reason: acme.KeyCompromise,
				}})
				if err != nil {
					t.Fatal(err)
				}
				return write(name, "X509 CRL", der)
			}
			good := sign("good.crl", 1, new(big.Int).Add(serial, big.NewInt(1)))
			openssl(t, append(slices.Clone(common), "-crl_check", "-CRLfile", good, leaf)...)
			bad := sign("bad.crl", 2, serial)
			out := opensslFails(t, append(slices.Clone(common), "-crl_check", "-CRLfile", bad, leaf)...)
			if !strings.Contains(out, "certificate revoked") {
				t.Errorf("openssl does not say that the certificate was revoked:\n%s", out)
			}
		})
	}
}
