package engine

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Revocation asks for a certificate to be revoked. Exactly one of Owner and
// Key says on whose word.
type Revocation struct {
	// Directory is where the request came in. What another directory issued
	// does not exist there (D11).
	Directory   acme.DirectoryName
	Certificate []byte // DER
	Reason      acme.RevocationReason
	// Owner is the account that signed the request: the one the certificate
	// was issued to, or one that holds valid authorizations for all its names.
	Owner acme.AccountID
	// Key is the key that signed it, when that is the certificate's own.
	Key acme.KeyHash
}

// clientReasons are what a client may give; the others are for operators.
var clientReasons = []acme.RevocationReason{acme.Unspecified, acme.KeyCompromise, acme.Superseded, acme.CessationOfOperation}

// Revoke revokes a certificate. It is done, as far as the client is concerned,
// when it is durably queued; the answer waits for the CA at most for the
// profile's hold window (R8555-7.6-13).
func (e *Engine) Revoke(ctx context.Context, r Revocation) error {
	if p := reasonOfClient(r.Reason, r.Reason == acme.AffiliationChanged); p != nil {
		return p
	}
	cert, err := e.certificateOf(ctx, r.Directory, r.Certificate)
	if err != nil {
		return err
	}
	if p := reasonOfClient(r.Reason, cert.Holder != nil); p != nil {
		return p
	}
	by, err := e.mayRevoke(ctx, cert, r)
	if err != nil {
		return err
	}
	switch {
	case by == "key":
		// R8555-7.6-10: who has the key says that others may have it too.
		r.Reason = acme.KeyCompromise
	case by == "authorizations":
		r.Reason = acme.CessationOfOperation
	}
	claim, p := e.claimRevocation(r.Owner)
	if p != nil {
		return p
	}
	err = e.revoke(ctx, cert.ID, r.Reason, by)
	var refused *acme.Problem
	if errors.As(err, &refused) {
		claim.Return() // nothing was revoked
	}
	return err
}

// certificateOf finds the stored certificate with these very bytes.
func (e *Engine) certificateOf(ctx context.Context, d acme.DirectoryName, der []byte) (acme.Certificate, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return acme.Certificate{}, acme.Problemf(acme.Malformed, "certificate is not the DER of an X.509 certificate")
	}
	var cert acme.Certificate
	err = e.view(ctx, func(tx storage.Tx) error {
		cert, err = tx.Certificates().ByCertID(parsed.AuthorityKeyId, acme.SerialOctets(parsed.SerialNumber))
		return err
	})
	if errors.Is(err, storage.ErrNotFound) || err == nil && (cert.Directory != d || !bytes.Equal(cert.Leaf, der)) {
		return acme.Certificate{}, acme.Problemf(acme.Malformed, "this server did not issue that certificate").WithStatus(404)
	}
	return cert, err
}

// mayRevoke says on whose word the certificate is revoked (SP-12): each right
// is proved on its own path.
func (e *Engine) mayRevoke(ctx context.Context, c acme.Certificate, r Revocation) (by string, err error) {
	refused := acme.Problemf(acme.Unauthorized,
		"only the account that the certificate was issued to, its own key, or an account with valid authorizations for all its names may revoke it")
	if r.Owner == "" {
		if r.Key != c.KeyHash || r.Key == (acme.KeyHash{}) {
			return "", refused
		}
		return "key", nil
	}
	if r.Owner == c.Account {
		return "account", nil
	}
	if c.Holder != nil && c.Holder.Tree.Member() {
		return "", refused // its identifiers only stand for the application
	}
	err = e.view(ctx, func(tx storage.Tx) error {
		now := e.now()
		for _, id := range c.Identifiers {
			base, wildcard := id.Wildcard()
			if !wildcard {
				base = id
			}
			found, err := proofs(tx, r.Owner, base, wildcard, now)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return refused // what the registry allows two members, neither may revoke of the other
			}
		}
		return nil
	})
	return "authorizations", err
}

// revoke records the decision and waits for it to be carried out.
func (e *Engine) revoke(ctx context.Context, id acme.CertificateID, reason acme.RevocationReason, by string) error {
	done, cancel := e.watchers.watch(string(certJob(id)))
	defer cancel()
	var cert acme.Certificate
	err := e.commit(ctx, func(tx storage.Tx) error {
		var err error
		if cert, err = tx.Certificates().Get(id); err != nil {
			return err
		}
		if p, err := revocable(tx, cert, reason, by, e.now()); p != nil || err != nil {
			return orProblem(p, err)
		}
		revocation := acme.Revocation{At: e.now(), Reason: reason, By: by}
		if cert.Revocation != nil {
			revocation.At = cert.Revocation.At // it was revoked then; only the reason is new
		}
		cert, err = e.accept(tx, cert, revocation)
		return err
	}, failpoint.RevokeIntent)
	if err != nil {
		return err
	}
	e.accepted(cert)
	e.nudge()
	e.watchers.wait(ctx, done, e.cfg.Profiles[cert.Profile].Hold)
	return nil
}

