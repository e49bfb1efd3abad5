package globalsign

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// skew is how far the CA's clock may be from ours.
const skew = 10 * time.Minute

// Find implements backends.Finder. The CA keeps no reference of ours, so it walks
// through what was issued since, and looks for our public key and names (SC-4).
// The engine does so twice, some minutes apart, before it believes in an absence.
func (b *Backend) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	issued, complete, err := b.client.Issued(ctx, r.At.Add(-skew), b.cfg.Now().Add(skew))
	if err != nil {
		return "", false, err
	}
	// What begins nearest to the order is most likely it.
	slices.SortStableFunc(issued, func(x, y Issued) int {
		return int(min(distance(x.NotBefore, r.At), 1<<30) - min(distance(y.NotBefore, r.At), 1<<30))
	})
	var unclear error
	for _, row := range issued {
		got, err := b.client.Certificate(ctx, row.Serial)
		switch {
		case errors.Is(err, ErrNotYet):
			unclear = fmt.Errorf("globalsign: certificate %s is not made yet, and may be the one", row.Serial)
		case err != nil:
			return "", false, err
		case !bytes.Equal(got.Leaf.RawSubjectPublicKeyInfo, r.PublicKey) || !sameNames(got.Leaf, r.Contract.Identifiers):
		case got.Leaf.NotAfter.Unix() == r.Contract.NotAfter.Unix(): // which no other order asked for
			return ticketFor(row.Serial, r), true, nil
		default:
			unclear = fmt.Errorf("globalsign: certificate %s is for the same key and names, and ends at %s instead of %s: it is this order's, or another one's",
				row.Serial, got.Leaf.NotAfter.UTC().Format(time.RFC3339), r.Contract.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	if !complete {
		unclear = errors.New("globalsign: the CA shows a part of what it issued only, and the request is not in it, which proves nothing")
	}
	return "", false, unclear
}

func distance(unix int64, at time.Time) int64 {
	if d := unix - at.Unix(); d >= 0 {
		return d
	}
	return at.Unix() - unix
}

// sameNames is a loose look: what exactly a certificate has to be is judged by
// the engine. It only tells apart two orders of one key.
func sameNames(leaf *x509.Certificate, ids []acme.Identifier) bool {
	for _, id := range ids {
		if slices.Contains(leaf.DNSNames, id.Value) {
			return true
		}
		if ip := net.ParseIP(id.Value); ip != nil && slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return true
		}
	}
	return false
}
