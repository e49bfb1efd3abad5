package renew

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/crypto/acme"

	bridge "acmebridge/acme"
	"acmebridge/internal/accountjws"
)

// open places an order. Where there is an old certificate, the order says that it
// replaces it (RFC 9773, 5): servers let a renewal pass limits that hold new
// certificates. One that does not take that gets an ordinary order.
func (r *Renewer) open(ctx context.Context, client *acme.Client, account string, old *x509.Certificate) (*acme.Order, error) {
	if old != nil {
		url, err := r.replace(ctx, client, account, old)
		if err == nil {
			return client.GetOrder(ctx, url)
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if !errors.Is(err, errNoRenewalInfo) {
			r.Say("it is ordered as a new certificate, because it cannot replace the old one: %v", err)
		}
	}
	var options []acme.OrderOption
	if r.Profile != "" {
		options = append(options, acme.WithOrderIssuanceProfile(acme.ProfileName(r.Profile)))
	}
	return client.AuthorizeOrder(ctx, identifiers(r.Names), options...)
}

// replacing is the order of a renewal, which the library has no word for.
type replacing struct {
	Identifiers []identifier `json:"identifiers"`
	Profile     string       `json:"profile,omitempty"`
	Replaces    string       `json:"replaces"`
}

type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// replace places an order that replaces a certificate, and returns its URL.
func (r *Renewer) replace(ctx context.Context, client *acme.Client, account string, old *x509.Certificate) (url string, err error) {
	var directory struct {
		NewNonce    string `json:"newNonce"`
		NewOrder    string `json:"newOrder"`
		RenewalInfo string `json:"renewalInfo"`
	}
	if err := r.get(ctx, r.Directory, &directory); err != nil {
		return "", err
	}
	order := replacing{Profile: r.Profile, Replaces: bridge.CertID(old.AuthorityKeyId, bridge.SerialOctets(old.SerialNumber))}
	if directory.RenewalInfo == "" || order.Replaces == "" {
		return "", errNoRenewalInfo
	}
	for _, id := range identifiers(r.Names) {
		order.Identifiers = append(order.Identifiers, identifier(id))
	}
	payload, err := json.Marshal(order)
	if err != nil {
		return "", err
	}
	key, ok := client.Key.(*ecdsa.PrivateKey)
	if !ok {
		return "", fmt.Errorf("the key of the account is a %T", client.Key)
	}
	nonce, err := r.nonce(ctx, directory.NewNonce)
	if err != nil {
		return "", err
	}
	signed, err := accountjws.Sign(key, account, directory.NewOrder, nonce, payload)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, directory.NewOrder, bytes.NewReader(signed))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/jose+json")
	req.Header.Set("User-Agent", r.UserAgent)
	res, err := r.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode == http.StatusCreated {
		return res.Header.Get("Location"), nil
	}
	var problem struct{ Detail string }
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		problem.Detail = res.Status
	}
	return "", errors.New(problem.Detail)
}

// nonce asks for one. Those of the library are its own.
func (r *Renewer) nonce(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return "", err
	}
	res, err := r.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	nonce := res.Header.Get("Replay-Nonce")
	if err := res.Body.Close(); err != nil || nonce == "" {
		return "", errors.Join(err, errors.New("the server gave no nonce"))
	}
	return nonce, nil
}
