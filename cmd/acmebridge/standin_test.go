package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/backends/sectigo"
	"acmebridge/internal/secret"
)

// sectigobuy URL ROOTS NAME [BATCH] buys a certificate for the name, by the client
// of that CA, and prints what becomes of it. ROOTS is what to trust, or -; BATCH is
// what the batch is called.
func cmdSectigoBuy(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: sectigobuy URL ROOTS NAME [BATCH]")
	}
	chain, err := sectigoBuy(ts, args[0], args[1], args[2], append(args, "script")[3])
	if (err != nil) != neg {
		ts.Fatalf("%v", err)
	}
	if err != nil {
		_, err = fmt.Fprintf(ts.Stdout(), "%s: %v\n", sectigo.OutcomeOf(err), err)
		ts.Check(err)
		return
	}
	for _, cert := range chain {
		_, err := fmt.Fprintf(ts.Stdout(), "%s\n", cert.Subject)
		ts.Check(err)
	}
}

func sectigoBuy(ts *testscript.TestScript, url, roots, name, batch string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := sectigo.Config{URL: url, Username: "bridge", Password: secret.New([]byte("bridge-password")), Dial: new(net.Dialer).DialContext}
	if roots != "-" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(ts.ReadFile(roots))) {
			ts.Fatalf("no certificate in %s", roots)
		}
	}
	client, err := sectigo.New(cfg)
	ts.Check(err)
	defer client.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	ts.Check(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	b, err := client.Upload(ctx, sectigo.Upload{ProfileID: 423, BatchName: batch, CSRs: [][]byte{csr}})
	for err == nil && !b.Canonical().Terminal() {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		b, err = client.Batch(ctx, b.ID)
	}
	if err != nil {
		return nil, err
	}
	d, err := client.Download(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	a, err := sectigo.ReadArchive(d.Content, sectigo.ArchiveLimits{})
	if err != nil {
		return nil, err
	}
	return a.Match(spki, []string{name}, false)
}

// TestDigicertOutcome: what an order is issued again as can be said on the command line.
func TestDigicertOutcome(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]digicerttest.Outcome{
		"rejected":            {Kind: digicerttest.Rejected, Reason: "no"},
		"no-client+no-client": {Kind: digicerttest.NoClient, Reason: "no", Reissue: digicerttest.NoClient},
	} {
		if got := digicertOutcome(text, "no"); got != want || got.Check() != nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
