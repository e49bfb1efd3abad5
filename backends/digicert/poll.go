package digicert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

func (t ticket) orderText() string { return strconv.FormatInt(t.order, 10) }

// Poll implements backends.Backend: one look at the order, when there is
// something new to see. A CA that asks for a pause gets it (SC-15).
func (b *Backend) Poll(ctx context.Context, text backends.Ticket) (backends.Result, error) {
	t, err := readTicket(text)
	if err != nil {
		return backends.Result{}, err
	}
	result, err := b.poll(ctx, t)
	if pause := backends.PauseAsked(err); pause > 0 {
		return backends.Result{After: pause, Note: fmt.Sprintf("order %d: the CA is to be left alone for %s", t.order, pause)}, nil
	}
	if result.Chain != nil || err != nil {
		if _, over := backends.RefusalDetail(err); over || err == nil {
			b.unwatch(t.order)
		}
		return result, err
	}
	if t.twins > 0 {
		result.Note += fmt.Sprintf("; and %d more with the same reference: see to them in CertCentral", t.twins)
	}
	return result, nil
}

func (b *Backend) poll(ctx context.Context, t ticket) (backends.Result, error) {
	quiet, certificate, note, err := b.unchanged(ctx, t)
	switch {
	case err != nil:
		return backends.Result{}, err
	case quiet:
		return backends.Result{After: b.pause(t), Note: note}, nil
	case certificate != 0 && t.public == nil:
		return b.fetch(ctx, t, certificate)
	}
	o, err := b.client.Order(ctx, t.order)
	switch age := b.cfg.Now().Sub(t.since); {
	case errors.Is(err, caclient.ErrNotFound) && age < settled:
		// It was sold a moment ago: not everything at the CA may know that yet.
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d: the CA does not show it yet", t.order)}, nil
	case errors.Is(err, caclient.ErrNotFound):
		return backends.Result{}, backends.Refused(refusedLost, err)
	}
	if err != nil {
		return backends.Result{}, err
	}
	return b.follow(ctx, t, o)
}

// follow does what the status of an order asks for. A word that nobody knows
// never ends an order.
func (b *Backend) follow(ctx context.Context, t ticket, o Order) (backends.Result, error) {
	status := strings.ToLower(o.Status)
	says := func() error {
		text := ""
		for _, n := range o.Notes {
			text += " " + n.Text
		}
		return fmt.Errorf("digicert: order %d is %s:%s", t.order, caclient.Printable(status), or(caclient.Printable(text), " no reason given"))
	}
	result := backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d at the CA: %s", t.order, caclient.Printable(status))}
	switch status {
	case "rejected", "denied":
		return backends.Result{}, backends.Refused(refusedByPerson, says())
	case "canceled":
		return backends.Result{}, backends.Refused(refusedCanceled, says())
	case "revoked", "expired":
		return backends.Result{}, backends.Refused(refusedGone, says())
	case "issued":
		return b.fetch(ctx, t, int64(o.Certificate.ID))
	case "needs_approval":
		return b.approval(ctx, t, o, result)
	case "pending", "processing":
		result.Note += b.missing(ctx, t)
		if t.public != nil {
			return b.bring(ctx, t, o, result)
		}
	case "reissue_pending":
	case "approved":
		if o.Certificate.ID != 0 {
			return b.fetch(ctx, t, int64(o.Certificate.ID))
		}
	default:
		result.Note += ", which needs a look in CertCentral"
	}
	b.saw(t.order, o.Status, result.Note)
	return result, nil
}

// approval says yes where the key may, and otherwise that somebody has to.
func (b *Backend) approval(ctx context.Context, t ticket, o Order, result backends.Result) (backends.Result, error) {
	result.Approval = true
	i := slices.IndexFunc(o.Requests, func(r Request) bool { return strings.EqualFold(r.Status, "pending") })
	if !b.cfg.WaitForApproval && i >= 0 {
		err := b.client.Approve(ctx, int64(o.Requests[i].ID))
		if err == nil {
			return backends.Result{After: time.Second, Note: fmt.Sprintf("order %d: approved here", t.order)}, nil
		}
		result.Note += fmt.Sprintf("; request %d: the user of the API key may not approve it", o.Requests[i].ID)
	}
	if t.public != nil {
		return b.bring(ctx, t, o, result)
	}
	b.saw(t.order, o.Status, result.Note)
	return result, nil
}

// missing says what the CA has not validated yet. Its random value is not asked
// for: asking makes a new one, and the one that somebody is publishing would be
// worth nothing.
func (b *Backend) missing(ctx context.Context, t ticket) string {
	if b.cfg.Now().Sub(t.since) < settled {
		return ""
	}
	v, err := b.client.Validation(ctx, t.order)
	if err != nil {
		return ""
	}
	var open []string
	for _, o := range v.Organizations {
		if o.Status != "active" && o.Status != "approved" {
			open = append(open, "the organization ("+caclient.Printable(o.Name)+")")
		}
	}
	for _, n := range v.Names {
		if n.Status != "active" && n.Status != "approved" && n.Status != "valid" {
			open = append(open, caclient.Printable(strings.Join(n.Names, ", ")))
		}
	}
	if len(open) == 0 {
		return ""
	}
	return "; not validated: " + caclient.Printable(strings.Join(open, "; "))
}

