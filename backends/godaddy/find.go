package godaddy

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acmebridge/backends"
)

// skew is how far the CA's clock may be from ours.
const skew = 10 * time.Minute

// Find implements backends.Finder. The CA keeps no reference of ours, so it walks
// through the orders of the account for those with the name since then, and
// compares public keys (SC-4). One whose key does not show until it is issued
// proves nothing: the engine asks again, and leaves it to a person at last.
func (b *Backend) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	p, err := b.purchaseFor(r)
	if _, no := backends.RefusalDetail(err); err != nil && !no {
		return "", false, err
	}
	customer, err := b.account(ctx)
	if err != nil {
		return "", false, err
	}
	var found backends.Ticket
	var unclear error
	complete, err := b.client.Walk(ctx, customer, func(row Certificate) (bool, error) {
		if !strings.EqualFold(row.CommonName, or(p.CommonName, r.Contract.CommonName)) || !row.Created.IsZero() && row.Created.Before(r.At.Add(-skew)) {
			return false, nil
		}
		spki, err := b.keyOf(ctx, row)
		switch {
		case err != nil:
			return false, err
		case spki == nil:
			unclear = fmt.Errorf("godaddy: certificate %s for %s is %s, and its key does not show: it is this order's, or another one's", row.ID, row.CommonName, row.Status)
		case bytes.Equal(spki, r.PublicKey):
			found = ticketFor(row.ID, r)
		}
		return found != "", nil
	})
	switch {
	case err != nil:
		return "", false, err
	case found != "":
		return found, true, nil
	case !complete:
		unclear = errors.New("godaddy: the account has more orders than are read, and the request is not among those, which proves nothing")
	}
	return "", false, unclear
}

// keyOf is the public key of an order, nil while the CA does not show it.
func (b *Backend) keyOf(ctx context.Context, row Certificate) ([]byte, error) {
	got, err := b.client.Certificate(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode([]byte(got.CSR)); block != nil {
		if csr, err := x509.ParseCertificateRequest(block.Bytes); err == nil {
			return csr.RawSubjectPublicKeyInfo, nil
		}
	}
	if !slices.Contains([]string{"ISSUED", "REVOKED", "PENDING_REVOCATION"}, strings.ToUpper(got.Status)) {
		return nil, nil
	}
	leaf, _, err := b.client.Download(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	return leaf.RawSubjectPublicKeyInfo, nil
}
