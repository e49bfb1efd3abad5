package sectigo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// The words for clients are ours; what the CA says is for the operator (SC-18).
const (
	refusedNames    = "the certificate authority wants at least one DNS name in the subjectAltName of the CSR"
	refusedRequest  = "the certificate authority does not accept this request; ask its operator with the number of the order"
	refusedCSR      = "the certificate authority does not accept this CSR: its names, its subject or its key are not what it issues for"
	refusedByPerson = "the operator of the certificate authority has rejected the request"
	refusedFailed   = "the certificate authority has tried and could not issue the certificate"
	refusedGone     = "the certificate authority has issued the certificate, and it can no longer be fetched; place a new order"
)

// Submit implements backends.Backend. Whatever goes wrong before the upload is
// not sent; from there on the client of the CA says what is known (SC-3).
func (b *Backend) Submit(ctx context.Context, r backends.Request) (backends.Ticket, error) {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return "", backends.RefusedAs(acme.BadCSR, refusedCSR, err)
	}
	if len(csr.DNSNames) == 0 {
		// The CA would accept it, take the money and call the batch broken.
		return "", backends.RefusedAs(acme.BadCSR, refusedNames, nil)
	}
	params, err := b.params(r.Contract)
	if err != nil {
		return "", backends.RefusedAs(acme.ServerInternal, refusedRequest, err)
	}
	authority, err := b.authority(ctx)
	if err != nil {
		return "", backends.NotSent(err)
	}
	taken, err := b.reserve(ctx, authority.ID, b.floor(r), 1)
	if err != nil {
		return "", backends.NotSent(err)
	}
	batch, err := b.client.Upload(ctx, Upload{
		ProfileID: authority.ProfileID, BatchName: b.batchName(r), Params: params, CSRs: [][]byte{r.CSR},
	})
	b.purse.settle(taken, b.cfg.Now(), err)
	if err != nil {
		return "", b.classify(ctx, authority.ID, b.floor(r), err)
	}
	t, err := ticketFor(batch.ID, r)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// classify says what an error of an upload means to the engine.
func (b *Backend) classify(ctx context.Context, authority, floor int64, err error) error {
	switch OutcomeOf(err) {
	case NotSent:
		return backends.NotSent(err)
	case Refused:
		// A lack of balance is told by a 400 as well, and no fault of the
		// client's: the order waits (SC-16). So it does when the balance
		// cannot be seen, or belongs to an authority that is switched off.
		left, balanceErr := b.client.Balance(ctx, authority)
		switch {
		case errors.Is(err, ErrForbidden):
			return backends.NotSent(fmt.Errorf("%w; see to the rights of the account, and whether authority %d is switched on", err, authority))
		case balanceErr != nil:
			return backends.NotSent(errors.Join(err, balanceErr))
		case left <= floor:
			return backends.NotSent(fmt.Errorf("%w: %w", err, errBalance))
		case errors.Is(err, ErrNotFound):
			return backends.NotSent(fmt.Errorf("%w; the profile is not there any more", err))
		}
		if aboutCSR(err) {
			return backends.RefusedAs(acme.BadCSR, refusedCSR, err)
		}
		return backends.Refused(refusedRequest, err)
	case Unknown:
	}
	return err
}

// aboutCSR reports whether the CA complains of what is in the CSR, and not of
// the way it was asked: its message names the part. The words are those of its
// parameters and of its one known complaint.
func aboutCSR(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	words := strings.ToLower(e.Message)
	for _, part := range []string{"csr", "subject", "dnsname", "commonname", "common name", "organizationname", "localityname", "stateorprovincename", "countryname", "public key", "key size", "key algorithm"} {
		if strings.Contains(words, part) {
			return true
		}
	}
	return false
}

// skew is how far the CA's clock may be from ours.
const skew = 10 * time.Minute

