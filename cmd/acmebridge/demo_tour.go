package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// demoTour goes through everything that a client does for a certificate, from
// the outside.
type demoTour struct {
	demoSteps
	directory string       // URL
	roots     string       // URL of the root that the certificate is verified by
	web       *http.Client // trusts the server
	name      string       // what is ordered
	responder net.Listener // where the challenge is answered; closed afterwards

	client *acme.Client
}

func (d *demoTour) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	defer d.web.CloseIdleConnections()
	accountKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	d.client = &acme.Client{Key: accountKey, DirectoryURL: d.directory, HTTPClient: d.web, UserAgent: "acmebridge-demo"}
	directory, err := d.client.Discover(ctx)
	if err != nil {
		return fmt.Errorf("read the directory: %w", err)
	}
	d.step("read the directory", directory.OrderURL)

	account, err := d.client.Register(ctx, &acme.Account{}, acme.AcceptTOS)
	if err != nil {
		return fmt.Errorf("make an account: %w", err)
	}
	d.step("make an account", account.URI)

	order, err := d.client.AuthorizeOrder(ctx, acme.DomainIDs(d.name))
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	d.step("order "+d.name, order.Status+", "+order.URI)

	if err := d.prove(ctx, order); err != nil {
		return err
	}
	if order, err = d.client.WaitOrder(ctx, order.URI); err != nil {
		return fmt.Errorf("wait for the order: %w", err)
	}
	d.step("the order", order.Status)
	return d.finalize(ctx, order)
}

// prove answers the http-01 challenge of every authorization.
func (d *demoTour) prove(ctx context.Context, order *acme.Order) error {
	for _, url := range order.AuthzURLs {
		authz, err := d.client.GetAuthorization(ctx, url)
		if err != nil {
			return fmt.Errorf("read the authorization: %w", err)
		}
		challenge, err := httpChallenge(authz)
		if err != nil {
			return err
		}
		answer, err := d.client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return err
		}
		path := d.client.HTTP01ChallengePath(challenge.Token)
		web := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, answer) // the server asks again if it did not get it
		})}
		ended := make(chan error, 1)
		go func() { ended <- web.Serve(d.responder) }()
		d.step("get the http-01 challenge", fmt.Sprintf("answering at http://%s%s", d.responder.Addr(), path))

		if _, err = d.client.Accept(ctx, challenge); err == nil {
			authz, err = d.client.WaitAuthorization(ctx, authz.URI)
		}
		err = errors.Join(err, web.Close())
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		if err != nil {
			return fmt.Errorf("prove control of %s: %w", d.name, err)
		}
		d.step("have it checked", authz.Status)
	}
	return nil
}

func httpChallenge(a *acme.Authorization) (*acme.Challenge, error) {
	for _, c := range a.Challenges {
		if c.Type == "http-01" {
			return c, nil
		}
	}
	return nil, fmt.Errorf("the server offers no http-01 challenge for %s", a.Identifier.Value)
}

// finalize sends the request for the certificate, downloads it and shows that
// it can be trusted by the published root.
func (d *demoTour) finalize(ctx context.Context, order *acme.Order) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{d.name}}, key)
	if err != nil {
		return err
	}
	chain, url, err := d.client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if err != nil {
		return fmt.Errorf("finalize: %w", err)
	}
	d.step("finalize with a new key", "valid")
	d.step("download the certificate", url)
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return err
	}
	root, err := d.verify(ctx, leaf, chain[1:])
	if err != nil {
		return err
	}
	d.step("verify it by the CA's root", root)
	fmt.Fprintln(d.out)
	describe(d.out, leaf)
	for _, der := range chain {
		if err := pem.Encode(d.out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	return nil
}

// verify checks the chain against the root that the server publishes.
func (d *demoTour) verify(ctx context.Context, leaf *x509.Certificate, above [][]byte) (root string, err error) {
	text, err := d.fetch(ctx, d.roots)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", fmt.Errorf("%s has no certificate", d.roots)
	}
	anchor, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	o := x509.VerifyOptions{DNSName: d.name, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	o.Roots.AddCert(anchor)
	for _, der := range above {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return "", fmt.Errorf("verify the certificate: %w", err)
	}
	return d.roots, nil
}

// fetch reads what the server publishes.
func (d *demoTour) fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(io.LimitReader(resp.Body, 64<<10))
}

// describe prints what is in a certificate.
func describe(w io.Writer, c *x509.Certificate) {
	usages := []string{}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			usages = append(usages, "TLS server")
		case x509.ExtKeyUsageClientAuth:
			usages = append(usages, "TLS client")
		}
	}
	if c.KeyUsage&x509.KeyUsageContentCommitment != 0 {
		usages = append(usages, "signatures that commit")
	}
	names := c.DNSNames
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	fmt.Fprintf(w, "Certificate\n  Serial number  %x\n  Issuer         %s\n  Subject        %s\n  Names          %s\n  Valid          %s to %s\n  Key            %s\n  Usages         %s\n  Revocation     %s\n",
		c.SerialNumber, c.Issuer, c.Subject, strings.Join(names, ", "), c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339),
		c.PublicKeyAlgorithm, strings.Join(usages, ", "), strings.Join(c.CRLDistributionPoints, ", "))
}
