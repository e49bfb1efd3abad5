package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"sync"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

func checkTraits(ctx context.Context, s Subject) error {
	before := s.Backend.Traits()
	if before.MaxValidity < 0 {
		return fmt.Errorf("a longest validity of %s", before.MaxValidity)
	}
	if _, _, err := obtain(ctx, s, s.Request()); err != nil {
		return err
	}
	if after := s.Backend.Traits(); after != before {
		return fmt.Errorf("the traits changed from %+v to %+v while the backend was open", before, after)
	}
	return nil
}

func checkGranted(ctx context.Context, s Subject) error {
	r := s.Request()
	kept := r
	kept.CSR, kept.PublicKey = slices.Clone(r.CSR), slices.Clone(r.PublicKey)
	kept.Contract.Identifiers, kept.Contract.Usages = slices.Clone(r.Contract.Identifiers), slices.Clone(r.Contract.Usages)
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(r, kept) {
		return errors.New("the backend changed the request that it was given")
	}
	return keeps(chain, r, s)
}

func checkPollAgain(ctx context.Context, s Subject) error {
	t, first, err := obtain(ctx, s, s.Request())
	if err != nil {
		return err
	}
	for range 3 {
		again, err := poll(ctx, s, s.Backend, t)
		if err != nil {
			return err
		}
		if err := sameChain(first, again); err != nil {
			return fmt.Errorf("polled again: %w", err)
		}
	}
	return nil
}

func checkReopened(ctx context.Context, s Subject) error {
	r := s.Request()
	t, first, err := obtain(ctx, s, r)
	if err != nil {
		return err
	}
	early, err := submit(ctx, s, s.Request()) // nobody polled this one yet
	if err != nil {
		return err
	}
	other := s.Reopen()
	again, err := poll(ctx, s, other, t)
	if err != nil {
		return fmt.Errorf("another instance: %w", err)
	}
	if err := sameChain(first, again); err != nil {
		return fmt.Errorf("another instance: %w", err)
	}
	late, err := poll(ctx, s, other, early)
	if err != nil {
		return fmt.Errorf("another instance, for a request that was not polled before: %w", err)
	}
	before, err := poll(ctx, s, s.Backend, early)
	if err != nil {
		return err
	}
	return sameChain(late, before)
}

func checkNotAfter(ctx context.Context, s Subject) error {
	for _, shorten := range []time.Duration{time.Second, 25 * time.Hour} {
		r := s.Request()
		if end := r.Contract.NotAfter.Add(-shorten); end.After(r.At) {
			r.Contract.NotAfter = end
		}
		_, chain, err := obtain(ctx, s, r)
		if err != nil {
			return err
		}
		if err := keeps(chain, r, s); err != nil {
			return fmt.Errorf("asked to end at %s: %w", r.Contract.NotAfter, err)
		}
	}
	return nil
}

func checkMaxValidity(ctx context.Context, s Subject) error {
	r := s.Request()
	longest := s.Backend.Traits().MaxValidity
	r.Contract.NotAfter = r.At.Add(longest + 30*24*time.Hour)
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		if err := refusedOnly(err); err != nil {
			return fmt.Errorf("asked for more than the longest validity: %w", err)
		}
		return nil
	}
	certs, err := parseChain(chain)
	if err != nil {
		return err
	}
	if got := certs[0].NotAfter.Sub(certs[0].NotBefore); got > longest+backdating {
		return fmt.Errorf("the certificate is valid for %s, the traits promise no more than %s", got, longest)
	}
	return nil
}

func checkUnknownTicket(ctx context.Context, s Subject) error {
	for _, t := range []backends.Ticket{"", "0", "there was never such a ticket", "../../1", "1.AAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		s.Settle()
		got, err := s.Backend.Poll(ctx, t)
		if err == nil {
			return fmt.Errorf("polling the ticket %q gave %d certificates and no error", t, len(got.Chain))
		}
		if got.Chain != nil {
			return fmt.Errorf("polling the ticket %q gave an error and certificates", t)
		}
	}
	return nil
}

