package sectigo

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// Poll implements backends.Backend: one look at the batch, and more only when
// its status says too little. That a CA asks for a pause is an error like any
// other ([backends.Pausing]): it says nothing about the batch.
func (b *Backend) Poll(ctx context.Context, text backends.Ticket) (backends.Result, error) {
	t, err := readTicket(text)
	if err != nil {
		return backends.Result{}, err
	}
	result, err := b.poll(ctx, t)
	if _, refused := backends.RefusalDetail(err); refused || result.Chain != nil {
		b.crowd.leaves(t.batch)
	} else if least := b.crowd.stays(t.batch, t.since, b.cfg.Now()); err == nil {
		result.After = max(result.After, least)
	}
	return result, err
}

func (b *Backend) poll(ctx context.Context, t ticket) (backends.Result, error) {
	seen, err := b.look(ctx, t)
	if err != nil {
		return backends.Result{}, err
	}
	batch, status, ended := seen.batch, seen.status, seen.ended
	says := func() error {
		return fmt.Errorf("sectigo: batch %d is %s: %s", batch.ID, printable(batch.Status), or(printable(batch.RejectReason), "no reason given"))
	}
	switch status {
	case StatusReady, StatusCollected, StatusPartial:
		return b.fetch(ctx, t, status)
	case StatusFailed:
		return backends.Result{}, backends.RefusedAs(acme.ServerInternal, refusedFailed, says())
	case StatusBroken:
		if t.together {
			return b.broken(ctx, t, int64(batch.Size), says())
		}
		return backends.Result{}, backends.RefusedAs(acme.BadCSR, refusedCSR, says())
	case StatusRejected:
		if t.together { // which name a reason is about is not for all to know
			return backends.Result{}, backends.Refused(refusedByPerson, says())
		}
		return backends.Result{}, rejected(batch, says())
	case StatusExpired, StatusRevoked:
		return backends.Result{}, backends.RefusedAs(acme.ServerInternal, refusedGone, says())
	case StatusCreated, StatusProcessing, StatusRejecting, StatusRevoking, StatusRevokeError, StatusUnknown:
	}
	note := fmt.Sprintf("batch %d at the CA: %s", batch.ID, status)
	if status == StatusUnknown {
		note = fmt.Sprintf("batch %d at the CA: a status that is not known, %q", batch.ID, printable(batch.Status))
		if ended {
			result, err := b.fetch(ctx, t, status)
			if err == nil {
				return result, nil
			}
			note += ", and no certificate"
		}
	}
	return backends.Result{After: b.pause(t), Note: note}, nil
}

// rejected is the no of a person at the CA. A reason that is about the name is
// one about the identifier.
func rejected(batch Batch, cause error) error {
	for word := range strings.FieldsFuncSeq(strings.ToLower(batch.RejectReason), func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == ':' || r == '"' || r == '\'' }) {
		switch {
		case word == "host", word == "hostname", word == "domain", word == "domains", word == "dns",
			strings.Contains(strings.TrimRight(word, ".!?"), "."):
			return backends.RefusedAs(acme.RejectedIdentifier, refusedByPerson, cause)
		}
	}
	return backends.Refused(refusedByPerson, cause)
}

// fetch gets the certificate. The archive may be fetched again as often as
// needed, so whatever is wrong with it is tried again later.
func (b *Backend) fetch(ctx context.Context, t ticket, status Status) (backends.Result, error) {
	archive, err := b.archive(ctx, t)
	if err != nil {
		return backends.Result{}, err
	}
	leaf := archive.leafFor(t.key, t.names)
	switch {
	case leaf != nil:
	case t.together:
		// One with these names and another key is what was bought for this one,
		// and all others belong to somebody else.
		leaf = archive.named(t.names)
	default:
		// A certificate for another key is handed on, so that it is kept and
		// judged like any other (SC-8): something was bought, and it is wrong.
		leaf = archive.only()
		// Unless it has the names of somebody else, too: then this may be the
		// archive of another batch, and the next time the right one comes.
		if leaf != nil && hashNames(leaf.DNSNames) != t.names && b.crowd.swapped(t.batch, t.since, b.cfg.Now()) < swappedPatience {
			return backends.Result{}, fmt.Errorf("sectigo: batch %d: %w; its archive has the certificate of %q", t.batch, ErrNoMatch, leaf.DNSNames)
		}
	}
	switch {
	case leaf != nil:
	case status == StatusPartial && t.together && b.crowd.swapped(t.batch, t.since, b.cfg.Now()) < partialPatience:
		// What was issued is not known here, so this may be the wrong archive.
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("batch %d at the CA: issued partly, and so far not this part", t.batch)}, nil
	case status == StatusPartial:
		return backends.Result{}, backends.RefusedAs(acme.ServerInternal, refusedFailed, fmt.Errorf("sectigo: batch %d is issued partly, and not this part", t.batch))
	default:
		return backends.Result{}, fmt.Errorf("sectigo: batch %d: %w; its archive has %d other certificates, and skipped %q", t.batch, ErrNoMatch, len(archive.Certificates), archive.Skipped)
	}
	return backends.Result{Chain: caclient.Chain(leaf, archive.Certificates)}, nil
}

// swappedPatience is for how long archives of another batch are fetched again
// before one is taken for what was bought.
const swappedPatience = time.Hour

// partialPatience is the same for a batch of several requests.
const partialPatience = 10 * time.Minute

// only is the certificate of an archive with no more than one, CAs aside.
func (a Archive) only() (leaf *x509.Certificate) {
	for _, cert := range a.Certificates {
		switch {
		case cert.IsCA:
		case leaf != nil:
			return nil
		default:
			leaf = cert
		}
	}
	return leaf
}

// pauses are how long to leave the CA alone, by the age of the request: it may
// take seconds, and it may wait for a person.
var pauses = []struct{ age, pause time.Duration }{
	{5 * time.Second, 5 * time.Second}, {15 * time.Second, 10 * time.Second}, {35 * time.Second, 20 * time.Second},
	{75 * time.Second, 40 * time.Second}, {10 * time.Minute, time.Minute},
}

func (b *Backend) pause(t ticket) time.Duration {
	age := b.cfg.Now().Sub(t.since)
	for _, p := range pauses {
		if age < p.age {
			return p.pause
		}
	}
	return 5 * time.Minute
}