// bring gives an order that is not issued our CSR, unless it has it.
func (b *Backend) bring(ctx context.Context, t ticket, o Order, result backends.Result) (backends.Result, error) {
	if spki, err := publicKeyOf(o.Certificate.CSR); err != nil || !bytes.Equal(spki, t.public) {
		err := b.client.SwapCSR(ctx, t.order, armoured("PUBLIC KEY", t.public))
		switch {
		case err == nil:
			result.Note += "; its key is the new one now"
		case slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}, caclient.StatusOf(err)):
			// Then it is issued for the old key, and reissued for this one.
			result.Note += "; the new key has to wait until it is issued"
		default:
			return backends.Result{}, err
		}
	}
	b.saw(t.order, o.Status, result.Note)
	return result, nil
}

// fetch gets the certificate for the key of the request: the one that the order
// shows, or one of its reissues. The CA has been seen to send another
// certificate of the order than the one that was asked for.
func (b *Backend) fetch(ctx context.Context, t ticket, certificate int64) (backends.Result, error) {
	if certificate == 0 {
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d: issued, and without a certificate yet", t.order)}, nil
	}
	certs, err := b.client.Download(ctx, certificate)
	if err != nil {
		return backends.Result{}, err
	}
	if leaf := leafFor(certs, t); leaf != nil {
		return b.chain(leaf, certs), nil
	}
	reissues, err := b.client.Reissues(ctx, t.order)
	if err != nil {
		return backends.Result{}, err
	}
	if r, found := reissueFor(reissues, t); found {
		return b.fetchReissue(ctx, t, r)
	}
	switch {
	case t.wrong != nil && b.cfg.Now().Sub(t.since) < settled:
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d: to be issued again, which the CA does not show yet", t.order)}, nil
	case t.wrong != nil:
		return backends.Result{}, backends.Refused(refusedAgain, fmt.Errorf("digicert: order %d has no reissue any more", t.order))
	case t.public != nil:
		return b.reissue(ctx, t)
	case len(reissues) > 0:
		return backends.Result{}, fmt.Errorf("digicert: order %d: of its certificates none is for the key of the request", t.order)
	}
	// Once more, since it may have been the wrong file. If not, it is handed
	// on, to be kept and judged like any other (SC-8): something was bought.
	if certs, err = b.client.Download(ctx, certificate); err != nil {
		return backends.Result{}, err
	}
	leaf := leafFor(certs, t)
	if leaf == nil {
		leaf = onlyLeaf(certs)
	}
	if leaf == nil {
		return backends.Result{}, fmt.Errorf("digicert: order %d: certificate %d cannot be told from those above it", t.order, certificate)
	}
	return b.chain(leaf, certs), nil
}

// reissueFor is the reissue for the key of a request, done or under way.
func reissueFor(list []Reissued, t ticket) (Reissued, bool) {
	for _, r := range list {
		if spki, err := publicKeyOf(r.CSR); err == nil && sha256.Sum256(spki) == t.key && !t.isWrong(serialNumber(r.Serial)) {
			return r, true
		}
	}
	return Reissued{}, false
}

// fetchReissue gets the certificate of a reissue, when it has one. One that the CA
// itself lists as that, for whatever key it is, is handed on to be judged.
func (b *Backend) fetchReissue(ctx context.Context, t ticket, r Reissued) (backends.Result, error) {
	if r.ID == 0 {
		return backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d: being reissued", t.order)}, nil
	}
	certs, err := b.client.Download(ctx, int64(r.ID))
	if err != nil {
		return backends.Result{}, err
	}
	if leaf := leafFor(certs, t); leaf != nil {
		return b.chain(leaf, certs), nil
	}
	if leaf, listed := onlyLeaf(certs), serialNumber(r.Serial); leaf != nil && listed != nil && leaf.SerialNumber.Cmp(listed) == 0 {
		return b.chain(leaf, certs), nil
	}
	return backends.Result{}, fmt.Errorf("digicert: order %d: the CA has sent another certificate than %d, for another key", t.order, r.ID)
}

// reissue asks for the certificate again, with the same names, so that the one
// that is there stays in force, and with our key. It costs nothing. Whoever was
// interrupted here finds the reissue in the list.
func (b *Backend) reissue(ctx context.Context, t ticket) (backends.Result, error) {
	hash, err := hashFor(t.public)
	if err != nil {
		return backends.Result{}, backends.Refused(refusedKey, err)
	}
	o, err := b.client.Order(ctx, t.order)
	if err != nil {
		return backends.Result{}, err
	}
	w := Wish{CommonName: o.Certificate.CommonName, Names: o.Certificate.Names, CSR: armoured("PUBLIC KEY", t.public), Hash: hash}
	if err := b.want(&w, t.wanted()); err != nil {
		return backends.Result{}, err
	}
	placed, err := b.client.Reissue(ctx, t.order, w)
	if caclient.OutcomeOf(err) == caclient.Refused {
		return backends.Result{}, backends.Refused(refusedRequest, err)
	}
	if err != nil {
		return backends.Result{}, err
	}
	if placed.Certificate != 0 {
		return backends.Result{After: time.Second, Note: fmt.Sprintf("order %d: reissued for the new key", t.order)}, nil
	}
	return backends.Result{After: b.pause(t), Note: fmt.Sprintf("order %d: being reissued for the new key", t.order)}, nil
}

func (b *Backend) chain(leaf *x509.Certificate, certs []*x509.Certificate) backends.Result {
	return backends.Result{Chain: caclient.Chain(leaf, append(certs, b.intermediates...))}
}

// pauses are how long to leave an order alone, by its age: it may take seconds,
// and it may wait for a person.
var pauses = []struct{ age, pause time.Duration }{
	{10 * time.Second, 3 * time.Second}, {time.Minute, 10 * time.Second}, {settled, 20 * time.Second}, {time.Hour, time.Minute},
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