// prompt bounds what a method may still do after its context has ended.
const prompt = 10 * time.Second

func checkCancelled(ctx context.Context, s Subject) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	promptly := func(what string, call func() error) (err error) {
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err = <-done:
		case <-time.After(prompt):
			return fmt.Errorf("%s did not return within %s of the end of its context", what, prompt)
		}
		if _, refused := backends.RefusalDetail(err); refused {
			return fmt.Errorf("%s calls it a refusal that its context ended: the order would fail: %w", what, err)
		}
		return nil
	}

	r := s.Request()
	var submitErr error
	if err := promptly("Submit", func() error { _, submitErr = s.Backend.Submit(ended, r); return submitErr }); err != nil {
		return err
	}
	if backends.IsNotSent(submitErr) {
		// Then the very same request must go through now.
		_, chain, err := obtain(ctx, s, r)
		if err == nil {
			err = keeps(chain, r, s)
		}
		if err != nil {
			return fmt.Errorf("after a submission that was not sent: %w", err)
		}
	}
	t, chain, err := obtain(ctx, s, s.Request())
	if err != nil {
		return err
	}
	if err := promptly("Poll", func() error { _, err := ask(ended, s, s.Backend, t); return err }); err != nil {
		return err
	}
	again, err := poll(ctx, s, s.Backend, t)
	if err != nil {
		return fmt.Errorf("after a poll that was given up: %w", err)
	}
	return sameChain(chain, again)
}

func checkConcurrent(ctx context.Context, s Subject) error {
	const many = 8
	requests := make([]backends.Request, many)
	for i := range requests {
		requests[i] = s.Request()
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var found []error
	serials := map[string]bool{}
	for _, r := range requests {
		wg.Go(func() {
			_, chain, err := obtain(ctx, s, r)
			if err == nil {
				err = keeps(chain, r, s)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				found = append(found, err)
				return
			}
			certs, _ := parseChain(chain)
			serial := certs[0].SerialNumber.String()
			if serials[serial] {
				found = append(found, fmt.Errorf("the serial number %s was given out twice", serial))
			}
			serials[serial] = true
		})
	}
	wg.Wait()
	return errors.Join(found...)
}

func checkRefusal(ctx context.Context, s Subject) error {
	_, _, err := obtain(ctx, s, s.Refuse())
	if err := refusedOnly(err); err != nil {
		return fmt.Errorf("a request that the CA refuses: %w", err)
	}
	// It must not have become a habit.
	r := s.Request()
	_, chain, err := obtain(ctx, s, r)
	if err != nil {
		return fmt.Errorf("after a refusal: %w", err)
	}
	return keeps(chain, r, s)
}

func checkNotSent(ctx context.Context, s Subject) error {
	_, err := s.Unreachable().Submit(ctx, s.Request())
	switch _, refused := backends.RefusalDetail(err); {
	case err == nil:
		return errors.New("submitting to a CA that cannot be reached gave no error")
	case refused:
		return fmt.Errorf("that the CA cannot be reached is called a refusal: %w", err)
	case !backends.IsNotSent(err):
		return fmt.Errorf("nothing was sent, and the error does not say so: an operator would have to look: %w", err)
	}
	return nil
}

func certificateOf(chain [][]byte, r backends.Request) (acme.Certificate, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return acme.Certificate{}, err
	}
	leaf := certs[0]
	return acme.Certificate{
		ID: acme.CertificateID(r.Key), Order: r.Order, Account: r.Account, Leaf: leaf.Raw,
		Serial: octets(leaf.SerialNumber), AuthorityKeyID: leaf.AuthorityKeyId,
		KeyHash: r.Contract.KeyHash, Identifiers: r.Contract.Identifiers,
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, IssuedAt: r.At,
	}, nil
}

// octets are the content octets of a serial number, as its DER has them.
func octets(serial *big.Int) []byte {
	b := serial.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}
