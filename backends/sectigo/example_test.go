package sectigo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"time"

	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
	"acmebridge/internal/secret"
)

// A certificate is bought by its CSR, waited for and downloaded.
func Example() {
	ctx := context.Background()
	ca, err := sectigotest.New(sectigotest.Config{Clock: sectigotest.Stopped(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), Processing: time.Minute})
	if err != nil {
		panic(err)
	}
	url, stop, err := ca.Start()
	if err != nil {
		panic(err)
	}
	defer stop()

	client, err := sectigo.New(sectigo.Config{
		URL: url, Username: "bridge", Password: secret.New([]byte("bridge-password")), Dial: new(net.Dialer).DialContext, Now: ca.Now,
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	names := []string{"vasp.example.org"}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names}, key)
	if err != nil {
		panic(err)
	}
	batch, err := client.Upload(ctx, sectigo.Upload{ProfileID: 423, BatchName: "acme-1", CSRs: [][]byte{csr}})
	if err != nil {
		panic(err) // and look before trying again, unless OutcomeOf(err) is NotSent
	}
	for !batch.Canonical().Terminal() {
		fmt.Println(batch.Canonical())
		ca.Advance(30 * time.Second) // others wait here
		if batch, err = client.Batch(ctx, batch.ID); err != nil {
			panic(err)
		}
	}
	download, err := client.Download(ctx, batch.ID)
	if err != nil {
		panic(err)
	}
	archive, err := sectigo.ReadArchive(download.Content, sectigo.ArchiveLimits{})
	if err != nil {
		panic(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	chain, err := archive.Match(spki, names, false)
	if err != nil {
		panic(err)
	}
	fmt.Println(chain[0].Subject, "by", chain[1].Subject.CommonName)
	// Output:
	// PROCESSING
	// PROCESSING
	// CN=vasp.example.org by Stand-in Issuing CA
}
