package localca

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A signer's certificate is what clients of OCSP want of one, in the name of the
// issuer whose answers it signs.
func TestSignerCertificate(t *testing.T) {
	t.Parallel()
	for _, keyType := range []KeyType{P256, P384} {
		cfg, now := movable(t)
		cfg.OCSP, cfg.KeyType = true, keyType
		ca := open(t, cfg)
		*now = now.Add(time.Hour)
		if err := ca.Rotate(); err != nil {
			t.Fatal(err)
		}
		at := now.Add(500 * time.Millisecond)
		signers := ca.StatusSigners()
		if len(signers) != 2 || signers[0].Name != "ca/local.ocsp.cer" || signers[1].Name != "ca/local.2.ocsp.cer" {
			t.Fatalf("signers %v", signers)
		}
		serials := map[string]bool{}
		for i, s := range signers {
			issuer, err := x509.ParseCertificate(s.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			for number := int64(1); number < 4; number++ {
				der, next, err := ca.CertifySigner(s.Name, number, at)
				if err != nil {
					t.Fatal(err)
				}
				if again, _, err := ca.CertifySigner(s.Name, number, at); err != nil || !bytes.Equal(der, again) {
					t.Errorf("asked twice, two certificates: %v", err)
				}
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				if err := cert.CheckSignatureFrom(issuer); err != nil {
					t.Errorf("issuer %d did not sign: %v", i, err)
				}
				if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning || cert.KeyUsage != x509.KeyUsageDigitalSignature || cert.IsCA {
					t.Errorf("usages %v and %b", cert.ExtKeyUsage, cert.KeyUsage)
				}
				noCheck := false
				for _, x := range cert.Extensions {
					noCheck = noCheck || x.Id.Equal(oidNoCheck) && bytes.Equal(x.Value, []byte{5, 0}) && !x.Critical
				}
				if !noCheck {
					t.Error("its own revocation would be asked about")
				}
				if cert.NotBefore.After(at) || !cert.NotAfter.Equal(at.Add(30*day).Truncate(time.Second)) || !next.Equal(at.Add(15*day)) {
					t.Errorf("from %s to %s, the next at %s", cert.NotBefore, cert.NotAfter, next)
				}
				key, err := ca.SignerKey(s.Name, number)
				if err != nil {
					t.Fatal(err)
				}
				der, err = x509.MarshalPKIXPublicKey(key.Public())
				if err != nil || !bytes.Equal(der, cert.RawSubjectPublicKeyInfo) {
					t.Errorf("another key than that of the certificate: %v", err)
				}
				serials[cert.SerialNumber.String()], serials[string(der)] = true, true
			}
		}
		if len(serials) != 12 {
			t.Errorf("%d serial numbers and keys of 12 differ", len(serials))
		}
	}
}

// No signer outlives its CA, and a CA that has ended has none.
func TestSignersEnd(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	cfg.OCSP = true
	ca := open(t, cfg)
	end := ca.state.Load().current().cert.NotAfter
	*now = end.Add(-10 * day)
	der, next, err := ca.CertifySigner("ca/local.ocsp.cer", 1, *now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || !cert.NotAfter.Equal(end) || !next.Equal(now.Add(5*day)) {
		t.Errorf("until %s, the next at %s; the CA ends at %s (%v)", cert.NotAfter, next, end, err)
	}
	if *now = end.Add(time.Second); len(ca.StatusSigners()) != 0 {
		t.Error("a CA that has ended is spoken for")
	}
	cfg.OCSP = false
	if *now = birth; len(open(t, cfg).StatusSigners()) != 0 {
		t.Error("a CA without OCSP has signers")
	}
	for _, name := range []string{"ca/local.3.ocsp.cer", "crl/local.crl", ""} {
		if _, _, err := ca.CertifySigner(name, 1, *now); err == nil {
			t.Errorf("%q is certified", name)
		}
		if _, err := ca.SignerKey(name, 1); err == nil {
			t.Errorf("%q has a key", name)
		}
	}
}

// Nothing of a signer is in the folder.
func TestSignerKeysAreNowhere(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.OCSP = true
	ca := open(t, cfg)
	if _, _, err := ca.CertifySigner("ca/local.ocsp.cer", 1, birth); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("the folder has %v: %v", files, err)
	}
	cfg.SignerValidity = time.Minute
	cfg.Dir = t.TempDir()
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "an hour or more") {
		t.Errorf("signers of a minute: %v", err)
	}
}
