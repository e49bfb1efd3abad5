package backendtest

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

func checkIssuer(ctx context.Context, s Subject) error {
	issuer := s.Backend.(backends.Issuer)
	r := s.Request()
	first, err := issuer.Issue(r)
	if err != nil {
		return fmt.Errorf("issue: %w", err)
	}
	if err := keeps(first, r, s); err != nil {
		return err
	}
	again, err := issuer.Issue(r)
	if err != nil {
		return fmt.Errorf("issue again: %w", err)
	}
	if err := sameChain(first, again); err != nil {
		return fmt.Errorf("issuing the same request twice: %w", err)
	}
	_, polled, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	if err := sameChain(first, polled); err != nil {
		return fmt.Errorf("submitting and polling what was issued: %w", err)
	}
	if s.Reopen != nil {
		if other, ok := s.Reopen().(backends.Issuer); ok {
			after, err := other.Issue(r)
			if err != nil {
				return fmt.Errorf("issue by another instance: %w", err)
			}
			if err := sameChain(first, after); err != nil {
				return fmt.Errorf("issuing by another instance: %w", err)
			}
		}
	}
	// A second certificate must not share a number with the first, not even
	// when all but the key of the request is the same.
	other := r
	other.Key = s.Request().Key
	second, err := issuer.Issue(other)
	if err != nil {
		return fmt.Errorf("issue for another key: %w", err)
	}
	a, err := parseChain(first)
	if err != nil {
		return err
	}
	b, err := parseChain(second)
	if err != nil {
		return err
	}
	if a[0].SerialNumber.Cmp(b[0].SerialNumber) == 0 {
		return errors.New("two requests got the same serial number")
	}
	return nil
}

func checkFinder(ctx context.Context, s Subject) error {
	r := s.Request()
	if s.LoseReply != nil {
		s.LoseReply()
	}
	// Without a reply to lose, a ticket that nobody kept is as good.
	t, err := submit(ctx, s, r)
	switch _, refused := backends.RefusalDetail(err); {
	case s.LoseReply == nil && err != nil:
		return fmt.Errorf("submit: %w", err)
	case s.LoseReply != nil && err == nil:
		return fmt.Errorf("the reply got lost and Submit returned the ticket %q: arrange it so that it cannot", t)
	case refused || backends.IsNotSent(err):
		return fmt.Errorf("the reply got lost, which proves nothing, and the error claims to know: %w", err)
	}
	s.Settle()
	found, ok, err := s.Backend.(backends.Finder).Find(ctx, r)
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	if !ok {
		return errors.New("a request that reached the CA was not found: it would be bought a second time")
	}
	chain, err := poll(ctx, s, s.Backend, found)
	if err != nil {
		return fmt.Errorf("by the ticket that was found: %w", err)
	}
	return keeps(chain, r, s)
}

func checkNotFound(ctx context.Context, s Subject) error {
	if _, _, err := obtain(ctx, s, s.Request()); err != nil { // something else to find
		return err
	}
	r := s.Request()
	t, ok, err := s.Backend.(backends.Finder).Find(ctx, r)
	switch {
	case err != nil:
		return fmt.Errorf("find: %w", err)
	case !ok:
		return nil
	case !s.Derived:
		return fmt.Errorf("a request that was never sent was found, with the ticket %q", t)
	}
	chain, err := poll(ctx, s, s.Backend, t)
	if err != nil {
		return fmt.Errorf("by the ticket that was found: %w", err)
	}
	return keeps(chain, r, s)
}

func checkRevoker(ctx context.Context, s Subject) error {
	r := s.Request()
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	cert, err := certificateOf(chain, r)
	if err != nil {
		return err
	}
	for _, turn := range []string{"revoke", "revoke again", "revoke a third time"} {
		if err := s.Backend.(backends.Revoker).Revoke(ctx, cert, acme.Superseded); err != nil {
			return fmt.Errorf("%s: %w", turn, err)
		}
	}
	return nil
}

// checkInformer asks twice: the answer to a certificate that lives is a window
// that a client can keep to, or none.
func checkInformer(ctx context.Context, s Subject) error {
	r := s.Request()
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	cert, err := certificateOf(chain, r)
	if err != nil {
		return err
	}
	leaves, err := parseChain(chain)
	if err != nil {
		return err
	}
	for _, turn := range []string{"ask", "ask again"} {
		info, err := s.Backend.(backends.RenewalInformer).RenewalInfo(ctx, cert)
		if err != nil {
			return fmt.Errorf("%s: %w", turn, err)
		}
		w := info.Window
		switch {
		case info.After < 0:
			return fmt.Errorf("%s: it wants to be asked %s ago", turn, -info.After)
		case w.Start.IsZero() && w.End.IsZero():
		case !w.End.After(w.Start):
			return fmt.Errorf("%s: the window ends at %s and starts at %s", turn, w.End, w.Start)
		case !w.Start.Before(leaves[0].NotAfter):
			return fmt.Errorf("%s: the window starts at %s and the certificate ends at %s", turn, w.Start, leaves[0].NotAfter)
		}
	}
	return nil
}

