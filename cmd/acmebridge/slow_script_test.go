package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/acme"
)

// order DIRECTORY-URL DATA HTTP-PORT KEY NAME VARIABLE proves and finalizes an
// order, and gives up when that is answered, as clients do that wait a minute for
// a CA that takes a day. KEY begins the names of the files
// with the keys of the account and of the certificate: a client that comes back
// has the same ones. The variable is set to the id of the order.
func cmdOrder(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	web := scriptClient(ts, args[1])
	impatient := &impatient{RoundTripper: web.Transport, cancel: cancel}
	web.Transport = impatient
	c := &acme.Client{Key: scriptKey(ts, args[3]+".account"), DirectoryURL: args[0], HTTPClient: web}
	if _, err := c.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		ts.Check(err)
	}
	order, err := c.AuthorizeOrder(ctx, acme.DomainIDs(args[4]))
	ts.Check(err)
	ts.Setenv(args[5], order.URI[len(order.URI)-36:])
	authz, err := c.GetAuthorization(ctx, order.AuthzURLs[0])
	ts.Check(err)
	challenge := authz.Challenges[0]
	body, err := c.HTTP01ChallengeResponse(challenge.Token)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:"+args[2])
	ts.Check(err)
	responder := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(body))
	})}
	go func() { _ = responder.Serve(l) }()
	defer func() { _ = responder.Close() }()
	_, err = c.Accept(ctx, challenge)
	ts.Check(err)
	order, err = c.WaitOrder(ctx, order.URI)
	ts.Check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: args[4]}, DNSNames: []string{args[4]},
	}, scriptKey(ts, args[3]+".certificate"))
	ts.Check(err)
	impatient.finalize.Store(order.FinalizeURL)
	if _, _, err := c.CreateOrderCert(ctx, order.FinalizeURL, csr, true); err != nil && !impatient.gaveUp.Load() {
		ts.Check(err)
	}
}

// impatient gives up once the finalize request is answered.
type impatient struct {
	http.RoundTripper
	finalize atomic.Value
	gaveUp   atomic.Bool
	cancel   context.CancelFunc
}

func (i *impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.RoundTripper.RoundTrip(r)
	if url, ok := i.finalize.Load().(string); ok && r.URL.String() == url {
		i.gaveUp.Store(true)
		i.cancel()
	}
	return resp, err
}

// scriptKey reads a key, which it makes when there is none.
func scriptKey(ts *testscript.TestScript, name string) *ecdsa.PrivateKey {
	path := ts.MkAbs(name)
	if der, err := os.ReadFile(path); err == nil {
		key, err := x509.ParseECPrivateKey(der)
		ts.Check(err)
		return key
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(path, der, 0o600))
	return key
}
