package acmetest

import (
	"crypto"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// standardClient is golang.org/x/crypto/acme, which shares no code with the rest of
// the suite: what both agree on is not a mistake of ours.
func (t *T) standardClient(k crypto.Signer) *acme.Client {
	return &acme.Client{
		Key:          k,
		HTTPClient:   t.suite.cfg.HTTPClient,
		DirectoryURL: t.suite.main.url,
		UserAgent:    userAgent,
		// Its own pauses start at a second; nothing is gained by them here.
		RetryBackoff: func(n int, _ *http.Request, _ *http.Response) time.Duration {
			if n > 10 {
				return -1
			}
			return 20 * time.Millisecond
		},
	}
}

func (t *T) registered() (*acme.Client, *acme.Account) {
	client := t.standardClient(t.newKey().signer)
	request := &acme.Account{Contact: []string{t.suite.cfg.Contact}}
	if bind := t.suite.main.bind; bind != nil {
		request.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: bind.KID, Key: bind.HMAC}
	}
	account, err := client.Register(t.ctx, request, acme.AcceptTOS)
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return client, account
}

// obtain runs the standard client all the way and returns the chain and its URL.
func (t *T) obtain(client *acme.Client, k *key, names ...string) ([][]byte, string) {
	order, err := client.AuthorizeOrder(t.ctx, acme.DomainIDs(names...))
	if err != nil {
		t.Fatalf("newOrder: %v", err)
	}
	for _, url := range order.AuthzURLs {
		authz, err := client.GetAuthorization(t.ctx, url)
		if err != nil {
			t.Fatalf("read authorization: %v", err)
		}
		i := slices.IndexFunc(authz.Challenges, func(c *acme.Challenge) bool { return c.Type == "http-01" })
		if i < 0 {
			t.NotApplicable("no http-01 challenge offered for %s", authz.Identifier.Value)
		}
		c := authz.Challenges[i]
		body, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			t.Fatalf("key authorization: %v", err)
		}
		t.suite.http01.answer(c.Token, text(http.StatusOK, body))
		if _, err := client.Accept(t.ctx, c); err != nil {
			t.Fatalf("answer the challenge: %v", err)
		}
		if _, err := client.WaitAuthorization(t.ctx, url); err != nil {
			t.Fatalf("wait for the authorization: %v", err)
		}
	}
	if order, err = client.WaitOrder(t.ctx, order.URI); err != nil {
		t.Fatalf("wait for the order: %v", err)
	}
	chain, url, err := client.CreateOrderCert(t.ctx, order.FinalizeURL, t.csr(k, names, nil), true)
	if err != nil {
		// A server that sends no Location with the finalize answer stops this client
		// though the order goes on; then it is asked for by its own URL.
		if order, err = client.WaitOrder(t.ctx, order.URI); err != nil {
			t.Fatalf("wait for the certificate: %v", err)
		}
		if chain, err = client.FetchCert(t.ctx, order.CertURL, true); err != nil {
			t.Fatalf("download: %v", err)
		}
		url = order.CertURL
	}
	return chain, url
}

// clientCases are the good ways, as a common client goes them.
func clientCases() []Case {
	return []Case{
		{"R8555-7.3-7", "client-registers-and-finds-its-account", func(t *T) {
			client, account := t.registered()
			found, err := t.standardClient(client.Key).GetReg(t.ctx, "")
			if err != nil || found.URI != account.URI {
				t.Errorf("GetReg: %+v, %v; want %s", found, err, account.URI)
			}
			if _, err := client.Register(t.ctx, &acme.Account{}, acme.AcceptTOS); !errors.Is(err, acme.ErrAccountAlreadyExists) {
				t.Errorf("registering again: %v, want ErrAccountAlreadyExists", err)
			}
		}},
		{"R8555-7.3.1-2", "client-without-account", func(t *T) {
			if _, err := t.standardClient(t.newKey().signer).GetReg(t.ctx, ""); !errors.Is(err, acme.ErrNoAccount) {
				t.Errorf("GetReg: %v, want ErrNoAccount", err)
			}
		}},
		{"R8555-7.3.2-1", "client-updates-its-account", func(t *T) {
			client, account := t.registered()
			account.Contact = []string{strings.Replace(t.suite.cfg.Contact, "mailto:", "mailto:new-", 1)}
			got, err := client.UpdateReg(t.ctx, account)
			if err != nil || !slices.Equal(got.Contact, account.Contact) {
				t.Errorf("UpdateReg: %+v, %v; want contact %q", got, err, account.Contact)
			}
		}},
		{"R8555-7.3.6-1", "client-deactivates-its-account", func(t *T) {
			client, _ := t.registered()
			if err := client.DeactivateReg(t.ctx); err != nil {
				t.Fatalf("DeactivateReg: %v", err)
			}
			if _, err := client.AuthorizeOrder(t.ctx, acme.DomainIDs(t.newName())); err == nil {
				t.Errorf("a deactivated account made an order")
			}
		}},
		{"R8555-7.3.5-12", "client-rolls-its-key-over", func(t *T) {
			client, account := t.registered()
			if err := client.AccountKeyRollover(t.ctx, t.newKey().signer); err != nil {
				t.Fatalf("AccountKeyRollover: %v", err)
			}
			found, err := client.GetReg(t.ctx, "")
			if err != nil || found.URI != account.URI {
				t.Errorf("GetReg after the rollover: %+v, %v; want %s", found, err, account.URI)
			}
		}},
		{"R8555-7.4-1", "client-obtains-a-certificate", func(t *T) {
			client, _ := t.registered()
			chain, url := t.obtain(client, t.newKey(), t.newName(), t.newName())
			again, err := client.FetchCert(t.ctx, url, true)
			if err != nil || len(again) != len(chain) {
				t.Errorf("FetchCert: %d certificates, %v; want %d", len(again), err, len(chain))
			}
			if _, err := client.ListCertAlternates(t.ctx, url); err != nil {
				t.Errorf("ListCertAlternates: %v", err)
			}
		}},
		{"R8555-7.5.2-1", "client-deactivates-an-authorization", func(t *T) {
			client, _ := t.registered()
			order, err := client.AuthorizeOrder(t.ctx, acme.DomainIDs(t.newName()))
			if err != nil {
				t.Fatalf("newOrder: %v", err)
			}
			if err := client.RevokeAuthorization(t.ctx, order.AuthzURLs[0]); err != nil {
				t.Fatalf("RevokeAuthorization: %v", err)
			}
			if authz, err := client.GetAuthorization(t.ctx, order.AuthzURLs[0]); err != nil || authz.Status != acme.StatusDeactivated {
				t.Errorf("the authorization is %+v, %v; want deactivated", authz, err)
			}
		}},
		{"R8555-7.6-7", "client-revokes-by-account", func(t *T) {
			client, _ := t.registered()
			chain, _ := t.obtain(client, t.newKey(), t.newName())
			if err := client.RevokeCert(t.ctx, nil, chain[0], acme.CRLReasonSuperseded); err != nil {
				t.Errorf("RevokeCert: %v", err)
			}
		}},
		{"R8555-7.6-7", "client-revokes-by-certificate-key", func(t *T) {
			client, _ := t.registered()
			k := t.newKey()
			chain, _ := t.obtain(client, k, t.newName())
			if err := client.RevokeCert(t.ctx, k.signer, chain[0], acme.CRLReasonKeyCompromise); err != nil {
				t.Errorf("RevokeCert: %v", err)
			}
		}},
	}
}
