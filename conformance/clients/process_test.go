//go:build clients

package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startProcess runs a server until the test ends. Its output is shown when the test
// fails, because the reason is usually there.
func startProcess(t *testing.T, dir string, env []string, program string, args ...string) (exited <-chan struct{}) {
	t.Helper()
	output, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			t.Errorf("%s did not end within 15 s of SIGTERM", program)
			cmd.Process.Kill()
			<-ended
		}
		output.Close()
		if t.Failed() {
			t.Logf("output of %s:\n%s", program, read(t, output.Name()))
		}
	})
	return ended
}

// ready waits until the URL answers, or the server has given up.
func ready(t *testing.T, exited <-chan struct{}, h *http.Client, url string) {
	t.Helper()
	eventually(t, 30*time.Second, "an answer of "+url, func() bool {
		select {
		case <-exited:
			t.Fatalf("the server ended before it answered %s", url)
		default:
		}
		resp, err := h.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// newTLSIdentity makes a server certificate for localhost under a root of its own.
func newTLSIdentity(t *testing.T, dir string) (rootFile, certFile, keyFile string) {
	t.Helper()
	rootKey, leafKey := newKey(t), newKey(t)
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test TLS root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, label string, der []byte) string {
		return write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})))
	}
	return file("tls-root.pem", "CERTIFICATE", rootDER), file("tls.pem", "CERTIFICATE", leafDER), file("tls.key", "PRIVATE KEY", keyDER)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