func checkCRL(ctx context.Context, s Subject) error {
	signer := s.Backend.(backends.CRLSigner)
	r := s.Request()
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	cert, err := certificateOf(chain, r)
	if err != nil {
		return err
	}
	now := s.Now().UTC().Truncate(time.Second)
	at := now.Add(-time.Hour)
	entry := func(serial []byte, reason acme.RevocationReason) backends.Revoked {
		return backends.Revoked{Serial: serial, AuthorityKeyID: cert.AuthorityKeyID, At: at, Reason: reason}
	}
	revoked := []backends.Revoked{
		entry([]byte{0x7f, 3}, acme.KeyCompromise),
		entry(cert.Serial, acme.Unspecified),
		entry([]byte{2}, acme.Superseded),
		{Serial: []byte{9}, AuthorityKeyID: []byte("the key of another CA"), At: at},
	}
	names := signer.CRLNames()
	if len(names) == 0 {
		return errors.New("there is no list")
	}
	holders := 0
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("two lists are named %q", name)
		}
		for number := int64(1); number <= 2; number++ {
			der, next, err := signer.SignCRL(name, number, now, revoked)
			if err != nil {
				return fmt.Errorf("sign %s: %w", name, err)
			}
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := checkList(list, number, now, next, s); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if !bytes.Equal(list.AuthorityKeyId, cert.AuthorityKeyID) {
				if len(list.RevokedCertificateEntries) > 0 {
					return fmt.Errorf("%s lists certificates of another key", name)
				}
				continue
			}
			holders++
			if err := checkEntries(list, cert, at); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if holders != 2 {
		return fmt.Errorf("%d lists, and not each of the two of one key, say that the certificate was revoked", holders)
	}
	if _, _, err := signer.SignCRL("there was never such a list", 1, now, nil); err == nil {
		return errors.New("a list of an unknown name was signed")
	}
	return nil
}

func checkList(list *x509.RevocationList, number int64, now, next time.Time, s Subject) error {
	if list.Number == nil || list.Number.Cmp(big.NewInt(number)) != 0 {
		return fmt.Errorf("it has the number %v, want %d", list.Number, number)
	}
	if !list.ThisUpdate.Equal(now) {
		return fmt.Errorf("it begins at %s, want %s", list.ThisUpdate, now)
	}
	if !next.After(now) || next.After(list.NextUpdate) {
		return fmt.Errorf("the next one is due at %s, which is not between %s and its end at %s", next, now, list.NextUpdate)
	}
	if len(list.AuthorityKeyId) == 0 {
		return errors.New("it does not say which key signed it")
	}
	var candidates [][]byte
	if r, ok := s.Backend.(backends.Rooted); ok {
		candidates = append(r.Intermediates(), r.Roots()...)
	}
	for _, der := range candidates {
		if issuer, err := x509.ParseCertificate(der); err == nil && list.CheckSignatureFrom(issuer) == nil {
			return nil
		}
	}
	return errors.New("no root or intermediate of the backend has signed it")
}

func checkEntries(list *x509.RevocationList, cert acme.Certificate, at time.Time) error {
	entries := list.RevokedCertificateEntries
	if len(entries) != 3 {
		return fmt.Errorf("it has %d entries, want 3", len(entries))
	}
	if !slices.IsSortedFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) }) {
		return errors.New("its entries are not sorted")
	}
	reasons := map[string]int{string(bytes.TrimLeft(cert.Serial, "\x00")): 0, "\x02": 4, "\x7f\x03": 1}
	for _, e := range entries {
		want, ok := reasons[string(e.SerialNumber.Bytes())]
		if !ok {
			return fmt.Errorf("nobody revoked %x", e.SerialNumber)
		}
		if e.ReasonCode != want || !e.RevocationTime.Equal(at) {
			return fmt.Errorf("%x was revoked at %s with reason %d, want %s and %d", e.SerialNumber, e.RevocationTime, e.ReasonCode, at, want)
		}
		// R8555-7.6-5: "unspecified" is said by saying nothing.
		if want == 0 && len(e.Extensions) != 0 {
			return fmt.Errorf("%x was revoked without a reason, and its entry gives one", e.SerialNumber)
		}
	}
	return nil
}

func checkRoots(ctx context.Context, s Subject) error {
	rooted := s.Backend.(backends.Rooted)
	if len(rooted.Roots()) == 0 {
		return errors.New("there is no root")
	}
	for i, der := range rooted.Roots() {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("root %d: %w", i, err)
		}
		if err := root.CheckSignatureFrom(root); err != nil {
			return fmt.Errorf("root %d did not sign itself: %w", i, err)
		}
	}
	for i, der := range rooted.Intermediates() {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("intermediate %d: %w", i, err)
		}
		if !cert.IsCA {
			return fmt.Errorf("intermediate %d is not a CA", i)
		}
	}
	r := s.Request()
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	certs, err := parseChain(chain)
	if err != nil {
		return err
	}
	return checkPath(certs, r, rooted.Roots())
}

func checkChecker(ctx context.Context, s Subject) error {
	if err := s.Backend.(backends.Checker).Check(ctx); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}