// Find implements backends.Finder: it looks for the batch by its name. The CA
// may not keep names; a batch without one that could be ours is therefore no
// proof of absence, and is looked into as far as it can be.
func (b *Backend) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	authority, err := b.authorityOfOld(ctx)
	if err != nil {
		return "", false, err
	}
	list, err := b.client.Batches(ctx)
	if denied(err) {
		// Not every account may list its batches. What else there is to see is for
		// the person who will have to decide.
		return "", false, errors.Join(err, b.unseen(ctx, r))
	}
	if err != nil {
		return "", false, err
	}
	var found *Batch
	var unnamed []Batch
	for i, batch := range list.Batches {
		switch {
		case isNameOf(batch.Name, r):
			// Of two, which never should be, the first is the one to adopt.
			if found == nil || batch.ID < found.ID {
				found = &list.Batches[i]
			}
		case batch.Name == "" && (batch.Size <= 1 || r.Batch != "") && (batch.Profile == "" || batch.Profile == authority.ProfileName) &&
			(batch.Created.IsZero() || !batch.Created.Before(r.At.Add(-skew))):
			unnamed = append(unnamed, batch)
		}
	}
	if found != nil {
		t, err := ticketFor(found.ID, r)
		return t.String(), err == nil, err
	}
	for _, batch := range unnamed {
		t, ours, err := b.lookInto(ctx, batch, r)
		if err != nil || ours {
			return t, ours, err
		}
	}
	if !list.Complete {
		return "", false, errors.New("sectigo: the CA shows a part of its batches only, and the request is not in it, which proves nothing")
	}
	if err := b.unseen(ctx, r); !denied(err) {
		return "", false, err
	}
	return "", false, nil // the list is whole, and says enough
}

// unseen is an error when the CA shows a certificate for the name of a request
// that is as young as the request: weaker evidence than a batch, and enough not
// to send it again (7.3).
func (b *Backend) unseen(ctx context.Context, r backends.Request) error {
	name := commonName(r)
	if name == "" {
		return nil
	}
	found, err := b.client.Find(ctx, Query{CommonName: name})
	if err != nil {
		return err
	}
	for _, c := range found.Items {
		if !c.Created.IsZero() && !c.Created.Before(r.At.Add(-skew)) && strings.EqualFold(c.CommonName, name) {
			return fmt.Errorf("sectigo: no batch is that of the request, and the CA shows certificate %s for %s, made at %s: it may be the one", printable(c.SerialNumber), printable(c.CommonName), c.Created.Format(time.RFC3339))
		}
	}
	return nil
}

// commonName is that of the certificate for a request. A profile that wants one
// takes the first name where a CSR has none.
func commonName(r backends.Request) string {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if r.Contract.CommonName != "" || err != nil || len(csr.DNSNames) == 0 {
		return r.Contract.CommonName
	}
	return or(csr.Subject.CommonName, csr.DNSNames[0])
}

// lookInto finds out by the public key whether a batch without a name is that
// of a request.
func (b *Backend) lookInto(ctx context.Context, batch Batch, r backends.Request) (backends.Ticket, bool, error) {
	t, err := ticketFor(batch.ID, r)
	if err != nil {
		return "", false, err
	}
	if !batch.Canonical().Downloadable() {
		return "", false, fmt.Errorf("sectigo: batch %d (%s) has no name and may be the one; it cannot be looked into", batch.ID, printable(batch.Status))
	}
	archive, err := b.open(ctx, batch.ID)
	if err != nil {
		return "", false, err
	}
	if archive.leafFor(t.key, t.names) == nil {
		return "", false, nil
	}
	return t.String(), true, nil
}

// open downloads and reads the archive of a batch.
func (b *Backend) open(ctx context.Context, batch int64) (Archive, error) {
	d, err := b.client.Download(ctx, batch)
	if err != nil {
		return Archive{}, err
	}
	a, err := ReadArchive(d.Content, b.cfg.Archive)
	if err != nil {
		return Archive{}, err
	}
	// A profile may put the certificate alone into the archive.
	a.Certificates = append(a.Certificates, b.intermediates...)
	return a, nil
}
