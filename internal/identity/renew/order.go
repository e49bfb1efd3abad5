package renew

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
)

// accountKeyType is one that every ACME server takes (RFC 8555, 6.2).
const accountKeyType = "p256"

// order gets a certificate for a CSR. old is the one that it takes the place of,
// nil for the first.
func (r *Renewer) order(ctx context.Context, csr []byte, old *x509.Certificate) (chain [][]byte, err error) {
	key, err := keptKey(r.Path+accountKey, accountKeyType)
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, DirectoryURL: r.Directory, HTTPClient: r.HTTP, UserAgent: r.UserAgent}
	account, err := r.register(ctx, client)
	if err != nil {
		return nil, err
	}
	order, err := r.open(ctx, client, account, old)
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	r.Say("ordered %s", strings.Join(r.Names, ", "))
	for _, url := range order.AuthzURLs {
		if err := r.prove(ctx, client, url); err != nil {
			return nil, err
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("wait for the order: %w", orderError(err))
	}
	chain, _, err = client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("the CA has not issued the certificate yet; the next run asks again, with the same key: %w", err)
	case err != nil:
		return nil, fmt.Errorf("have the certificate issued: %w", orderError(err))
	}
	return chain, nil
}

// orderError says what the server says about an order that ended.
func orderError(err error) error {
	var o *acme.OrderError
	if errors.As(err, &o) && o.Problem != nil {
		return o.Problem
	}
	return err
}

// register returns the URL of the account, which is made when there is none.
func (r *Renewer) register(ctx context.Context, client *acme.Client) (account string, err error) {
	// A wrong address is told from a server that does not know the account.
	if _, err := client.Discover(ctx); err != nil {
		return "", fmt.Errorf("read the directory %s, which --directory names: %w", r.Directory, err)
	}
	a, err := client.GetReg(ctx, "")
	if errors.Is(err, acme.ErrNoAccount) {
		a, err = client.Register(ctx, &acme.Account{Contact: r.Contact, ExternalAccountBinding: r.ExternalAccount}, acme.AcceptTOS)
		if errors.Is(err, acme.ErrAccountAlreadyExists) { // another run made it, meanwhile
			a, err = client.GetReg(ctx, "")
		}
		if err != nil {
			return "", fmt.Errorf("make an account: %w", err)
		}
	}
	if err != nil {
		return "", fmt.Errorf("find the account: %w", err)
	}
	return a.URI, nil
}

// prove answers the http-01 challenge of an authorization, unless it is valid
// already: where a registry decides, there is nothing to prove.
func (r *Renewer) prove(ctx context.Context, client *acme.Client, url string) (err error) {
	authz, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("read the authorization: %w", err)
	}
	if authz.Status == acme.StatusValid {
		return nil
	}
	i := slices.IndexFunc(authz.Challenges, func(c *acme.Challenge) bool { return c.Type == "http-01" })
	if i < 0 {
		return fmt.Errorf("control of %s has to be proved in another way than by http-01; use a client that can, such as certbot or lego", authz.Identifier.Value)
	}
	challenge := authz.Challenges[i]
	if r.Answerer == nil {
		return fmt.Errorf("control of %s has to be proved by http-01, and there is nowhere to answer; choose a webroot (--webroot) or an address to listen at (--http01)", authz.Identifier.Value)
	}
	answer, err := client.HTTP01ChallengeResponse(challenge.Token)
	if err != nil {
		return err
	}
	withdraw, err := r.Answerer.Answer(ctx, client.HTTP01ChallengePath(challenge.Token), answer)
	if err != nil {
		return fmt.Errorf("answer the challenge: %w", err)
	}
	defer func() { err = errors.Join(err, withdraw()) }()
	if _, err := client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("prove control of %s: %w", authz.Identifier.Value, err)
	}
	if _, err := client.WaitAuthorization(ctx, authz.URI); err != nil {
		return fmt.Errorf("prove control of %s: %w", authz.Identifier.Value, err)
	}
	return nil
}