// accept stores a revocation and the job that carries it out, in the caller's
// transaction.
func (e *Engine) accept(tx storage.Tx, c acme.Certificate, r acme.Revocation) (acme.Certificate, error) {
	c.Revocation = &r
	now := e.now()
	if r.Reason == acme.KeyCompromise {
		blocked := storage.BlockedKey{Hash: c.KeyHash, At: now, Reason: "certificate " + string(c.ID) + " was revoked for key compromise"}
		if err := tx.BlockedKeys().Put(blocked); err != nil {
			return c, err
		}
	}
	if err := tx.Certificates().Put(c); err != nil {
		return c, err
	}
	return c, tx.Jobs().Put(storage.Job{
		ID: certJob(c.ID), Kind: storage.JobRevoke, Due: now, Account: c.Account, Subject: string(c.ID), Backend: c.Backend,
	})
}

// accepted tells of revocations that were stored.
func (e *Engine) accepted(certs ...acme.Certificate) {
	for _, c := range certs {
		e.Counters.Revocations.Add(1)
		e.log.Info("revocation accepted", "event", "certificate.revoked", "certificate", c.ID, "order", c.Order, "account", c.Account,
			"member", c.Member, "backend", c.Backend, "reason", int(c.Revocation.Reason), "by", c.Revocation.By)
	}
}

// revocable decides about a certificate that may have been revoked before. The
// one thing that may be said later is that its key is compromised.
func revocable(tx storage.Tx, c acme.Certificate, reason acme.RevocationReason, by string, now time.Time) (*acme.Problem, error) {
	if c.Ended(now) {
		switch useful, err := outlived(tx, c, reason, now); {
		case err != nil:
			return nil, err
		case !useful:
			return acme.Problemf(acme.Unauthorized, "the certificate expired at %s, so there is nothing left to revoke", c.NotAfter.UTC().Format(time.RFC3339)), nil
		}
	}
	if c.Revocation == nil {
		return nil, nil
	}
	if (by == "key" || by == "operator") && reason == acme.KeyCompromise && c.Revocation.Reason != acme.KeyCompromise {
		return nil, nil // R8555-7.6-11
	}
	return acme.Problemf(acme.AlreadyRevoked, "the certificate was revoked at %s", c.Revocation.At.UTC().Format(time.RFC3339)), nil
}

// outlived reports whether it helps to revoke a certificate after its end. What a
// framework's members have signed is verified at the time that it states, which
// whoever stole the key can choose: the list has to say that the key was stolen,
// for as long as the issuer signs lists.
func outlived(tx storage.Tx, c acme.Certificate, reason acme.RevocationReason, now time.Time) (bool, error) {
	if c.Holder == nil || c.Holder.Tree != acme.IB1Signing || reason != acme.KeyCompromise {
		return false, nil
	}
	chain, err := tx.Certificates().Chain(c.Chain)
	if err != nil || len(chain.Certificates) == 0 {
		return err == nil, err
	}
	issuer, err := x509.ParseCertificate(chain.Certificates[0])
	if err != nil {
		return false, fmt.Errorf("engine: read the issuer of certificate %s: %w", c.ID, err)
	}
	return !now.After(issuer.NotAfter), nil
}

// stepRevoke tells the CA, and has its list published where we sign that.
func (e *Engine) stepRevoke(ctx context.Context, j storage.Job) error {
	var cert acme.Certificate
	err := e.view(ctx, func(tx storage.Tx) (err error) {
		if _, err = e.ours(tx, j); err != nil {
			return err
		}
		cert, err = tx.Certificates().Get(acme.CertificateID(j.Subject))
		return err
	})
	if err != nil {
		return err
	}
	a := e.backends[cert.Backend]
	if a == nil || a.revoker == nil {
		return fmt.Errorf("engine: certificate %s: backend %q cannot revoke; revoke it at the CA", cert.ID, cert.Backend)
	}
	call, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	told := cert.Revocation.Reason
	if err := a.revoker.Revoke(call, cert, told); err != nil {
		return fmt.Errorf("engine: revoke certificate %s at %s: %w", cert.ID, cert.Backend, err)
	}
	if err := failpoint.Hit(failpoint.RevokeSent); err != nil {
		return err
	}
	a.revoked.touch(cert.ID) // before the list with it is asked for
	err = e.commit(ctx, func(tx storage.Tx) error {
		stored, err := e.ours(tx, j)
		if err != nil {
			return err
		}
		c, err := tx.Certificates().Get(cert.ID)
		if err != nil {
			return err
		}
		if c.Revocation.Reason != told {
			// The reason was changed while the CA was being told the old one.
			stored.Due, stored.Lease = e.now(), storage.Lease{}
			return tx.Jobs().Put(stored)
		}
		done := *c.Revocation
		done.DoneAt = e.now()
		c.Revocation = &done
		if err := tx.Certificates().Put(c); err != nil {
			return err
		}
		if a.crls != nil {
			if err := e.publishNow(tx, a); err != nil {
				return err
			}
		}
		return tx.Jobs().Delete(j.ID)
	}, failpoint.RevokeResult)
	if err == nil && a.crls == nil {
		e.watchers.tell(string(j.ID))
	}
	return err
}
