package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// deliver ends an order with its certificate, in the caller's transaction.
// uppers are what lies above the leaf: of the usual chain, then of the others.
// A certificate that another order has already is never delivered again (SC-9).
func deliver(tx storage.Tx, o acme.Order, sub storage.Submission, c acme.Certificate, uppers [][][]byte, now time.Time) (acme.Order, error) {
	switch other, err := tx.Certificates().ByCertID(c.AuthorityKeyID, c.Serial); {
	case err == nil:
		return o, fmt.Errorf("engine: the CA delivered the certificate of order %s for order %s: %w", other.Order, o.ID, errDelivered)
	case !errors.Is(err, storage.ErrNotFound):
		return o, err
	}
	if c.Holder != nil {
		// Those who verify signatures keep the certificates of all trees of a
		// framework in one map, by their numbers.
		if others, err := tx.Certificates().BySerial(c.Serial); err != nil || len(others) > 0 {
			return o, errors.Join(err, fmt.Errorf("engine: the serial number of the certificate for order %s is not the first of its kind: %w", o.ID, errDelivered))
		}
	}
	c.Alternates = nil // the function may run again
	for i, upper := range uppers {
		hash, err := putChain(tx, upper)
		if err != nil {
			return o, err
		}
		if i == 0 {
			c.Chain = hash
		} else {
			c.Alternates = append(c.Alternates, hash)
		}
	}
	if err := tx.Certificates().Put(c); err != nil {
		return o, err
	}
	if err := markRenewed(tx, o, now); err != nil {
		return o, err
	}
	sub.CSR, sub.Quarantine = nil, nil
	if err := tx.Submissions().Put(sub); err != nil {
		return o, err
	}
	if err := tx.Jobs().Delete(orderJob(o.ID)); err != nil {
		return o, err
	}
	err := eachAttached(tx, o.ID, func(x acme.Order) error {
		if err := markRenewed(tx, x, now); err != nil {
			return err
		}
		return putOrder(tx, acme.Deliver(x, c.ID, now))
	})
	if err != nil {
		return o, err
	}
	o = acme.Deliver(o, c.ID, now)
	return o, putOrder(tx, o)
}

// errDelivered says that a CA handed out one certificate twice.
var errDelivered = errors.New("engine: certificate belongs to another order")

// putChain stores the upper part of a chain, unless it is there.
func putChain(tx storage.Tx, upper [][]byte) (acme.ChainHash, error) {
	chain := acme.Chain{Hash: hashChain(upper), Certificates: upper}
	_, err := tx.Certificates().Chain(chain.Hash)
	if errors.Is(err, storage.ErrNotFound) {
		err = tx.Certificates().PutChain(chain)
	}
	return chain.Hash, err
}

func hashChain(certificates [][]byte) acme.ChainHash {
	h := sha256.New()
	for _, c := range certificates {
		h.Write(c)
	}
	return acme.ChainHash(h.Sum(nil))
}

// maxAlternates bounds the further chains of one certificate.
const maxAlternates = 8

// alternates are the further chains that fit a leaf. Each passes the gate of
// the usual chain, D10; one that does not is left out and complained of, since
// the certificate itself is what was ordered.
func (e *Engine) alternates(from *authority, o acme.Order, sub storage.Submission, leaf *x509.Certificate) (fitting [][][]byte) {
	if from.crossed == nil {
		return nil
	}
	for _, upper := range from.crossed.AlternateChains() {
		if !certifies(upper, leaf) || len(fitting) == maxAlternates {
			continue
		}
		if _, err := from.trust.CheckChain(sub.Contract, append([][]byte{leaf.Raw}, upper...), e.now()); err != nil {
			e.log.Error("an alternate chain does not hold; it is left out", "event", "certificate.alternate", "order", o.ID,
				"account", o.Account, "backend", from.name, "cause", err)
			continue
		}
		fitting = append(fitting, upper)
	}
	return fitting
}

// certifies reports whether a chain begins with an issuer of that leaf, by
// name and key: after a rotation there are several.
func certifies(upper [][]byte, leaf *x509.Certificate) bool {
	if len(upper) == 0 {
		return false
	}
	issuer, err := x509.ParseCertificate(upper[0])
	return err == nil && bytes.Equal(issuer.RawSubject, leaf.RawIssuer) && bytes.Equal(issuer.SubjectKeyId, leaf.AuthorityKeyId)
}

// Certificate reads a certificate of its owner, and the usual chain above it.
func (e *Engine) Certificate(ctx context.Context, owner acme.AccountID, id acme.CertificateID) (acme.Certificate, acme.Chain, error) {
	return e.CertificateChain(ctx, owner, id, 0)
}

// CertificateChain reads a certificate of its owner with one of its chains: 0
// is the usual one, those from 1 are the alternates (R8555-7.4.2-2).
func (e *Engine) CertificateChain(ctx context.Context, owner acme.AccountID, id acme.CertificateID, number int) (c acme.Certificate, chain acme.Chain, err error) {
	err = e.view(ctx, func(tx storage.Tx) error {
		if c, err = loadCertificate(tx, owner, id); err != nil {
			return err
		}
		hash := c.Chain
		switch {
		case number < 0 || number > len(c.Alternates):
			return acme.NotFound()
		case number > 0:
			hash = c.Alternates[number-1]
		}
		chain, err = tx.Certificates().Chain(hash)
		return err
	})
	return c, chain, err
}
