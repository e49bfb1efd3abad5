package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Doer carries out HTTP requests: an http.Client that goes only where the caller
// lets it go. The addresses come from certificates of the tree.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// FetchHTTP fetches lists over HTTP, up to 50 megabytes each. The lists are
// signed, so the connection need not be.
func FetchHTTP(client Doer) func(context.Context, *x509.Certificate, string) ([]byte, error) {
	return func(ctx context.Context, _ *x509.Certificate, url string) ([]byte, error) {
		if url == "" {
			return nil, errors.New("the certificate does not say where its list is published")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("answered %s", answer.Status)
		}
		const most = 50 << 20
		body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
		if err == nil && len(body) > most {
			err = fmt.Errorf("the list has more than %d bytes", most)
		}
		return body, err
	}
}
