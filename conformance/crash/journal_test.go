package crash_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
)

// journal is what a client was told. It is written after an answer has
// arrived, never before.
type journal struct {
	account bool // it exists
	contact []string
	// wantedContact was asked for, and the answer is not there yet.
	wantedContact []string
	orders        []*orderNote
}

// orderNote is what is known of an order.
type orderNote struct {
	url            string
	authorizations []string
	finalize       string
	key            *ecdsa.PrivateKey // of its certificate
	status         string
	valid          []string // authorizations that were seen valid
	certificateURL string
	chain          []byte // as downloaded
	revoked        bool
	// ending is set before the client asks for something that ends the order.
	ending bool
	// mayFail is set where the order may come to a bad end by itself.
	mayFail bool
}

// progress orders the statuses of an order that goes well (R8555-7.1.6).
var progress = []string{"pending", "ready", "processing", "valid"}

// errMissing is what every complaint about something acknowledged wraps.
var errMissing = errors.New("an acknowledged thing is not there")

func missing(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMissing, fmt.Sprintf(format, args...))
}

// note takes down an order's status as it was answered.
func (o *orderNote) note(x order) error {
	if err := o.follows(x); err != nil {
		return err
	}
	o.status = x.Status
	if x.Certificate != "" {
		o.certificateURL = x.Certificate
	}
	return nil
}

// follows says whether an order may have come from what was known of it.
func (o *orderNote) follows(x order) error {
	was, is := slices.Index(progress, o.status), slices.Index(progress, x.Status)
	switch {
	case x.Status == "invalid" && (o.ending || o.mayFail || o.status == "invalid"):
	case is < 0 || is < was || o.status == "invalid":
		return missing("order %s was %s and is %s (%v)", o.url, o.status, x.Status, x.Error)
	}
	if o.certificateURL != "" && x.Certificate != o.certificateURL {
		return missing("order %s had certificate %s and has %q", o.url, o.certificateURL, x.Certificate)
	}
	return nil
}

// verify reads everything that was acknowledged. Nothing may be missing and
// nothing may have gone back.
func (c *client) verify(ctx context.Context) error {
	a, err := read[account](ctx, c, c.url)
	if err != nil {
		return unlessWaiting(ctx, "account %s: %v", c.url, err)
	}
	if a.Status != "valid" {
		return missing("account %s is %s", c.url, a.Status)
	}
	if !slices.Equal(a.Contact, c.journal.contact) && (c.journal.wantedContact == nil || !slices.Equal(a.Contact, c.journal.wantedContact)) {
		return missing("account %s has contact %v, want %v", c.url, a.Contact, c.journal.contact)
	}
	for _, o := range c.journal.orders {
		if err := c.verifyOrder(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) verifyOrder(ctx context.Context, o *orderNote) error {
	x, err := read[order](ctx, c, o.url)
	if err != nil {
		return unlessWaiting(ctx, "order %s: %v", o.url, err)
	}
	if err := o.follows(x); err != nil {
		return err
	}
	if !slices.Equal(x.Authorizations, o.authorizations) {
		return missing("order %s has authorizations %v, want %v", o.url, x.Authorizations, o.authorizations)
	}
	for _, url := range o.authorizations {
		a, err := read[authorization](ctx, c, url)
		if err != nil {
			return unlessWaiting(ctx, "authorization %s: %v", url, err)
		}
		if slices.Contains(o.valid, url) && a.Status != "valid" && !o.ending {
			return missing("authorization %s was valid and is %s", url, a.Status)
		}
	}
	if o.chain == nil {
		return nil
	}
	got, err := c.post(ctx, o.certificateURL, nil)
	if err != nil {
		return unlessWaiting(ctx, "certificate %s: %v", o.certificateURL, err)
	}
	if !bytes.Equal(got.body, o.chain) {
		return missing("certificate %s is another one than before", o.certificateURL)
	}
	return nil
}

// unlessWaiting blames the server, but not for a test that ran out of time.
func unlessWaiting(ctx context.Context, format string, args ...any) error {
	if ctx.Err() != nil {
		return fmt.Errorf(format+": %w", append(args, ctx.Err())...)
	}
	return missing(format, args...)
}
